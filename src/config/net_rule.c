/*
 * Network grants as a person writes them: "6379", "127.0.0.1:8000-8010", "[::1]:53/udp", "10.0.0.0/8:*", "*:443".
 * Called by the setters in fields.c; names are never resolved, so that what is granted is what is written.
 */
#include "config/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct parsed_rule {
	const char *text; /* for messages */
	enum launch_net_action action;
	uint16_t protocol, port_first, port_last;
	bool any_family; /* "*" or no address */
	bool localhost;
	uint16_t family, prefix;
	uint8_t address[16];
};

static int bad(const struct parsed_rule *rule, const char *what, struct config_error *error)
{
	const char *form = rule->action == LAUNCH_NET_BIND
				   ? "[ADDRESS:]PORT[-PORT][/udp], for example 6379, 127.0.0.1:8000-8010, 5353/udp"
				   : "ADDRESS[/PREFIX]:PORT[-PORT][/udp], for example 10.0.0.0/8:443, [::1]:53/udp, *:*";

	return config_fail(error, "\"%.100s\": %s (use %s)", rule->text, what, form);
}

static int parse_port(const char **p, uint16_t *port)
{
	char *end;

	if (**p < '0' || **p > '9')
		return -EINVAL;
	unsigned long value = strtoul(*p, &end, 10);
	if (value > 65535)
		return -EINVAL;
	*port = (uint16_t)value;
	*p = end;
	return 0;
}

/* "PORT", "PORT-PORT" or "*", whole. */
static int parse_ports(const char *text, struct parsed_rule *rule, struct config_error *error)
{
	const char *p = text;

	if (strcmp(p, "*") == 0) {
		rule->port_first = rule->action == LAUNCH_NET_BIND ? 0 : 1;
		rule->port_last = 65535;
		return 0;
	}
	if (parse_port(&p, &rule->port_first))
		return bad(rule, "not a port from 0 to 65535", error);
	rule->port_last = rule->port_first;
	if (*p == '-') {
		p++;
		if (parse_port(&p, &rule->port_last))
			return bad(rule, "not a port from 0 to 65535", error);
	}
	if (*p)
		return bad(rule, "not a port or a range of ports", error);
	if (rule->port_first > rule->port_last)
		return bad(rule, "the range of ports is empty", error);
	if (rule->action == LAUNCH_NET_CONNECT && rule->port_first == 0)
		return bad(rule, "port 0 cannot be connected to", error);
	return 0;
}

static int parse_prefix(const char *text, struct parsed_rule *rule, struct config_error *error)
{
	unsigned max = rule->family == AF_INET ? 32 : 128;
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > max)
		return bad(rule, rule->family == AF_INET ? "the prefix is not a number from 0 to 32"
							 : "the prefix is not a number from 0 to 128", error);
	rule->prefix = (uint16_t)value;
	for (unsigned bit = rule->prefix; bit < max; bit++)
		if (rule->address[bit / 8] & (0x80u >> (bit % 8)))
			return bad(rule, "the address has bits behind the prefix", error);
	return 0;
}

static const char g_not_translated[] = "ports are not translated: a cVM binds the port that is seen outside, so give that port alone";

/* `text` is writable and without the port: "*", "localhost", "1.2.3.4", "1.2.3.0/24", "[::1]", "[fd00::/8]", "[fd00::]/8". */
static int parse_address(char *text, struct parsed_rule *rule, struct config_error *error)
{
	if (strcmp(text, "*") == 0) {
		rule->any_family = true;
		return 0;
	}
	if (strcmp(text, "localhost") == 0) {
		rule->localhost = true;
		return 0;
	}
	char *prefix = strchr(text, '/');
	if (prefix)
		*prefix++ = '\0';
	if (text[0] == '[') {
		text++;
		char *close = strchr(prefix ? prefix : text, ']');
		if (!close)
			close = strchr(text, ']');
		if (!close)
			return bad(rule, "the ] of the IPv6 address is missing", error);
		if (close[1])
			return rule->action == LAUNCH_NET_BIND && close[1] == ':' ? bad(rule, g_not_translated, error) :
				bad(rule, "the ] is followed by something else than the port", error);
		*close = '\0';
		rule->family = AF_INET6;
		rule->prefix = 128;
	} else {
		rule->family = AF_INET;
		rule->prefix = 32;
	}
	const char *last = strrchr(text, ':'); /* of "ADDRESS:PORT", from which another port was taken already */

	last = last && rule->family == AF_INET ? last + 1 : text;
	if (inet_pton(rule->family, text, rule->address) != 1) {
		if (*last && strspn(last, "0123456789") == strlen(last) && rule->action == LAUNCH_NET_BIND)
			return bad(rule, g_not_translated, error);
		return bad(rule, "not an IPv4 address or an IPv6 address in brackets (names are not resolved)", error);
	}
	if (prefix && rule->action == LAUNCH_NET_BIND)
		return bad(rule, "a prefix makes sense only in what may be connected to", error);
	return prefix ? parse_prefix(prefix, rule, error) : 0;
}

