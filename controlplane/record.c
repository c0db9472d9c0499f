// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <endian.h>
#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/record.h"
#include "dataplane/base/cursor.h"

enum { RECORD_VERSION = 1 };

// The fixed part, all integers little-endian.
struct record_wire {
	uint32_t sum; // of the number and all that follows
	uint8_t version;
	uint8_t state;
	uint8_t mn_id_len;
	uint8_t mode;
	uint32_t handle;
	uint32_t domain;
	struct ip6 home;
	struct ip6 care_of;
	struct ip6 agent;
	uint16_t bid;
	uint16_t port;
	uint32_t gre_key;
	uint32_t generation;
	uint32_t lifetime_s;
	uint16_t sequence;
	uint16_t flags;
	uint8_t priority;
	uint8_t reserved[3];
	uint64_t boot_tag;
	uint64_t expires_boot_ns;
	uint64_t expires_wall_ns;
	uint64_t mesg_id;
	uint64_t registered_at_s;
	uint64_t packets_down, bytes_down;
	uint64_t packets_up, bytes_up;
} __attribute__((packed));
static_assert(sizeof(struct record_wire) == 160, "version 1 of the store");
static_assert(sizeof(struct record_wire) + BCE_MN_ID_MAX <= RECORD_MAX, "longest record");

uint64_t record_boot_tag(const uint8_t boot_id[static 16])
{
	return XXH3_64bits(boot_id, 16);
}

static uint32_t sum_of(const uint8_t *data, size_t len, uint64_t number)
{
	return (uint32_t)XXH3_64bits_withSeed(
		data + sizeof(uint32_t), len - sizeof(uint32_t), number);
}

size_t record_encode(const struct record *r, uint64_t number, uint8_t buf[static RECORD_MAX])
{
	const struct bce *b = &r->entry.bce;
	struct record_wire w = {
		.version = RECORD_VERSION,
		.state = b->state,
		.mn_id_len = b->mn_id_len,
		.mode = b->care_of.mode,
		.handle = htole32(r->entry.handle),
		.domain = htole32(b->domain),
		.home = b->home,
		.care_of = b->care_of.address,
		.agent = r->entry.agent,
		.bid = htole16(b->care_of.bid),
		.port = htole16(b->care_of.port),
		.gre_key = htole32(b->care_of.gre_key),
		.generation = htole32(b->generation),
		.lifetime_s = htole32(b->lifetime_s),
		.sequence = htole16(b->sequence),
		.flags = htole16(b->flags),
		.priority = b->care_of.priority,
		.boot_tag = htole64(r->boot_tag),
		.expires_boot_ns = htole64(b->expires_ns),
		.expires_wall_ns = htole64(r->expires_wall_ns),
		.mesg_id = htole64(b->mesg_id),
		.registered_at_s = htole64(b->registered_at_s),
		.packets_down = htole64(b->packets_down),
		.bytes_down = htole64(b->bytes_down),
		.packets_up = htole64(b->packets_up),
		.bytes_up = htole64(b->bytes_up),
	};
	size_t len = sizeof(w) + b->mn_id_len;
	uint32_t sum;

	memcpy(buf, &w, sizeof(w));
	memcpy(buf + sizeof(w), b->mn_id, b->mn_id_len);
	sum = htole32(sum_of(buf, len, number));
	memcpy(buf, &sum, sizeof(sum));
	return len;
}

static void fill(struct record *out, const struct record_wire *w)
{
	*out = (struct record){
		.boot_tag = le64toh(w->boot_tag),
		.expires_wall_ns = le64toh(w->expires_wall_ns),
		.entry = {
			.handle = le32toh(w->handle),
			.agent = w->agent,
			.bce = {
				.home = w->home,
				.domain = le32toh(w->domain),
				.generation = le32toh(w->generation),
				.care_of = {
					.address = w->care_of,
					.bid = le16toh(w->bid),
					.mode = w->mode,
					.priority = w->priority,
					.port = le16toh(w->port),
					.gre_key = le32toh(w->gre_key),
				},
				.expires_ns = le64toh(w->expires_boot_ns),
				.mesg_id = le64toh(w->mesg_id),
				.packets_down = le64toh(w->packets_down),
				.bytes_down = le64toh(w->bytes_down),
				.packets_up = le64toh(w->packets_up),
				.bytes_up = le64toh(w->bytes_up),
				.registered_at_s = (uint32_t)le64toh(w->registered_at_s),
				.lifetime_s = le32toh(w->lifetime_s),
				.sequence = le16toh(w->sequence),
				.flags = le16toh(w->flags),
				.state = w->state,
				.mn_id_len = w->mn_id_len,
			},
		},
	};
}

int record_decode(const void *data, size_t len, uint64_t number, struct record *out)
{
	struct rcursor c = rcursor_make(data, len);
	struct record_wire w;

	rcursor_copy(&c, &w, sizeof(w));
	if (!c.ok || w.version != RECORD_VERSION || le32toh(w.sum) != sum_of(data, len, number))
		return -EBADMSG;
	if (w.state != BCE_LIVE && w.state != BCE_HOLD)
		return -EBADMSG;
	if (w.mn_id_len > BCE_MN_ID_MAX || rcursor_left(&c) != w.mn_id_len)
		return -EBADMSG;
	fill(out, &w);
	rcursor_copy(&c, out->entry.bce.mn_id, w.mn_id_len);
	return 0;
}

int record_handle(const void *data, size_t len, uint32_t *handle)
{
	struct rcursor c = rcursor_make(data, len);
	struct record_wire w;

	rcursor_copy(&c, &w, sizeof(w));
	if (!c.ok || w.version != RECORD_VERSION)
		return -EBADMSG;
	*handle = le32toh(w.handle);
	return 0;
}
