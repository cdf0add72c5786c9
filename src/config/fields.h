/*
 * The one table of what can be said about a cVM: its option, its YAML key, and the setter that both use.
 */
#ifndef CONFIG_FIELDS_H
#define CONFIG_FIELDS_H

#include "config/config.h"

enum config_kind {
	CONFIG_SINGLE = 1, /* one value, given once */
	CONFIG_LIST,	   /* may be repeated; a YAML list (or one scalar) */
	CONFIG_FLAG,	   /* option without a value; true or false in YAML */
};

struct config_field {
	const char *key;    /* in YAML; a null pointer: option only */
	const char *option; /* without "--"; a null pointer: YAML only */
	char letter;	    /* short option, or 0 */
	enum config_kind kind;
	const char *argument; /* for --help */
	const char *help;
	int (*set)(struct config_cvm *cvm, const char *value, struct config_error *error);
};

extern const struct config_field g_config_fields[]; /* ends with a null `set` */

/* Adds a volume whose parts are known. Used by the setter of "HOST:GUEST[:ro|rw]" and by YAML's map form. */
__attribute__((warn_unused_result)) int config_add_volume(struct config_cvm *cvm, const char *host, const char *guest,
							   bool read_only, struct config_error *error);

/* Sets K to "V" in a list of "K=V" (or, with a null value, to the caller's own value if there is one), replacing an earlier K. */
void config_set_variable(struct strlist *list, const char *name, const char *value);

/* Adds a file's variables to cvm->env_files. */
__attribute__((warn_unused_result)) int config_read_env_file(struct config_cvm *cvm, const char *path, struct config_error *error);

/* The same in cvm->env, with a name that may be wrong. */
__attribute__((warn_unused_result)) int config_set_env(struct config_cvm *cvm, const char *name, const char *value,
							struct config_error *error);

#endif
