/*
 * Grants and CP_Files: see share.h. Called by the option parser and the YAML reader, which set the error's place, and by
 * config_finish. The monitor checks kinds and permissions again; here a mistake gets a sentence.
 */
#include "config/share.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/served.h"
#include "config/fields.h"
#include "config/value.h"

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@-"

static int check_name(const char *name, bool pattern, struct config_error *error)
{
	size_t size = strlen(name), plain = strspn(name, NAME_BYTES);
	bool star = pattern && size && name[size - 1] == '*';

	if (size && size < CAP_NAME_MAX && plain + star == size)
		return 0;
	return config_fail(error, "\"%.150s\" is not a name (use 1 to %u of A-Z a-z 0-9 . _ / : @ -%s)", name, CAP_NAME_MAX - 1,
			   pattern ? ", and perhaps * at the end" : "");
}

static int add_grant(struct config_cvm *cvm, unsigned role, enum cap_kind kind, uint32_t perms, const char *name,
		     struct config_error *error)
{
	int ret = check_name(name, true, error);

	if (ret)
		return ret;
	for (uint32_t i = 0; i < cvm->grants; i++)
		if (cvm->grant[i].kind == kind && cvm->grant[i].roles == role && strcmp(cvm->grant[i].name, name) == 0)
			return config_fail(error, "\"%.150s\" is granted twice (once is enough)", name);
	if (cvm->grants == LAUNCH_GRANTS_MAX)
		return config_fail(error, "too many grants (at most %d of provides, uses, listen and reach together)",
				   LAUNCH_GRANTS_MAX);
	struct launch_grant *grant = &cvm->grant[cvm->grants];

	*grant = (struct launch_grant){.kind = (uint16_t)kind, .roles = (uint16_t)role, .perms = perms};
	memcpy(grant->name, name, strlen(name));
	cvm->grant_place[cvm->grants++] = xstrdup(error->place);
	return 0;
}

/* Of a file that is used. */
static int file_permissions(const struct share_words *words, uint32_t *perms, struct config_error *error)
{
	const char *access = words->access ? words->access : "r";
	bool map = false;

	if (strcmp(access, "r") != 0 && strcmp(access, "w") != 0 && strcmp(access, "rw") != 0)
		return config_fail(error, "\"%.100s\" is not an access (use r, w or rw)", access);
	int ret = words->map ? value_bool(words->map, &map, error) : 0;
	if (ret)
		return ret;
	if (map && access[0] != 'r')
		return config_fail(error, "what is mapped can be read (use access r or rw with map)");
	*perms = (access[0] == 'r' ? CAP_LOAD : 0) | (strchr(access, 'w') ? CAP_STORE : 0) | (map ? CAP_MAP : 0);
	return 0;
}

int config_add_grant(struct config_cvm *cvm, unsigned role, const struct share_words *words, struct config_error *error)
{
	const char *name = words->file ? words->file : words->call ? words->call : words->stream;
	enum cap_kind kind = words->file ? CAP_MEMORY : words->call ? CAP_CALL : CAP_CONNECT;
	uint32_t perms = CAP_USE;
	bool pass = false;
	int ret = 0;

	if (!name || !!words->file + !!words->call + !!words->stream != 1)
		return config_fail(error, "must name one thing (file: NAME, call: NAME or stream: NAME)");
	if (role == LAUNCH_GRANT_PROVIDE && (words->access || words->map || words->grant))
		return config_fail(error, "what a cVM provides is its own (access, map and grant belong to uses)");
	if (kind != CAP_MEMORY && (words->access || words->map))
		return config_fail(error, "access and map belong to files (leave them out)");
	if (kind == CAP_MEMORY)
		ret = file_permissions(words, &perms, error);
	if (ret == 0 && words->grant)
		ret = value_bool(words->grant, &pass, error);
	if (ret)
		return ret;
	if (role == LAUNCH_GRANT_PROVIDE)
		perms = CAP_ALL;
	return add_grant(cvm, role, kind, perms | (pass ? CAP_GRANT : 0), name, error);
}

