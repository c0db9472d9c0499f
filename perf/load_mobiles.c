// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/load_mobiles.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/mesgid.h"
#include "dataplane/base/clock.h"
#include "mobile/message.h"

enum {
	KEY_LEN = 16,
	AES_KEY_LEN = 16,
	HMAC_KEY_LEN = 20,
	SPI_FIRST = 256, // of the SAs: two for a mobile
	MH_AT_BA = 40 + 24,
	STATUS_AT = 6,
	HOME_AT = 48,
	KIND_AT = 5, // the byte of an address that is another one for each kind
};

struct mobile {
	uint16_t sequence;
	uint16_t place;
	uint32_t due_us;
};

struct mobiles {
	uint32_t n;
	enum mobiles_proof proof;
	uint32_t *slots; // owned, of MOBILES_SECURED
	struct ip6 agent, home_prefix, care_of_prefix;
	struct auth *auth; // owned
	uint64_t last_mesg_id; // of any of them: rises
	struct mobile all[];
};

struct mobiles *mobiles_new(uint32_t n, enum mobiles_proof proof, const struct ip6 *agent,
	const struct ip6 *home_prefix, const struct ip6 *care_of_prefix)
{
	struct mobiles *m = calloc(1, sizeof(*m) + n * sizeof(m->all[0]));

	if (m == NULL)
		return NULL;
	m->n = n;
	for (uint32_t i = 0; i < n; i++)
		m->all[i].sequence =
			1; // a first use of memory would be taken for a wait for an answer
	m->proof = proof;
	m->agent = *agent;
	m->home_prefix = *home_prefix;
	m->agent.b[KIND_AT] += (uint8_t)proof;
	m->home_prefix.b[KIND_AT] += (uint8_t)proof;
	m->care_of_prefix = *care_of_prefix;
	m->last_mesg_id = mesgid_from_wall_ns(clock_wall_ns());
	m->auth = auth_new();
	m->slots = proof == MOBILES_SECURED ? calloc(n, sizeof(m->slots[0])) : NULL;
	if (m->auth == NULL || (proof == MOBILES_SECURED && m->slots == NULL)) {
		mobiles_free(m);
		errno = ENOMEM;
		return NULL;
	}
	return m;
}

void mobiles_free(struct mobiles *m)
{
	if (m == NULL)
		return;
	auth_free(m->auth);
	free(m->slots);
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
	struct message_identity identity = { .spi = MOBILES_SPI };
	struct message_update update = { .home_agent = m->agent, .home = home_of(m, i) };
	struct mobile *mobile = &m->all[i];

	if (m->proof == MOBILES_SIGNED) {
		identity.key_len = KEY_LEN;
		name_of(i, identity.mn_id);
		key_of(i, identity.key);
	}
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

// The mobile of a home address. Returns: false when it is none of these.
static bool number_of(const struct mobiles *m, const uint8_t *home, uint32_t *i)
{
	uint32_t number = 0;

	if (memcmp(home, m->home_prefix.b, 12) != 0)
		return false;
	for (int b = 0; b < 4; b++)
		number = number << 8 | home[12 + b];
	*i = number - 0x10000;
	return *i < m->n;
}

int mobiles_answered(
	const struct mobiles *m, const uint8_t *packet, size_t len, uint32_t *i, uint32_t *due_us)
{
	// IPv6, type 2 routing header with the home address, Mobility Header of type 6.
	if (len < MH_AT_BA + STATUS_AT + 6 || packet[6] != 43 || packet[42] != 2 ||
		packet[40] != 135 || packet[MH_AT_BA + 2] != 6 ||
		!number_of(m, packet + HOME_AT, i))
		return -1;
	*due_us = m->all[*i].due_us;
	return packet[MH_AT_BA + STATUS_AT];
}

void mobiles_note_slot(struct mobiles *m, const struct ip6 *home, uint32_t slot)
{
	uint32_t i;

	if (m->slots != NULL && number_of(m, home->b, &i))
		m->slots[i] = slot;
}

uint32_t mobiles_slot(const struct mobiles *m, uint32_t i)
{
	return m->slots != NULL ? m->slots[i] : 0;
}

static void put_hex(FILE *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%02x", bytes[i]);
}

static void write_signed(uint32_t i, const char *home, FILE *out)
{
	uint8_t key[KEY_LEN];
	char name[32];

	key_of(i, key);
	name_of(i, name);
	fprintf(out,
		"{\"mn_id\": \"%s\", \"home_addresses\": [\"%s\"], \"keys\": [{\"spi\": %d, "
		"\"algorithm\": \"hmac-sha1\", \"key\": \"",
		name, home, MOBILES_SPI);
	put_hex(out, key, sizeof(key));
	fprintf(out, "\"}]}\n");
}

// One association for signalling each way, as RFC 3776 has them.
static void write_secured(uint32_t i, const char *home, FILE *out)
{
	fprintf(out, "{\"home_addresses\": [\"%s\"], \"security_associations\": [", home);
	for (uint32_t way = 0; way < 2; way++) {
		uint64_t material[5];
		const uint8_t *bytes = (const void *)material;

		for (uint64_t part = 0; part < 5; part++)
			material[part] = mix((uint64_t)(2 * i + way) << 8 | part);
		fprintf(out,
			"%s{\"use\": \"signalling\", \"direction\": \"%s\", \"spi\": %u, "
			"\"encryption\": \"aes-cbc\", \"encryption_key\": \"",
			way == 0 ? "" : ", ", way == 0 ? "in" : "out", SPI_FIRST + 2 * i + way);
		put_hex(out, bytes, AES_KEY_LEN);
		fprintf(out,
			"\", \"authentication\": \"hmac-sha1-96\", \"authentication_key\": \"");
		put_hex(out, bytes + AES_KEY_LEN, HMAC_KEY_LEN);
		fprintf(out, "\"}");
	}
	fprintf(out, "]}\n");
}

int mobiles_write_subscribers(const struct mobiles *m, FILE *out)
{
	for (uint32_t i = 0; i < m->n && m->proof != MOBILES_OPEN; i++) {
		struct ip6 home = home_of(m, i);
		char address[IP6_STRLEN];

		ip6_str(&home, address);
		if (m->proof == MOBILES_SIGNED)
			write_signed(i, address, out);
		else
			write_secured(i, address, out);
	}
	return ferror(out) || fflush(out) != 0 ? -errno : 0;
}
