// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/load_mobiles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/mesgid.h"
#include "dataplane/base/clock.h"
#include "mobile/message.h"

enum { KEY_LEN = 16, MH_AT_BA = 40 + 24, STATUS_AT = 6, HOME_AT = 48 };

struct mobile {
	uint16_t sequence;
	uint16_t place;
	uint32_t due_us;
};

struct mobiles {
	uint32_t n;
	struct ip6 agent, home_prefix, care_of_prefix;
	struct auth *auth; // owned
	uint64_t last_mesg_id; // of any of them: rises
	struct mobile all[];
};

struct mobiles *mobiles_new(uint32_t n, const struct ip6 *agent, const struct ip6 *home_prefix,
	const struct ip6 *care_of_prefix)
{
	struct mobiles *m = calloc(1, sizeof(*m) + n * sizeof(m->all[0]));

	if (m == NULL)
		return NULL;
	m->n = n;
	m->agent = *agent;
	m->home_prefix = *home_prefix;
	m->care_of_prefix = *care_of_prefix;
	m->last_mesg_id = mesgid_from_wall_ns(clock_wall_ns());
	m->auth = auth_new();
	if (m->auth == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void mobiles_free(struct mobiles *m)
{
	if (m == NULL)
		return;
	auth_free(m->auth);
	free(m);
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static struct ip6 home_of(const struct mobiles *m, uint32_t i)
{
	struct ip6 home = m->home_prefix;

	put_u32(home.b + 12, i + 0x10000);
	return home;
}

static struct ip6 care_of_of(const struct mobiles *m, uint32_t i)
{
	struct ip6 care_of = m->care_of_prefix;

	// A /64 for every mobile and place: senders are policed by it.
	put_u32(care_of.b + 4, i);
	care_of.b[11] = 1;
	put_u32(care_of.b + 12, m->all[i].place + 1u);
	return care_of;
}

// The finaliser of SplitMix64: keys that look random and can be made again.
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static void key_of(uint32_t i, uint8_t key[static KEY_LEN])
{
	uint64_t parts[2] = { mix(2ULL * i), mix(2ULL * i + 1) };

	memcpy(key, parts, KEY_LEN);
}

static void name_of(uint32_t i, char name[static 32])
{
	static const char digits[] = "0123456789abcdef";

	memcpy(name, "m-00000000@example.net", 23);
	for (int d = 0; d < 8; d++)
		name[2 + d] = digits[i >> (28 - 4 * d) & 15];
}

// Now, but later than any before.
static uint64_t new_mesg_id(struct mobiles *m)
{
	uint64_t id = mesgid_from_wall_ns(clock_wall_ns());

	if (!mesgid_is_later(id, m->last_mesg_id))
		id = m->last_mesg_id + 1;
	m->last_mesg_id = id;
	return id;
}

ssize_t mobiles_build(struct mobiles *m, uint32_t i, enum mobiles_update what, uint32_t lifetime_s,
	uint32_t due_us, uint8_t packet[static MOBILES_PACKET_MAX])
{
	struct message_identity identity = { .spi = MOBILES_SPI, .key_len = KEY_LEN };
	struct message_update update = { .home_agent = m->agent, .home = home_of(m, i) };
	struct mobile *mobile = &m->all[i];

	name_of(i, identity.mn_id);
	key_of(i, identity.key);
	if (what == MOBILES_BOGUS) {
		identity.key[0] ^= 1;
	} else {
		mobile->sequence++;
		mobile->place += what == MOBILES_HANDOVER;
		mobile->due_us = due_us;
	}
	update.care_of = care_of_of(m, i);
	update.sequence = mobile->sequence;
	update.lifetime_s = lifetime_s;
	update.mesg_id = new_mesg_id(m);
	return message_build_update(packet, MOBILES_PACKET_MAX, &update, &identity, m->auth);
}

int mobiles_answered(
	const struct mobiles *m, const uint8_t *packet, size_t len, uint32_t *i, uint32_t *due_us)
{
	uint32_t number = 0;

	// IPv6, type 2 routing header with the home address, Mobility Header of type 6.
	if (len < MH_AT_BA + STATUS_AT + 6 || packet[6] != 43 || packet[42] != 2 ||
		packet[40] != 135 || packet[MH_AT_BA + 2] != 6 ||
		memcmp(packet + HOME_AT, m->home_prefix.b, 12) != 0)
		return -1;
	for (int b = 0; b < 4; b++)
		number = number << 8 | packet[HOME_AT + 12 + b];
	number -= 0x10000;
	if (number >= m->n)
		return -1;
	*i = number;
	*due_us = m->all[number].due_us;
	return packet[MH_AT_BA + STATUS_AT];
}

int mobiles_write_subscribers(const struct mobiles *m, FILE *out)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct ip6 home = home_of(m, i);
		uint8_t key[KEY_LEN];
		char address[IP6_STRLEN], name[32], hex[2 * KEY_LEN + 1];

		key_of(i, key);
		name_of(i, name);
		for (int b = 0; b < KEY_LEN; b++)
			snprintf(hex + 2 * b, 3, "%02x", key[b]);
		fprintf(out,
			"{\"mn_id\": \"%s\", \"home_addresses\": [\"%s\"], \"keys\": [{\"spi\": "
			"%d, \"algorithm\": \"hmac-sha1\", \"key\": \"%s\"}]}\n",
			name, ip6_str(&home, address), MOBILES_SPI, hex);
	}
	return ferror(out) || fflush(out) != 0 ? -errno : 0;
}
