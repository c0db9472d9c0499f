// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "config/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/addr.h"

enum { V4_BITS = 96 }; // of a v4-mapped address before the IPv4 one

// Writes what is wrong. Returns: -EINVAL.
static int __attribute__((format(printf, 2, 3)))
wrong(char what[static VALUE_FAULT_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, VALUE_FAULT_MAX, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int wrong_type(char what[static VALUE_FAULT_MAX], const char *wanted)
{
	return wrong(what, "is not %s", wanted);
}

static int check_range(
	const struct key *key, json_t *value, uint32_t *number, char what[static VALUE_FAULT_MAX])
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value))
		return wrong_type(what, "a whole number");
	if (n < (json_int_t)key->min || n > (json_int_t)key->max)
		return wrong(what, "%" JSON_INTEGER_FORMAT " is out of range", n);
	if (key->multiple != 0 && n % key->multiple != 0)
		return wrong(
			what, "%" JSON_INTEGER_FORMAT " is not a multiple of %u", n, key->multiple);
	*number = (uint32_t)n;
	return 0;
}

static int check_word(
	const struct key *key, json_t *value, uint32_t *number, char what[static VALUE_FAULT_MAX])
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return wrong_type(what, "a string");
	for (const struct key_word *w = key->words; w->text != NULL; w++) {
		if (w->text[0] != '\0' && strcmp(w->text, text) != 0)
			continue;
		if (w->is_later)
			return wrong(what, "\"%.64s\" is not available in this version", text);
		*number = w->value;
		return 0;
	}
	return wrong(what, "\"%.64s\" is unknown", text);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool is_device_char(char c)
{
	return c > ' ' && c < 0x7f;
}

static bool is_path_char(char c)
{
	return c != '\n';
}

static int check_text(const struct key *key, json_t *value, char what[static VALUE_FAULT_MAX])
{
	const char *text = json_string_value(value);
	bool (*is_fine)(char c) = key->type == KEY_NAME   ? is_name_char
				  : key->type == KEY_FILE ? is_path_char
							  : is_device_char;
	size_t len = json_string_length(value);

	if (text == NULL)
		return wrong_type(what, "a string");
	if (len < key->min || len > key->max)
		return wrong(what, "\"%.64s\" has %zu characters", text, len);
	for (const char *c = text; *c != '\0'; c++) {
		if (!is_fine(*c))
			return wrong(what, "\"%.64s\" has a wrong character", text);
	}
	if (key->type == KEY_DEVICE && text[0] == '-')
		return wrong(what, "\"%.64s\" begins with \"-\"", text);
	return 0;
}

static int check_endpoint(json_t *value, char what[static VALUE_FAULT_MAX])
{
	const char *text = json_string_value(value);
	const char *colon = text == NULL ? NULL : strrchr(text, ':');
	char host[IP6_STRLEN + 2];
	unsigned long port = 0;
	struct ip6 address;
	size_t len;

	if (text == NULL)
		return wrong_type(what, "a string");
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return wrong(what, "\"%.64s\" is no address and port", text);
	len = (size_t)(colon - text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		if (strchr(host, ':') == NULL || ip6_parse(host + 1, &address) != 0)
			return wrong(what, "\"%.64s\" has no valid address", text);
	} else if (strchr(host, ':') != NULL || ip6_parse(host, &address) != 0) {
		return wrong(what, "\"%.64s\" has no valid address", text);
	}
	for (const char *c = colon + 1; *c != '\0' && port <= 65535; c++)
		port = *c >= '0' && *c <= '9' ? port * 10 + (unsigned long)(*c - '0') : 65536;
	if (port < 1 || port > 65535)
		return wrong(what, "\"%.64s\" has no port in 1..65535", text);
	return 0;
}

// Nothing but comments inside.
static bool is_empty(json_t *value)
{
	const char *name;
	json_t *member;

	json_object_foreach (value, name, member) {
		if (strncmp(name, "//", 2) != 0)
			return false;
	}
	return json_array_size(value) == 0;
}

