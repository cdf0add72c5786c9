/* Memory of this machine, as far as this process may use it. */
#ifndef CONFIG_RAM_H
#define CONFIG_RAM_H

#include <stdint.h>

/* Bytes: RAM, or the memory limit of the process's control groups if that is less. */
uint64_t ram_size(void);

/* For tests: the least limit of the groups that the file `groups` (as /proc/self/cgroup) names below `root`, UINT64_MAX
 * if there is none. */
uint64_t ram_group_limit(const char *groups, const char *root);

#endif
