/*
 * Values as a person writes them: sizes, numbers, ports and addresses, guest paths, volumes. Each parser returns 0 and
 * sets its outputs, or returns -EINVAL with the error set and the outputs untouched.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"

#define VALUE_CHECKED __attribute__((warn_unused_result))

/* "64M", "2G", "4096": powers of 1024. */
VALUE_CHECKED int value_size(const char *text, uint64_t min, uint64_t max, uint64_t *size, struct config_error *error);

VALUE_CHECKED int value_number(const char *text, uint32_t min, uint32_t max, uint32_t *number,
			       struct config_error *error);

/* "10s", "500ms", "2m", "1h"; a plain number is seconds. At most a day. */
VALUE_CHECKED int value_duration(const char *text, uint32_t *milliseconds, struct config_error *error);

/* 1 to 63 of A-Z a-z 0-9 _ . -, as cVMs and pods are called. */
VALUE_CHECKED int value_name(const char *text, struct config_error *error);

/* "true" or "false". */
VALUE_CHECKED int value_bool(const char *text, bool *value, struct config_error *error);

/* An absolute path without "." and ".." components; *path is a new string without double and trailing slashes. */
VALUE_CHECKED int value_guest_path(const char *text, char **path, struct config_error *error);

/* LAUNCH_NET_BIND: "[ADDRESS:]PORT[-PORT][/tcp|/udp]"; LAUNCH_NET_CONNECT: "ADDRESS[/PREFIX]:PORT[-PORT][/tcp|/udp]".
 * "*" is any address or any port. Adds one or two rules to the cVM. */
VALUE_CHECKED int value_net_rule(const char *text, enum launch_net_action action, struct config_cvm *cvm,
				 struct config_error *error);

/* Grants every address and port in both directions. */
VALUE_CHECKED int value_net_any(struct config_cvm *cvm, struct config_error *error);

/* The entry of `words` most similar to `word`, or a null pointer if none is near. The list ends with a null pointer. */
const char *value_nearest(const char *word, const char *const *words);

#endif