static int set_grant(struct config_cvm *cvm, unsigned role, const char *value, struct config_error *error)
{
	struct share_words words = {0};
	char *copy = xstrdup(value), *rest = copy;
	char *name = strsep(&rest, ",");
	char *colon = strchr(name, ':');
	int ret = 0;

	if (colon)
		*colon++ = '\0';
	if (colon && strcmp(name, "file") == 0)
		words.file = colon;
	else if (colon && strcmp(name, "call") == 0)
		words.call = colon;
	else if (colon && strcmp(name, "stream") == 0)
		words.stream = colon;
	else
		ret = config_fail(error, "\"%.150s\" names no kind (use file:NAME, call:NAME or stream:NAME)", value);
	while (ret == 0 && rest) {
		const char *word = strsep(&rest, ",");

		if (strcmp(word, "map") == 0)
			words.map = "true";
		else if (strcmp(word, "grant") == 0)
			words.grant = "true";
		else if (strcmp(word, "r") == 0 || strcmp(word, "w") == 0 || strcmp(word, "rw") == 0)
			words.access = word;
		else
			ret = config_fail(error, "\"%.100s\" is not a permission (use r, w, rw, map or grant)", word);
	}
	if (ret == 0)
		ret = config_add_grant(cvm, role, &words, error);
	free(copy);
	return ret;
}

int config_provide(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return set_grant(cvm, LAUNCH_GRANT_PROVIDE, value, error);
}

int config_use(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return set_grant(cvm, LAUNCH_GRANT_USE, value, error);
}

static int unix_name(const char *path, char **name, struct config_error *error)
{
	char *clean = NULL;
	int ret = value_guest_path(path, &clean, error);

	if (ret == 0 && strcmp(clean, "/") == 0)
		ret = config_fail(error, "the socket's path is missing (use unix:/run/app.sock)");
	if (ret == 0)
		*name = xasprintf("unix%s", clean);
	free(clean);
	return ret;
}

int config_socket_name(const char *value, char **name, struct config_error *error)
{
	struct config_error inner = {0};
	uint32_t port;

	if (strncmp(value, "unix:", 5) == 0)
		return unix_name(value + 5, name, error);
	if (value_number(value, 1, 65535, &port, &inner))
		return config_fail(error, "\"%.150s\" is neither a port nor unix:/path (use 6379 or unix:/run/app.sock)", value);
	*name = xasprintf("tcp/%u", port);
	return 0;
}

static int socket_stream(struct config_cvm *cvm, unsigned role, const char *value, struct config_error *error)
{
	char *name = NULL;
	int ret = 0;

	if (strcmp(value, "*") == 0)
		name = xstrdup("tcp/*");
	else
		ret = config_socket_name(value, &name, error);
	if (ret == 0)
		ret = add_grant(cvm, role, CAP_CONNECT, role == LAUNCH_GRANT_PROVIDE ? CAP_ALL : CAP_USE, name, error);
	free(name);
	return ret;
}

int config_listen(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return socket_stream(cvm, LAUNCH_GRANT_PROVIDE, value, error);
}

int config_reach(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return socket_stream(cvm, LAUNCH_GRANT_USE, value, error);
}

/* As value_size, and in base 16 as in the files of the papers' prototype. */
static int file_size(const char *text, uint64_t *size, struct config_error *error)
{
	char decimal[32];
	char *end;

	if (strncmp(text, "0x", 2) == 0 && text[2]) {
		errno = 0;
		unsigned long long value = strtoull(text, &end, 16);

		if (!*end && errno == 0) {
			snprintf(decimal, sizeof(decimal), "%llu", value);
			text = decimal;
		}
	}
	return value_size(text, 1, CONFIG_MEMORY_MAX, size, error);
}

int config_add_file(struct config *config, const char *name, const char *size, const char *data, const char *host,
		    struct config_error *error)
{
	struct config_file file = {0};