int value_check(
	const struct key *key, json_t *value, uint32_t *number, char what[static VALUE_FAULT_MAX])
{
	switch (key->type) {
	case KEY_NUMBER:
		return check_range(key, value, number, what);
	case KEY_BOOL:
		if (!json_is_boolean(value))
			return wrong_type(what, "a truth value");
		*number = json_is_true(value);
		return 0;
	case KEY_WORD:
	case KEY_WORD_BITS: // one of them
		return check_word(key, value, number, what);
	case KEY_ENDPOINT:
		return check_endpoint(value, what);
	case KEY_LATER_OBJECT:
		if (json_is_object(value) && is_empty(value))
			return 0;
		return wrong(what, "is not available in this version");
	case KEY_LATER_LIST:
		if (json_is_array(value) && is_empty(value))
			return 0;
		return wrong(what, "is not available in this version");
	case KEY_LATER_NUMBER:
		return wrong(what, "is not available in this version");
	default:
		return check_text(key, value, what);
	}
}

static int check_core(json_t *value, uint16_t *core, char what[static VALUE_FAULT_MAX])
{
	json_int_t n = json_integer_value(value);

	*core = UINT16_MAX;
	if (!json_is_integer(value))
		return wrong_type(what, "a whole number");
	if (n < 0 || n > KEY_CORE_MAX)
		return wrong(what, "%" JSON_INTEGER_FORMAT " is out of range", n);
	*core = (uint16_t)n;
	return 0;
}

// True when an interface can have the address: RFC 4291 section 2, RFC 1122 section 3.2.1.3.
static bool is_interface_address(const struct ip6 *a)
{
	const uint8_t *v4 = a->b + 12;

	if (ip6_is_v4mapped(a))
		return v4[0] != 0 && v4[0] != 127 && v4[0] < 224;
	return ip6_is_unicast_routable(a) || ip6_is_linklocal(a);
}

static int check_port_address(
	const char *text, struct ip6_prefix *at, char what[static VALUE_FAULT_MAX])
{
	struct ip6_prefix p;

	if (prefix_parse(text, true, &p) != 0)
		return wrong(what, "\"%.64s\" is no address with length", text);
	if (!is_interface_address(&p.addr))
		return wrong(what, "\"%.64s\" is no address for an interface", text);
	if (p.len == 0 || (ip6_is_v4mapped(&p.addr) && p.len <= V4_BITS))
		return wrong(what, "\"%.64s\" has no room for a subnet", text);
	*at = p;
	return 0;
}

static int check_home_prefix(
	const char *text, struct ip6_prefix *at, char what[static VALUE_FAULT_MAX])
{
	struct ip6_prefix p;

	if (prefix_parse(text, true, &p) != 0)
		return wrong(what, "\"%.64s\" is no prefix with length", text);
	if (prefix_parse(text, false, &p) != 0)
		return wrong(what, "\"%.64s\" has bits set behind its length", text);
	if (p.len < KEY_HOME_PREFIX_MIN || p.len > KEY_HOME_PREFIX_MAX)
		return wrong(what, "\"%.64s\" has a length out of range", text);
	if (!ip6_is_unicast_routable(&p.addr))
		return wrong(what, "\"%.64s\" is no unicast prefix", text);
	*at = p;
	return 0;
}

static int check_agent(const char *text, struct ip6 *at, char what[static VALUE_FAULT_MAX])
{
	struct ip6 a;

	if (ip6_parse(text, &a) != 0)
		return wrong(what, "\"%.64s\" is no address", text);
	if (!ip6_is_unicast_routable(&a))
		return wrong(what, "\"%.64s\" is not unicast routable", text);
	*at = a;
	return 0;
}

int value_check_element(
	const struct key *key, json_t *value, void *at, char what[static VALUE_FAULT_MAX])
{
	const char *text = json_string_value(value);
	uint32_t ignored;

	if (key->type == KEY_CORES)
		return check_core(value, at, what);
	if (key->type == KEY_WORDS)
		return check_word(key, value, &ignored, what);
	if (text == NULL)
		return wrong_type(what, "a string");
	switch (key->type) {
	case KEY_PORT_ADDRESSES:
		return check_port_address(text, at, what);
	case KEY_HOME_PREFIXES:
		return check_home_prefix(text, at, what);
	default:
		return check_agent(text, at, what);
	}
}
