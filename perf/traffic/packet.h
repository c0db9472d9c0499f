// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The packets of the generator: how they are made and what a received one tells. Pure functions on bytes.
//
// A measured packet is UDP with a mark of 16 bytes: what it is, a number of its own and when it left.
// Towards mobiles it goes out plain and comes back in a tunnel, from mobiles the other way round.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perf/traffic/options.h"

enum { PACKET_HEADERS_MAX = 14 + 40 + 40 + 8 + 16 };

// In network order nowhere: only this program reads it.
struct packet_mark {
	uint16_t magic;
	uint8_t direction : 1;
	uint8_t lane : 7; // that sent it
	uint8_t trial; // so that a straggler of an old trial counts nowhere
	uint32_t number; // of that lane and direction
	uint64_t sent_tsc;
} __attribute__((packed));

enum packet_kind {
	PACKET_FOREIGN, // not ours
	PACKET_OURS,
	PACKET_STRAY, // ours, but to an address where it must not be: a promise broken
	PACKET_SOLICITATION, // somebody looks for a link-layer address
	PACKET_BOUND, // a Binding Acknowledgement with status 0 or 1
	PACKET_REFUSED, // one with another status
};

struct packet_seen {
	enum packet_kind kind;
	struct packet_mark mark; // OURS
	uint32_t mobile; // BOUND, REFUSED
	uint8_t status; // REFUSED
	uint16_t sequence; // REFUSED: number of the update, or what the next must be greater than
};

// Addresses of mobile i, which is below options->n_mobiles.
struct ip6 packet_home(const struct options *options, uint32_t i);
struct ip6 packet_care_of(const struct options *options, uint32_t i);

// Writes the headers and the mark of a measured packet to or from a mobile into frame, whose rest up to
// the frame's end is zeroes. size: of the plain frame. source: MAC of the port.
// Returns: length of the frame, size or more.
uint16_t packet_write(uint8_t *frame, const struct options *options, enum direction direction,
	uint32_t mobile, uint16_t size, const struct rte_ether_addr *source,
	const struct packet_mark *mark);

// Writes a Binding Update of mobile i, home registration, without authentication. Returns: its length.
uint16_t packet_write_update(uint8_t *frame, const struct options *options, uint32_t mobile,
	uint16_t sequence, const struct rte_ether_addr *source);

// What a frame of len bytes, received at a side, is.
struct packet_seen packet_read(
	const uint8_t *frame, size_t len, const struct options *options, enum side side);

// Turns a solicitation of len bytes into the advertisement of our own address. Returns: its length.
uint16_t packet_answer(uint8_t *frame, const struct rte_ether_addr *own);