	if (!name)
		return config_fail(error, "name is missing (a file has name, size, and data or file)");
	int ret = check_name(name, false, error);
	if (ret == 0 && size)
		ret = file_size(size, &file.size, error);
	if (ret)
		return ret;
	if (data && host)
		return config_fail(error, "the content is given twice (use data or file)");
	if (!size && !host && (!data || !*data))
		return config_fail(error, "size is missing (a file has name, size, and data or file)");
	if (size && data && strlen(data) > file.size)
		return config_fail(error, "the data is larger than the size (%zu bytes)", strlen(data));
	for (uint32_t i = 0; i < config->files; i++)
		if (strcmp(config->file[i].name, name) == 0)
			return config_fail(error, "the name \"%s\" is used twice (give each file its own)", name);
	if (config->files == LAUNCH_FILES_MAX)
		return config_fail(error, "too many files (at most %d)", LAUNCH_FILES_MAX);
	file.place = xstrdup(error->place);
	file.name = xstrdup(name);
	file.data = data ? xstrdup(data) : NULL;
	file.host = host ? xstrdup(host) : NULL;
	config->file[config->files++] = file;
	return 0;
}

/* Is there a name that both stand for? */
static bool names_meet(const char *a, const char *b)
{
	size_t a_size = strlen(a), b_size = strlen(b);
	bool a_star = a[a_size - 1] == '*', b_star = b[b_size - 1] == '*';
	size_t fixed_a = a_size - a_star, fixed_b = b_size - b_star;

	if (strncmp(a, b, fixed_a < fixed_b ? fixed_a : fixed_b) != 0)
		return false;
	return fixed_a == fixed_b || (fixed_a < fixed_b ? a_star : b_star);
}

int config_grant_served(const struct config *config, struct config_cvm *cvm, struct config_cvm *server, struct config_error *error)
{
	char *name = xasprintf(SERVED_PREFIX "%s", cvm->name);
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < config->cvms; i++)
		for (uint32_t j = 0; ret == 0 && j < config->cvm[i]->grants; j++) {
			const struct launch_grant *grant = &config->cvm[i]->grant[j];

			if (grant->kind != CAP_CALL || !names_meet(grant->name, name))
				continue;
			config_place(error, "%s", config->cvm[i]->grant_place[j]);
			ret = config_fail(error, "the call \"%s\" is for %s and %s alone, whose syscalls_to grants it (grant other names)", name,
					  cvm->name, server->name);
		}
	if (ret == 0)
		ret = add_grant(cvm, LAUNCH_GRANT_USE, CAP_CALL, CAP_USE, name, error);
	if (ret == 0) {
		config_place(error, "%s", server->place);
		ret = add_grant(server, LAUNCH_GRANT_PROVIDE, CAP_CALL, CAP_ALL, name, error);
	}
	free(name);
	return ret;
}

static bool listens(const struct config_cvm *cvm, const char *name)
{
	for (uint32_t i = 0; i < cvm->grants; i++)
		if (cvm->grant[i].kind == CAP_CONNECT && cvm->grant[i].roles == LAUNCH_GRANT_PROVIDE && names_meet(cvm->grant[i].name, name))
			return true;
	return false;
}

static bool reaches(const struct config_cvm *cvm, const char *name)
{
	for (uint32_t i = 0; i < cvm->grants; i++)
		if (cvm->grant[i].kind == CAP_CONNECT && cvm->grant[i].roles == LAUNCH_GRANT_USE && strcmp(cvm->grant[i].name, name) == 0)
			return true;
	return false;
}

static bool listens_alone(const struct config *config, const struct config_cvm *cvm, const char *name)
{
	for (uint32_t i = 0; i < config->cvms; i++)
		if (config->cvm[i] != cvm && listens(config->cvm[i], name))
			return false;
	return true;
}

