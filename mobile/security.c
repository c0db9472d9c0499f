// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/security.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/codec/ip6chain.h"
#include "controlplane/codec/mh.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/cursor.h"
#include "dataplane/base/log.h"
#include "dataplane/base/wire.h"

enum {
	RESERVE = 65536, // numbers of an association that a writing of the file is good for
	PATH_LEN = 4096,
	PACKET_MAX = 65575,
	PAYLOAD_LEN_AT = 4, // in the IPv6 header
};

struct security {
	char path[PATH_LEN]; // of the numbers
	struct associations read; // as the file has them
	unsigned int n;
	struct esp list[ASSOCIATION_MAX];
	uint64_t reserved[ASSOCIATION_MAX]; // numbers up to here may be used
	uint8_t scratch[PACKET_MAX + ESP_OVERHEAD_MAX];
};

// ---- the files

static int read_associations(struct security *s, const char *path, FILE *err)
{
	char reason[ASSOCIATION_REASON_LEN] = "";
	json_error_t where;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	const json_t *list = json_object_get(root, "security_associations");
	const json_t *protect = json_object_get(root, "protect");
	int error = -EINVAL;

	// Jansson's own words may repeat the text, and so a key.
	if (root == NULL)
		fprintf(err, "unwired-mobile: %s: cannot be read, or is not JSON (line %d)\n", path,
			where.line);
	else if (list == NULL)
		fprintf(err, "unwired-mobile: %s: security_associations is missing\n", path);
	else
		error = association_read_list(list, &s->read, reason);
	if (error == 0 && protect != NULL)
		error = association_read_protect(protect, &s->read, reason);
	if (error == 0)
		error = association_check(&s->read, reason);
	if (reason[0] != '\0')
		fprintf(err, "unwired-mobile: %s: %s\n", path, reason);
	json_decref(root);
	return error;
}

// Takes over the numbers that a life before has reserved.
static void read_numbers(struct security *s)
{
	FILE *f = fopen(s->path, "re");
	uint64_t end;
	uint32_t spi;

	if (f == NULL)
		return;
	while (fscanf(f, "%" SCNu32 " %" SCNu64, &spi, &end) == 2) {
		for (unsigned int i = 0; i < s->n; i++) {
			struct esp *esp = &s->list[i];

			if (esp->sa.direction == API_SA_OUT && esp->sa.spi == spi &&
				end > esp->sequence)
				esp->sequence = end;
		}
	}
	fclose(f);
}

static int write_numbers(const struct security *s)
{
	char path[PATH_LEN + 8];
	int error = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s.new", s->path);
	f = fopen(path, "we");
	if (f == NULL)
		return -errno;
	for (unsigned int i = 0; i < s->n; i++)
		if (s->list[i].sa.direction == API_SA_OUT)
			fprintf(f, "%" PRIu32 " %" PRIu64 "\n", s->list[i].sa.spi, s->reserved[i]);
	if (fflush(f) != 0 || fsync(fileno(f)) != 0)
		error = -errno;
	fclose(f);
	if (error == 0 && rename(path, s->path) != 0)
		error = -errno;
	return error;
}

// Sees to it that the next number may be used. Returns: 0 or negative errno.
static int reserve(struct security *s, unsigned int i)
{
	int error;

	if (s->list[i].sequence < s->reserved[i])
		return 0;
	s->reserved[i] = s->list[i].sequence + RESERVE;
	error = write_numbers(s);
	if (error != 0) {
		s->reserved[i] = s->list[i].sequence;
		log_err("sequence_not_reserved file=%s error=\"%s\"", s->path, strerror(-error));
	}
	return error;
}

struct security *security_open(const char *path, FILE *err)
{
	struct security *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t now_ns = clock_wall_ns();

	if (s == MAP_FAILED)
		return NULL;
	madvise(s, sizeof(*s), MADV_DONTDUMP);
	if (mlock(s, sizeof(*s)) != 0)
		log_warn("keys_not_locked error=\"%s\"", strerror(errno));
	if (snprintf(s->path, sizeof(s->path), "%s.sequence", path) >= (int)sizeof(s->path) ||
		read_associations(s, path, err) != 0) {
		security_close(s);
		errno = EINVAL;
		return NULL;
	}
	s->n = s->read.n;
	for (unsigned int i = 0; i < s->n; i++)
		s->list[i] = (struct esp){ .sa = s->read.list[i], .iv = now_ns };
	read_numbers(s);
	for (unsigned int i = 0; i < s->n; i++)
		s->reserved[i] = s->list[i].sequence;
	return s;
}

void security_close(struct security *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s, sizeof(*s));
	munmap(s, sizeof(*s));
}

// ---- which

static int find(const struct security *s, uint8_t use, uint8_t direction)
{
	for (unsigned int i = 0; s != NULL && i < s->n; i++)
		if (s->list[i].sa.use == use && s->list[i].sa.direction == direction)
			return (int)i;
	return -ENOENT;
}

bool security_has(const struct security *s, uint8_t use)
{
	return find(s, use, API_SA_OUT) >= 0;
}

bool security_needs(const struct security *s, uint8_t use)
{
	return s != NULL &&
	       (find(s, use, API_SA_IN) >= 0 || (s->read.protect & API_SA_BIT(use)) != 0);
}

uint8_t security_use_of(const uint8_t *packet, size_t len)
{
	struct ip6chain chain;

	if (ip6chain_parse(packet, len, &chain) != IP6CHAIN_OK || chain.proto != PROTO_MH ||
		chain.payload_len < 3)
		return API_SA_PAYLOAD;
	switch (chain.packet[chain.payload_at + 2]) {
	case MH_HOTI:
	case MH_HOT:
		return API_SA_ROUTABILITY;
	default:
		return API_SA_PAYLOAD;
	}
}

