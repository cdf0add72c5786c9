/*
 * Values as a person writes them: what is accepted means what it says, what is refused says why and changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/ram.h"
#include "config/value.h"

static void sizes(void **state)
{
	static const struct { const char *text; uint64_t size; } good[] = {
		{ "4096", 4096 }, { "64K", 64 << 10 }, { "64M", 64 << 20 }, { "2G", 2ull << 30 }, { "1T", 1ull << 40 } };
	static const char *const bad[] = { "", "M", "12Q", "-1", "1.5G", "0x10", " 1", "1 ", "99999999999999999999", "20000000T", "1GG" };
	uint64_t size = 0;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct config_error error = { 0 };
		assert_int_equal(value_size(good[i].text, 0, UINT64_MAX, &size, &error), 0);
		assert_int_equal(size, good[i].size);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct config_error error = { 0 };
		size = 77;
		assert_int_not_equal(value_size(bad[i], 0, UINT64_MAX, &size, &error), 0);
		assert_true(error.failed && strlen(error.text) > 0);
		assert_int_equal(size, 77);
	}
	struct config_error error = { 0 };
	assert_int_not_equal(value_size("1K", 4096, 8192, &size, &error), 0);
}

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	for (char *p = strcpy(path, folder) + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			mkdir(path, 0700);
			*p = '/';
		}
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void memory_of_control_groups(void **state)
{
	char root[] = "/tmp/config-value-XXXXXX", folder[128], groups[128], command[128];

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(groups, sizeof groups, "%s/groups", root);
	assert_true(ram_group_limit(groups, root) == UINT64_MAX);
	put_file(root, "groups", "0::/a/b\n");
	assert_true(ram_group_limit(groups, root) == UINT64_MAX);
	snprintf(folder, sizeof folder, "%s/a/b", root);
	put_file(folder, "memory.max", "max\n");
	assert_true(ram_group_limit(groups, root) == UINT64_MAX);
	put_file(folder, "memory.max", "300000000\n");
	assert_true(ram_group_limit(groups, root) == 300000000);
	snprintf(folder, sizeof folder, "%s/a", root); /* the one above has less */
	put_file(folder, "memory.max", "200000000\n");
	assert_true(ram_group_limit(groups, root) == 200000000);
	put_file(root, "memory.max", "100000000\n"); /* as a container sees its own group */
	assert_true(ram_group_limit(groups, root) == 100000000);
	put_file(root, "groups", "9:pids:/a\n4:memory:/x/y\n0::/nowhere/else\n");
	snprintf(folder, sizeof folder, "%s/memory/x", root);
	put_file(folder, "memory.limit_in_bytes", "50000000\n");
	assert_true(ram_group_limit(groups, root) == 50000000);
	assert_true(ram_size() > 1 << 20);
	snprintf(command, sizeof command, "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

static void guest_paths(void **state)
{
	static const char *const bad[] = { "", "relative", "/a/../b", "/..", "/a/./b" };
	char *path = NULL;

	(void)state;
	struct config_error error = { 0 };
	assert_int_equal(value_guest_path("//a///b/", &path, &error), 0);
	assert_string_equal(path, "/a/b");
	free(path);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct config_error failure = { 0 };
		path = NULL;
		assert_int_not_equal(value_guest_path(bad[i], &path, &failure), 0);
		assert_null(path);
	}
}

static void net_rules(void **state)
{
	static const char *const bad[] = { "", "70000", "80-70", "1.2.3:80", "a:b:c", "80/sctp", "[::1", "::1:80", "-1" };
	struct config_cvm cvm = { 0 };
	struct config_error error = { 0 };

	(void)state;
	assert_int_equal(value_net_rule("127.0.0.1:6379", LAUNCH_NET_BIND, &cvm, &error), 0);
	assert_int_equal(cvm.net_rules, 1);
	assert_int_equal(cvm.net_rule[0].port_first, 6379);
	assert_int_equal(cvm.net_rule[0].prefix, 32);
	assert_int_equal(cvm.net_rule[0].address[0], 127);
	assert_int_equal(value_net_rule("[::1]:80-90/udp", LAUNCH_NET_BIND, &cvm, &error), 0);
	assert_int_equal(cvm.net_rule[1].port_last, 90);
	assert_int_equal(cvm.net_rule[1].prefix, 128);
	uint32_t before = cvm.net_rules;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct config_error failure = { 0 };
		assert_int_not_equal(value_net_rule(bad[i], LAUNCH_NET_BIND, &cvm, &failure), 0);
		assert_int_equal(cvm.net_rules, before);
	}
}

static void nearest(void **state)
{
	static const char *const words[] = { "memory", "threads", "volumes", NULL };

	(void)state;
	assert_string_equal(value_nearest("memmory", words), "memory");
	assert_string_equal(value_nearest("thread", words), "threads");
	assert_null(value_nearest("xyzzy", words));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sizes), cmocka_unit_test(guest_paths), cmocka_unit_test(net_rules),
					    cmocka_unit_test(nearest), cmocka_unit_test(memory_of_control_groups) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