static int add_rule(struct config_cvm *cvm, const struct parsed_rule *rule, uint16_t family, uint16_t prefix,
		    const void *address, struct config_error *error)
{
	if (cvm->net_rules == LAUNCH_NET_RULES_MAX)
		return config_fail(error, "too many network rules (at most %d; an address of * needs two)",
				   LAUNCH_NET_RULES_MAX);
	struct launch_net_rule *r = &cvm->net_rule[cvm->net_rules++];

	*r = (struct launch_net_rule){
		.action = (uint16_t)rule->action,
		.protocol = rule->protocol,
		.port_first = rule->port_first,
		.port_last = rule->port_last,
		.family = family,
		.prefix = prefix,
	};
	memcpy(r->address, address, family == AF_INET ? 4 : 16);
	return 0;
}

static int add_rules(struct config_cvm *cvm, const struct parsed_rule *rule, struct config_error *error)
{
	static const uint8_t v4_localhost[4] = {127, 0, 0, 1}, v6_localhost[16] = {[15] = 1}, zero[16];
	int ret;

	if (rule->any_family) {
		ret = add_rule(cvm, rule, AF_INET, 0, zero, error);
		return ret ? ret : add_rule(cvm, rule, AF_INET6, 0, zero, error);
	}
	if (rule->localhost) {
		ret = add_rule(cvm, rule, AF_INET, 32, v4_localhost, error);
		return ret ? ret : add_rule(cvm, rule, AF_INET6, 128, v6_localhost, error);
	}
	return add_rule(cvm, rule, rule->family, rule->prefix, rule->address, error);
}

int value_net_rule(const char *text, enum launch_net_action action, struct config_cvm *cvm, struct config_error *error)
{
	struct parsed_rule rule = {.text = text, .action = action, .protocol = IPPROTO_TCP};
	char *copy = xstrdup(text);
	int ret = -EINVAL;

	size_t size = strlen(copy);
	if (size > 4 && strcmp(copy + size - 4, "/udp") == 0) {
		rule.protocol = IPPROTO_UDP;
		copy[size - 4] = '\0';
	} else if (size > 4 && strcmp(copy + size - 4, "/tcp") == 0) {
		copy[size - 4] = '\0';
	}
	/* The port follows the last colon outside brackets. */
	char *bracket = strrchr(copy, ']');
	char *colon = strrchr(bracket ? bracket : copy, ':');
	char *ports = copy;
	if (colon) {
		*colon = '\0';
		ports = colon + 1;
		if (!bracket && strchr(copy, ':') && strspn(copy, "0123456789abcdefABCDEF:") == strlen(copy)) {
			ret = bad(&rule, "an IPv6 address needs brackets", error);
			goto out;
		}
		ret = parse_address(copy, &rule, error);
	} else if (action == LAUNCH_NET_BIND && !bracket) {
		rule.any_family = true;
		ret = 0;
	} else {
		ret = bad(&rule, "the port is missing", error);
	}
	if (ret == 0)
		ret = parse_ports(ports, &rule, error);
	if (ret == 0)
		ret = add_rules(cvm, &rule, error);
out:
	free(copy);
	return ret;
}

int value_net_any(struct config_cvm *cvm, struct config_error *error)
{
	static const char *const texts[] = {"*:*/tcp", "*:*/udp"};

	for (unsigned i = 0; i < 2; i++) {
		int ret = value_net_rule(texts[i], LAUNCH_NET_BIND, cvm, error);
		if (ret == 0)
			ret = value_net_rule(texts[i], LAUNCH_NET_CONNECT, cvm, error);
		if (ret)
			return ret;
	}
	return 0;
}