// What a transport mode association of this use may carry.
static bool is_for(uint8_t use, uint8_t next_header)
{
	return (use == API_SA_SIGNALLING && next_header == PROTO_MH) ||
	       (use == API_SA_DISCOVERY && next_header == PROTO_ICMP6);
}

// ---- transport mode

// The byte that says what the payload is: of the IPv6 header, or of the last extension header.
static uint8_t *next_header_of(uint8_t *packet, const struct ip6chain *chain)
{
	size_t at = sizeof(struct ip6_hdr_wire),
	       next_at = offsetof(struct ip6_hdr_wire, next_header);

	while (at < chain->payload_at) {
		next_at = at;
		at += ((size_t)packet[at + 1] + 1) * 8;
	}
	return packet + next_at;
}

static void set_len(uint8_t *packet, size_t len)
{
	struct wcursor w = wcursor_make(packet + PAYLOAD_LEN_AT, 2);

	wcursor_u16(&w, (uint16_t)(len - sizeof(struct ip6_hdr_wire)));
}

ssize_t security_seal_transport(struct security *s, uint8_t use, uint8_t *packet, size_t len)
{
	int i = find(s, use, API_SA_OUT);
	struct ip6chain chain;
	ssize_t n;
	int error;

	if (i < 0)
		return i;
	if (ip6chain_parse(packet, len, &chain) != IP6CHAIN_OK)
		return -EINVAL;
	error = reserve(s, (unsigned int)i);
	if (error != 0)
		return error;
	n = esp_seal(
		&s->list[i], chain.proto, packet + chain.payload_at, chain.payload_len, s->scratch);
	if (n < 0)
		return n;
	*next_header_of(packet, &chain) = PROTO_ESP;
	memcpy(packet + chain.payload_at, s->scratch, (size_t)n);
	set_len(packet, chain.payload_at + (size_t)n);
	return (ssize_t)chain.payload_at + n;
}

// The inbound association that a packet names. Returns: its index or -ENOENT.
static int find_inbound(const struct security *s, const uint8_t *esp, size_t len)
{
	struct rcursor c = rcursor_make(esp, len);
	uint32_t spi = rcursor_u32(&c);

	for (unsigned int i = 0; c.ok && i < s->n; i++)
		if (s->list[i].sa.direction == API_SA_IN && s->list[i].sa.spi == spi)
			return (int)i;
	return -ENOENT;
}

ssize_t security_open_transport(struct security *s, uint8_t *packet, size_t len, uint8_t *use)
{
	struct ip6chain chain;
	uint8_t next_header;
	ssize_t n;
	int i;

	if (s == NULL || ip6chain_parse(packet, len, &chain) != IP6CHAIN_OK ||
		chain.proto != PROTO_ESP)
		return -ENOENT;
	i = find_inbound(s, packet + chain.payload_at, chain.payload_len);
	if (i < 0 || s->list[i].sa.use > API_SA_DISCOVERY)
		return -ENOENT;
	n = esp_open(&s->list[i], packet + chain.payload_at, chain.payload_len, s->scratch,
		&next_header);
	if (n < 0)
		return n;
	*use = s->list[i].sa.use;
	if (!is_for(*use, next_header))
		return -EPERM;
	*next_header_of(packet, &chain) = next_header;
	memcpy(packet + chain.payload_at, s->scratch, (size_t)n);
	set_len(packet, chain.payload_at + (size_t)n);
	return (ssize_t)chain.payload_at + n;
}

// ---- tunnel mode

ssize_t security_seal_tunnel(
	struct security *s, uint8_t use, const uint8_t *packet, size_t len, uint8_t *out)
{
	int i = find(s, use, API_SA_OUT);
	int error;

	if (i < 0)
		return i;
	error = reserve(s, (unsigned int)i);
	return error != 0 ? error : esp_seal(&s->list[i], PROTO_IPV6, packet, len, out);
}

ssize_t security_open_tunnel(struct security *s, uint8_t *packet, size_t len)
{
	int i = s != NULL ? find_inbound(s, packet, len) : -ENOENT;
	uint8_t next_header;
	ssize_t n;

	if (i < 0 || s->list[i].sa.use < API_SA_ROUTABILITY)
		return -ENOENT;
	n = esp_open(&s->list[i], packet, len, s->scratch, &next_header);
	if (n < 0)
		return n;
	if (next_header != PROTO_IPV6 ||
		security_use_of(s->scratch, (size_t)n) != s->list[i].sa.use)
		return -EPERM;
	memcpy(packet, s->scratch, (size_t)n);
	return n;
}

size_t security_tunnel_overhead(const struct security *s)
{
	int i = find(s, API_SA_PAYLOAD, API_SA_OUT);

	return i < 0 ? 0 : esp_overhead(&s->list[i]);
}

void security_report(const struct security *s, FILE *out)
{
	for (unsigned int i = 0; s != NULL && i < s->n; i++) {
		const struct esp *esp = &s->list[i];

		fprintf(out,
			"sa=%" PRIu32 " use=%s direction=%s encryption=%s sequence=%" PRIu64
			" packets=%" PRIu64 " bytes=%" PRIu64 "\n",
			esp->sa.spi, association_use_name(esp->sa.use),
			association_direction_name(esp->sa.direction),
			association_encryption_name(esp->sa.encryption), esp->sequence,
			esp->packets, esp->bytes);
	}
}
