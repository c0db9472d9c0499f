// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Packets and addresses for the tests of codec and decisions.
#pragma once

#include <stdio.h>

#include "controlplane/codec/mh_build.h"
#include "controlplane/codec/mh_parse.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"
#include "tests/unit/base/suite.h"

#define N_ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

// Stops the test program on a bad address, so a typo cannot pass for a case.
static inline struct ip6 ip(const char *text)
{
	struct ip6 a;

	if (ip6_parse(text, &a) != 0)
		abort();
	return a;
}

// Reads "0102 03" into out; returns the number of bytes.
static inline size_t from_hex(const char *text, uint8_t *out)
{
	unsigned int byte;
	int used;
	size_t n = 0;

	for (; sscanf(text, " %2x%n", &byte, &used) == 1; text += used)
		out[n++] = (uint8_t)byte;
	return n;
}

enum { PACKET_ROOM = 4096 };

// A packet in the making: headers, then whatever is put behind them.
struct packet {
	struct ip6chain_head head;
	struct ip6 home, routed;
	uint8_t bytes[PACKET_ROOM];
	size_t len;
	size_t mh_at;
};

// Puts a Mobility Header given as bytes behind the headers, with its checksum set right over len bytes.
static inline void packet_put_mh(struct packet *p, const uint8_t *mh, size_t len)
{
	p->mh_at = ip6chain_head_len(&p->head);
	uint8_t *at = p->bytes + p->mh_at;

	memcpy(at, mh, len);
	memset(at + 4, 0, 2);
	uint16_t sum_be = cksum_ip6(p->head.home != NULL ? p->head.home : &p->head.src,
		p->head.routed != NULL ? p->head.routed : &p->head.dst, PROTO_MH, at, len);

	memcpy(at + 4, &sum_be, sizeof(sum_be));
	p->len = (size_t)ip6chain_write(p->bytes, sizeof(p->bytes), &p->head, PROTO_MH, len);
}

static inline enum mh_verdict packet_parse(
	const struct packet *p, struct ip6chain *c, struct mh *mh)
{
	CU_ASSERT_EQUAL_FATAL(ip6chain_parse(p->bytes, p->len, c), IP6CHAIN_OK);
	return mh_parse(c, mh);
}