/* Unix sockets need no grant: within a cVM they are its own libOS's. */
int config_grant_own_ports(const struct config *config, struct config_error *error)
{
	for (uint32_t i = 0; i < config->cvms; i++) {
		struct config_cvm *cvm = config->cvm[i];
		uint32_t grants = cvm->grants; /* of which only these are looked at */

		for (uint32_t j = 0; j < grants; j++) {
			const struct launch_grant *grant = &cvm->grant[j];

			if (grant->kind != CAP_CONNECT || grant->roles != LAUNCH_GRANT_PROVIDE || strncmp(grant->name, "tcp/", 4) != 0 ||
			    reaches(cvm, grant->name) || !listens_alone(config, cvm, grant->name))
				continue;
			config_place(error, "%s", cvm->grant_place[j]);
			int ret = add_grant(cvm, LAUNCH_GRANT_USE, CAP_CONNECT, CAP_USE, grant->name, error);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static bool may_bind(const struct config_cvm *cvm, const char *name)
{
	unsigned port;

	if (cvm->net == CONFIG_NET_NONE || sscanf(name, "tcp/%u", &port) != 1)
		return false;
	for (uint32_t i = 0; i < cvm->net_rules; i++) {
		const struct launch_net_rule *rule = &cvm->net_rule[i];

		if (rule->action == LAUNCH_NET_BIND && rule->protocol == IPPROTO_TCP && rule->port_first <= port && port <= rule->port_last)
			return true;
	}
	return false;
}

int config_check_ready(const struct config_cvm *cvm, struct config_error *error)
{
	const char *name = cvm->ready.listen;

	if (!name)
		return 0;
	if (cvm->bare)
		return config_fail(error, "a bare cVM has no libOS that could tell that it listens (use ready: {exit: STATUS}, or leave it out)");
	if (listens(cvm, name) || may_bind(cvm, name))
		return 0;
	if (strncmp(name, "unix", 4) == 0)
		return config_fail(error, "it is ready when it listens on unix:%s, which is not granted (add it to its listen)", name + 4);
	return config_fail(error, "it is ready when it listens on port %s, which is not granted (add it to its listen, or to its bind if it "
			   "is reached from outside)", name + 4);
}

static bool provided(const struct config *config, const struct launch_grant *use)
{
	for (uint32_t i = 0; use->kind == CAP_MEMORY && i < config->files; i++)
		if (names_meet(config->file[i].name, use->name))
			return true;
	for (uint32_t i = 0; i < config->cvms; i++) {
		const struct config_cvm *cvm = config->cvm[i];

		for (uint32_t j = 0; j < cvm->grants; j++)
			if (cvm->grant[j].roles == LAUNCH_GRANT_PROVIDE && cvm->grant[j].kind == use->kind &&
			    names_meet(cvm->grant[j].name, use->name))
				return true;
	}
	return false;
}

int config_check_uses(const struct config *config, struct config_error *error)
{
	static const char *const kinds[] = {[CAP_MEMORY] = "file", [CAP_CALL] = "call", [CAP_CONNECT] = "stream"};

	for (uint32_t i = 0; i < config->cvms; i++) {
		const struct config_cvm *cvm = config->cvm[i];

		for (uint32_t j = 0; j < cvm->grants; j++) {
			if (cvm->grant[j].roles != LAUNCH_GRANT_USE || provided(config, &cvm->grant[j]))
				continue;
			const char *name = cvm->grant[j].name; /* tcp/PORT or unix/PATH: a socket */
			bool socket = strncmp(name, "tcp/", 4) == 0 || strncmp(name, "unix/", 5) == 0;

			config_place(error, "%s", cvm->grant_place[j]);
			if (cvm->grant[j].kind == CAP_CONNECT && socket)
				return config_fail(error, "no cVM listens on %s (add it to a cVM's listen)", strchr(name, '/') + (*name == 't'));
			return config_fail(error, "no cVM provides the %s \"%s\" (add it to a cVM's provides%s)",
					   kinds[cvm->grant[j].kind], name, cvm->grant[j].kind == CAP_MEMORY ? ", or to files" : "");
		}
	}
	return 0;
}
