// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The records that unwired-dataplane and unwired-control exchange over one AF_UNIX SOCK_SEQPACKET
// socket (RUN_DIR/dataplane.sock; the dataplane listens, one control process at a time).
//
// A message is 1..n records back to back, at most API_MSG_MAX bytes, in host byte order (both ends
// are one machine and one release; the hello refuses anything else). Records of a connection take
// effect in the order they were sent: a binding that stands before a packet is in the table before
// the packet leaves.
//
//   connect     both sides send HELLO first; a wrong version or size closes the connection.
//   fill        control: SYNC_BEGIN, AGENT_SET..., HOME_PREFIX_SET..., BINDING_SET..., SYNC_END.
//               What was not set again between the two is stale; the dataplane sweeps it unless
//               that is more than API_SWEEP_MAX_PERCENT of what it had at SYNC_BEGIN, or anything
//               at all of what another store filled in. Then it answers with -ECANCELED in
//               SYNC_DONE, and again with every change of the number of stale entries, and keeps
//               them until a forced SYNC_END, at most for the orphan hold; after that it sweeps
//               them and says so with SYNC_DONE 0.
//   run         control: BINDING_SET / BINDING_DEL, PACKET_OUT. Dataplane: PUNT, COUNTERS (final
//               ones of every entry that was replaced or removed), BINDING_ERR.
//   credit      BINDING_SET and BINDING_DEL with API_REC_BULK count against a window of
//               API_BULK_WINDOW records; CREDIT gives back as many as were taken in. So a resync
//               never stands in front of an answer for longer than the window takes.
//   punts       The dataplane has at most API_PUNT_WINDOW punts on their way; PUNT_CREDIT gives back as
//               many as control is done with. What comes beyond waits in the dataplane, which thereby
//               measures what control takes in.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

#define API_SOCKET_NAME "dataplane.sock"

enum {
	API_VERSION = 2,
	API_MSG_MAX = 60 * 1024, // below the default socket buffer's largest message
	API_BULK_WINDOW = 4096, // records
	API_PUNT_WINDOW = 1024, // records
	API_MAX_CARE_OF = 8,
	API_MAX_AGENTS = 256,
	API_MAX_HOME_PREFIXES = 1024,
	API_NO_ENCAP_LIMIT = 256,
	API_PACKET_MAX = 9216, // largest packet that is punted or sent
	API_SWEEP_MAX_PERCENT = 5,
};

enum api_type {
	API_HELLO = 1, // both ways, first
	API_SYNC_BEGIN, // down
	API_SYNC_END, // down
	API_SYNC_DONE, // up
	API_AGENT_SET, // down
	API_HOME_PREFIX_SET, // down
	API_BINDING_SET, // down
	API_BINDING_DEL, // down
	API_BINDING_ERR, // up
	API_COUNTERS_GET, // down
	API_COUNTERS, // up
	API_CREDIT, // up
	API_PACKET_OUT, // down
	API_PUNT, // up
	API_PUNT_CREDIT, // down
	API_TYPE_MAX,
};

// Flags of a record.
enum {
	API_REC_BULK = 0x01, // BINDING_SET, BINDING_DEL: counts against the credit window
};

// Head of every record.
struct api_rec {
	uint16_t type; // enum api_type
	uint16_t flags; // API_REC_*
	uint32_t len; // whole record with this head and its padding, a multiple of 8
};
static_assert(sizeof(struct api_rec) == 8, "record head");

// Length of a record with `tail` bytes behind its fixed part, padded to 8.
static inline uint32_t api_rec_len(size_t fixed, size_t tail)
{
	return (uint32_t)((fixed + tail + 7) & ~(size_t)7);
}

struct api_hello {
	struct api_rec rec;
	uint32_t version; // API_VERSION
	uint32_t max_bindings; // capacity: of the table (up), that control reckons with (down)
	uint64_t instance; // random, of the sending process' life
	uint64_t
		store_id; // of control's store (down); of the store that filled the table last, 0 = empty (up)
	uint64_t generation; // of the store's contents: number of the newest log entry
	uint32_t n_bindings; // live entries (up); bindings in the store (down)
	uint32_t reserved;
};

struct api_sync_begin {
	struct api_rec rec;
	uint64_t sync_id; // chosen by control, comes back in SYNC_DONE
	uint32_t orphan_hold_s; // bindings live on this long without control, from now on
	uint32_t reserved;
};

struct api_sync_end {
	struct api_rec rec;
	uint64_t sync_id;
	uint32_t force; // 1: sweep whatever the share
	uint32_t reserved;
};

struct api_sync_done {
	struct api_rec rec;
	uint64_t sync_id;
	int32_t error; // 0 or -ECANCELED (sweep guard)
	uint32_t n_live; // entries after the sweep
	uint32_t n_stale; // entries swept, or that would have been
	uint32_t reserved;
};

// An address of ours that mobiles tunnel to. The dataplane puts it on its loopback.
struct api_agent_set {
	struct api_rec rec;
	uint16_t agent; // index below API_MAX_AGENTS, referred to by care-of entries
	uint16_t encap_limit; // of its tunnels, 0..255, or API_NO_ENCAP_LIMIT: without the option
	uint32_t domain; // of the mobiles that tunnel to it
	struct ip6 address;
};

// A prefix whose addresses are bound (home addresses, or later mobile networks).
struct api_home_prefix_set {
	struct api_rec rec;
	uint16_t home_prefix; // index 1..API_MAX_HOME_PREFIXES-1
	uint8_t key_len; // bits of an address that make the look-up key, prefix_len..128
	uint8_t prefix_len; // at least 16
	uint32_t domain;
	struct ip6 prefix;
};

// How packets reach a care-of address.
enum api_tunnel_mode {
	API_TUNNEL_IP6_IP6 = 1, // RFC 2473
};

