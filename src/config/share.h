/*
 * What cVMs share: grants to provide and to use files, calls and streams by name, and the files of the pod.
 * Setters as in config/fields.h; names as in abi/capability.h.
 */
#ifndef CONFIG_SHARE_H
#define CONFIG_SHARE_H

#include "config/config.h"

/* How a grant is written as a map; absent values are null pointers. */
struct share_words {
	const char *file, *call, *stream; /* one of them: the name */
	const char *access;		  /* "r", "w" or "rw" */
	const char *map, *grant;	  /* "true" or "false" */
};

/* `role` is LAUNCH_GRANT_USE or LAUNCH_GRANT_PROVIDE. */
__attribute__((warn_unused_result)) int config_add_grant(struct config_cvm *cvm, unsigned role,
							  const struct share_words *words, struct config_error *error);

/* "file:NAME[,r|w|rw][,map][,grant]", "call:NAME[,grant]", "stream:NAME[,grant]". */
int config_provide(struct config_cvm *cvm, const char *value, struct config_error *error);
int config_use(struct config_cvm *cvm, const char *value, struct config_error *error);

/* "PORT" or "unix:/PATH" as the name of the stream that carries such connections between cVMs: "tcp/PORT", "unix/PATH". */
__attribute__((warn_unused_result)) int config_socket_name(const char *value, char **name, struct config_error *error);

/* These, or "*": every port. */
int config_listen(struct config_cvm *cvm, const char *value, struct config_error *error);
int config_reach(struct config_cvm *cvm, const char *value, struct config_error *error);

/* Adds a CP_File of the pod; `size` may be a null pointer, and of `data` and `host` one or both. */
__attribute__((warn_unused_result)) int config_add_file(struct config *config, const char *name, const char *size,
							 const char *data, const char *host, struct config_error *error);

/* The call that carries system calls of `cvm` to `server`, and nobody else's: the error names a grant that meets it. */
__attribute__((warn_unused_result)) int config_grant_served(const struct config *config, struct config_cvm *cvm,
							     struct config_cvm *server, struct config_error *error);

/* A program that listens on a port may also connect to it, as on Linux: each cVM reaches the ports that it alone may listen on. */
__attribute__((warn_unused_result)) int config_grant_own_ports(const struct config *config, struct config_error *error);

/* What it is ready with is a port that it may bind, or something that other cVMs reach. */
__attribute__((warn_unused_result)) int config_check_ready(const struct config_cvm *cvm, struct config_error *error);

/* Nobody uses what nobody provides. */
__attribute__((warn_unused_result)) int config_check_uses(const struct config *config, struct config_error *error);

#endif
