/*
 * Accounting of ended cVMs as a table: see stats.h. The numbers come from the monitor; fast system calls are what the
 * libOS says and may be anything.
 */
#include "cli/stats.h"

#include <stdio.h>
#include <string.h>

#include "cli/message.h"

void stats_format_bytes(uint64_t bytes, char text[16])
{
	static const char units[] = "BKMGT";
	unsigned unit = 0;
	double value = (double)bytes;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 16, unit ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

int stats_exit_status(const struct channel_exit *e)
{
	return (e->signaled && e->status < 128 ? e->status + 128 : e->status) & 0xff;
}

static void print_row(const char *name, const struct channel_exit *e, uint64_t log_dropped)
{
	const struct cvm_stats *s = &e->stats;
	char memory[16], code[16], dropped[16], line[512];
	uint64_t calls = s->fast_syscalls + s->trapped_syscalls;

	stats_format_bytes(s->memory_peak, memory);
	stats_format_bytes(s->code_bytes, code);
	stats_format_bytes(log_dropped, dropped);
	int size = snprintf(line, sizeof(line),
			    "%-16s %6d %9.3f %9.3f %9s %11llu %11llu %8llu %6.2f%% %7llu %7u %7u %5llu %8s %8s", name,
			    stats_exit_status(e), (double)s->wall_ns / 1e9, (double)s->cpu_ns / 1e9, memory,
			    (unsigned long long)s->hostcalls, (unsigned long long)s->fast_syscalls,
			    (unsigned long long)s->trapped_syscalls,
			    calls ? 100.0 * (double)s->fast_syscalls / (double)calls : 100.0,
			    (unsigned long long)s->faults, s->threads_peak, s->handles_peak,
			    (unsigned long long)s->code_images, code, dropped);
	message_lines("", line, (size_t)size < sizeof(line) ? (size_t)size : sizeof(line) - 1);
}

void stats_print(const struct config *config, const bool *ended, const struct channel_exit *exits,
		 const uint64_t *log_dropped)
{
	char line[512];
	int size = snprintf(line, sizeof(line), "%-16s %6s %9s %9s %9s %11s %11s %8s %7s %7s %7s %7s %5s %8s %8s", "cVM",
			    "status", "wall_s", "cpu_s", "mem_peak", "hostcalls", "fast_calls", "trapped", "fast", "faults",
			    "threads", "handles", "code", "code_mem", "log_drop");

	message_lines("", line, (size_t)size);
	for (uint32_t i = 0; i < config->cvms; i++) {
		if (ended[i])
			print_row(config->cvm[i]->name, &exits[i], log_dropped[i]);
		else
			message_lines(config->cvm[i]->name, " did not end", 12);
	}
}