// One tunnel of a binding.
struct api_care_of {
	struct ip6 address;
	uint16_t agent; // outer source address
	uint16_t bid; // RFC 5648, 0 without
	uint8_t mode; // enum api_tunnel_mode
	uint8_t priority;
	uint16_t port; // UDP, host order, 0 without
	uint32_t gre_key; // 0 without
	uint32_t sa_slot; // 0 without
};
static_assert(sizeof(struct api_care_of) == 32, "care-of");

// Adds or replaces the entry of a home address. handle is control's own number of the binding (it
// comes back in what the dataplane says of it), generation tells versions of it apart.
struct api_binding_set {
	struct api_rec rec;
	uint32_t handle;
	uint32_t generation;
	uint16_t home_prefix;
	uint16_t n_care_of; // 1..API_MAX_CARE_OF
	uint32_t reserved;
	struct ip6 home; // bits beyond the key length zero
	struct api_care_of care_of[];
};

struct api_binding_del {
	struct api_rec rec;
	uint32_t handle;
	uint32_t generation;
	uint16_t home_prefix;
	uint16_t reserved[3];
	struct ip6 home;
};

// The set of this handle and generation did not take effect: -ENOSPC (full), -ENOENT (home prefix
// or agent unknown), -EOPNOTSUPP (mode).
struct api_binding_err {
	struct api_rec rec;
	uint32_t handle;
	uint32_t generation;
	int32_t error;
	uint32_t reserved;
};

struct api_counters_get {
	struct api_rec rec;
	uint32_t handle;
	uint16_t home_prefix;
	uint16_t reserved;
	struct ip6 home;
};

// Counters of one version of a binding since that version was set. final = 1: the version is gone
// and this is its whole account; else a reading of the living one (an answer to COUNTERS_GET).
// generation 0 in an answer: there is no such entry.
struct api_counters {
	struct api_rec rec;
	uint32_t handle;
	uint32_t generation;
	uint64_t packets_down, bytes_down; // to the mobile, inner bytes
	uint64_t packets_up, bytes_up; // from the mobile
	uint32_t final;
	uint32_t reserved;
};

struct api_credit {
	struct api_rec rec;
	uint32_t n; // bulk records taken in since the last CREDIT
	uint32_t reserved;
};

// A whole IPv6 packet of ours to send; routed like any other, not counted as forwarded.
struct api_packet_out {
	struct api_rec rec;
	uint32_t packet_len;
	uint32_t reserved;
	uint8_t packet[];
};

// Why a packet was punted.
enum api_punt_lane {
	API_PUNT_MH = 1, // Mobility Header to an address of ours
};

// A whole IPv6 packet for control with what the dataplane knows of its way here, which no sender
// can forge.
struct api_punt {
	struct api_rec rec;
	uint8_t lane; // enum api_punt_lane
	uint8_t tunnelled; // 1: came inside a tunnel with the outer addresses below
	uint16_t port; // index of the ingress port
	uint32_t packet_len;
	struct ip6 outer_src; // of the tunnel; else of the packet itself
	struct ip6 outer_dst;
	uint32_t sa_slot; // of the SA that protected it, 0 = none
	uint32_t reserved;
	uint8_t packet[];
};

struct api_punt_credit {
	struct api_rec rec;
	uint32_t n; // punts that control is done with since the last PUNT_CREDIT
	uint32_t reserved;
};

#define API_ASSERT_SIZE(type) static_assert(sizeof(struct type) % 8 == 0, #type)
API_ASSERT_SIZE(api_hello);
API_ASSERT_SIZE(api_sync_begin);
API_ASSERT_SIZE(api_sync_end);
API_ASSERT_SIZE(api_sync_done);
API_ASSERT_SIZE(api_agent_set);
API_ASSERT_SIZE(api_home_prefix_set);
API_ASSERT_SIZE(api_binding_set);
API_ASSERT_SIZE(api_binding_del);
API_ASSERT_SIZE(api_binding_err);
API_ASSERT_SIZE(api_counters_get);
API_ASSERT_SIZE(api_counters);
API_ASSERT_SIZE(api_credit);
API_ASSERT_SIZE(api_packet_out);
API_ASSERT_SIZE(api_punt);
API_ASSERT_SIZE(api_punt_credit);
#undef API_ASSERT_SIZE

// The least length of a record of each type, 0 = unknown type. Both sides check it, and what
// depends on the variable tail, before they read a record.
static inline uint32_t api_min_len(uint16_t type)
{
	static const uint32_t min_len[API_TYPE_MAX] = {
		[API_HELLO] = sizeof(struct api_hello),
		[API_SYNC_BEGIN] = sizeof(struct api_sync_begin),
		[API_SYNC_END] = sizeof(struct api_sync_end),
		[API_SYNC_DONE] = sizeof(struct api_sync_done),
		[API_AGENT_SET] = sizeof(struct api_agent_set),
		[API_HOME_PREFIX_SET] = sizeof(struct api_home_prefix_set),
		[API_BINDING_SET] = sizeof(struct api_binding_set) + sizeof(struct api_care_of),
		[API_BINDING_DEL] = sizeof(struct api_binding_del),
		[API_BINDING_ERR] = sizeof(struct api_binding_err),
		[API_COUNTERS_GET] = sizeof(struct api_counters_get),
		[API_COUNTERS] = sizeof(struct api_counters),
		[API_CREDIT] = sizeof(struct api_credit),
		[API_PACKET_OUT] = sizeof(struct api_packet_out),
		[API_PUNT] = sizeof(struct api_punt),
		[API_PUNT_CREDIT] = sizeof(struct api_punt_credit),
	};

	return type < API_TYPE_MAX ? min_len[type] : 0;
}
