// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/subscriber_line.h"
#include "dataplane/base/cursor.h"
#include "dataplane/base/hex.h"

enum {
	SPI_MIN = 256, // RFC 4285 section 5: 0 to 255 are reserved
	LIFETIME_MAX_S = 65535 * 4, // RFC 6275 section 6.1.7
};

__attribute__((format(printf, 2, 3))) static int refuse(char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, SUBSCRIBER_REASON_LEN, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int read_mn_id(const json_t *value, struct subscriber *out, char *reason)
{
	size_t len = json_string_length(value);

	if (!json_is_string(value) || len == 0 || len > BCE_MN_ID_MAX)
		return refuse(reason, "mn_id: must be a string of 1 to %d octets", BCE_MN_ID_MAX);
	memcpy(out->mn_id, json_string_value(value), len);
	out->mn_id_len = (uint8_t)len;
	return 0;
}

static int read_homes(const json_t *value, struct subscriber *out, char *reason)
{
	size_t n = json_array_size(value);

	if (!json_is_array(value) || n > SUBSCRIBER_MAX_HOMES)
		return refuse(reason, "home_addresses: must be an array of at most %d addresses",
			SUBSCRIBER_MAX_HOMES);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(value, i));
		struct ip6 *home = &out->homes[i];

		if (text == NULL || ip6_parse(text, home) != 0 || !ip6_is_unicast_routable(home))
			return refuse(reason,
				"home_addresses[%zu]: must be a unicast routable IPv6 address", i);
		for (size_t j = 0; j < i; j++) {
			if (ip6_eq(&out->homes[j], home))
				return refuse(
					reason, "home_addresses[%zu]: %s is listed twice", i, text);
		}
	}
	out->n_homes = (uint8_t)n;
	return 0;
}

// Reads the bytes of a key; the text is never repeated in a reason.
static int read_key_bytes(const json_t *value, struct subscriber_key *key)
{
	const char *text = json_string_value(value);
	size_t len = text == NULL ? 0 : json_string_length(value);

	if (len < 2 * SUBSCRIBER_KEY_MIN || len > 2 * SUBSCRIBER_KEY_MAX ||
		!hex_read(text, len, key->key))
		return -EINVAL;
	key->len = (uint8_t)(len / 2);
	return 0;
}

static int read_key(json_t *value, size_t i, struct subscriber_key *key, char *reason)
{
	const char *name;
	json_t *member;

	if (!json_is_object(value))
		return refuse(reason, "keys[%zu]: must be an object", i);
	json_object_foreach (value, name, member) {
		if (strcmp(name, "spi") == 0) {
			json_int_t spi = json_integer_value(member);

			if (!json_is_integer(member) || spi < SPI_MIN || spi > UINT32_MAX)
				return refuse(reason, "keys[%zu].spi: must be %d to 4294967295", i,
					SPI_MIN);
			key->spi = (uint32_t)spi;
		} else if (strcmp(name, "algorithm") == 0) {
			const char *text = json_string_value(member);

			if (text == NULL || strcmp(text, "hmac-sha1") != 0)
				return refuse(
					reason, "keys[%zu].algorithm: must be \"hmac-sha1\"", i);
			key->algorithm = SUBSCRIBER_HMAC_SHA1;
		} else if (strcmp(name, "key") == 0) {
			if (read_key_bytes(member, key) != 0)
				return refuse(reason,
					"keys[%zu].key: must be %d to %d bytes in hex", i,
					SUBSCRIBER_KEY_MIN, SUBSCRIBER_KEY_MAX);
		} else if (strncmp(name, "//", 2) != 0) {
			return refuse(reason,
				"keys[%zu]: unknown member (spi, algorithm, key are known)", i);
		}
	}
	if (key->spi == 0 || key->algorithm == 0 || key->len == 0)
		return refuse(reason, "keys[%zu]: spi, algorithm and key must be there", i);
	return 0;
}

static int read_keys(const json_t *value, struct subscriber *out, char *reason)
{
	size_t n = json_array_size(value);

	if (!json_is_array(value) || n > SUBSCRIBER_MAX_KEYS)
		return refuse(
			reason, "keys: must be an array of at most %d keys", SUBSCRIBER_MAX_KEYS);
	for (size_t i = 0; i < n; i++) {
		int err = read_key(json_array_get(value, i), i, &out->keys[i], reason);

		if (err != 0)
			return err;
		for (size_t j = 0; j < i; j++) {
			if (out->keys[j].spi == out->keys[i].spi)
				return refuse(reason, "keys[%zu].spi: %u is there twice", i,
					out->keys[i].spi);
		}
	}
	out->n_keys = (uint8_t)n;
	return 0;
}

static int read_allowed(const json_t *value, struct subscriber *out, char *reason)
{
	if (!json_is_boolean(value))
		return refuse(reason, "allowed: must be true or false");
	out->is_allowed = json_is_true(value);
	return 0;
}

static int read_lifetime(const json_t *value, struct subscriber *out, char *reason)
{
	json_int_t s = json_integer_value(value);

	if (!json_is_integer(value) || s < 4 || s > LIFETIME_MAX_S || s % 4 != 0)
		return refuse(reason, "max_lifetime_s: must be a multiple of 4 from 4 to %d",
			LIFETIME_MAX_S);
	out->max_lifetime_s = (uint32_t)s;
	return 0;
}

static int read_agent(const json_t *value, struct subscriber *out, char *reason)
{
	const char *text = json_string_value(value);

	if (text == NULL || ip6_parse(text, &out->agent) != 0 || ip6_is_any(&out->agent))
		return refuse(reason, "agent_address: must be an IPv6 address");
	return 0;
}

static_assert((int)SUBSCRIBER_REASON_LEN >= (int)ASSOCIATION_REASON_LEN, "room for its reasons");

static const struct {
	const char *name;
	int (*read)(const json_t *value, struct subscriber *out, char *reason);
} members[] = {
	{ "mn_id", read_mn_id },
	{ "home_addresses", read_homes },
	{ "keys", read_keys },
	{ "allowed", read_allowed },
	{ "max_lifetime_s", read_lifetime },
	{ "agent_address", read_agent },
};

static int read_member(const char *name, const json_t *value, struct subscriber *out,
	struct associations *all, char *reason)
{
	if (strncmp(name, "//", 2) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (strcmp(name, members[i].name) == 0)
			return members[i].read(value, out, reason);
	}
	if (strcmp(name, "security_associations") == 0)
		return association_read_list(value, all, reason);
	if (strcmp(name, "protect") == 0)
		return association_read_protect(value, all, reason);
	return refuse(reason,
		"%.40s: unknown (mn_id, home_addresses, keys, allowed, max_lifetime_s, "
		"security_associations, protect, agent_address are known)",
		name);
}

// What belongs together.
static int check(const struct subscriber *s, const struct associations *all, char *reason)
{
	if (s->mn_id_len == 0 && s->n_homes == 0)
		return refuse(reason, "line: mn_id or home_addresses must be there");
	if (all->n > 0 && s->n_homes != 1)
		return refuse(
			reason, "home_addresses: must be one address with security_associations");
	if (all->n == 0 && !ip6_is_any(&s->agent))
		return refuse(reason, "agent_address: is for security_associations only");
	return association_check(all, reason);
}

int subscriber_line_parse(const char *text, size_t len, struct subscriber *out,
	struct associations *all, char reason[static SUBSCRIBER_REASON_LEN])
{
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	const char *name;
	json_t *value;
	int err = 0;

	// Jansson's own words may repeat the text, and so a key.
	if (root == NULL)
		return refuse(reason, "line: not JSON, at column %d", error.column);
	*out = (struct subscriber){ .is_allowed = true };
	all->n = 0;
	all->protect = 0;
	if (!json_is_object(root))
		err = refuse(reason, "line: must be an object");
	json_object_foreach (root, name, value) {
		if (err == 0)
			err = read_member(name, value, out, all, reason);
	}
	if (err == 0)
		err = check(out, all, reason);
	json_decref(root);
	return err;
}

size_t subscriber_line_pack(const struct subscriber *s, uint8_t *buf, size_t size)
{
	struct wcursor c = wcursor_make(buf, size);

	wcursor_u32(&c, s->line);
	wcursor_u32(&c, s->max_lifetime_s);
	wcursor_u8(&c, s->is_allowed);
	wcursor_u8(&c, s->mn_id_len);
	wcursor_u8(&c, s->n_homes);
	wcursor_u8(&c, s->n_keys);
	wcursor_bytes(&c, s->mn_id, s->mn_id_len);
	wcursor_bytes(&c, s->homes, s->n_homes * sizeof(s->homes[0]));
	for (int i = 0; i < s->n_keys; i++) {
		wcursor_u32(&c, s->keys[i].spi);
		wcursor_u8(&c, s->keys[i].algorithm);
		wcursor_u8(&c, s->keys[i].len);
		wcursor_bytes(&c, s->keys[i].key, s->keys[i].len);
	}
	return wcursor_len(&c);
}

int subscriber_line_unpack(const void *data, size_t len, struct subscriber *out)
{
	struct rcursor c = rcursor_make(data, len);

	out->line = rcursor_u32(&c); // arrays beyond their counts stay as they are
	out->max_lifetime_s = rcursor_u32(&c);
	out->is_allowed = rcursor_u8(&c) != 0;
	out->mn_id_len = rcursor_u8(&c);
	out->n_homes = rcursor_u8(&c);
	out->n_keys = rcursor_u8(&c);
	if (out->mn_id_len > BCE_MN_ID_MAX || out->n_homes > SUBSCRIBER_MAX_HOMES ||
		out->n_keys > SUBSCRIBER_MAX_KEYS)
		return -EBADMSG;
	rcursor_copy(&c, out->mn_id, out->mn_id_len);
	rcursor_copy(&c, out->homes, out->n_homes * sizeof(out->homes[0]));
	for (int i = 0; i < out->n_keys; i++) {
		struct subscriber_key *key = &out->keys[i];

		key->spi = rcursor_u32(&c);
		key->algorithm = rcursor_u8(&c);
		key->len = rcursor_u8(&c);
		if (key->len > SUBSCRIBER_KEY_MAX)
			return -EBADMSG;
		rcursor_copy(&c, key->key, key->len);
	}
	return c.ok && rcursor_left(&c) == 0 ? 0 : -EBADMSG;
}
