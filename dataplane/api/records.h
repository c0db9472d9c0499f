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
//   fill        control: SYNC_BEGIN, AGENT_SET..., HOME_PREFIX_SET..., SA_SET..., BINDING_SET...,
//               SYNC_END.
//               What was not set again between the two is stale; the dataplane sweeps it unless
//               that is more than API_SWEEP_MAX_PERCENT of what it had at SYNC_BEGIN, or anything
//               at all of what another store filled in. Then it answers with -ECANCELED in
//               SYNC_DONE, and again with every change of the number of stale entries, and keeps
//               them until a forced SYNC_END, at most for the orphan hold; after that it sweeps
//               them and says so with SYNC_DONE 0.
//   run         control: BINDING_SET / BINDING_DEL, SA_SET / SA_DEL / SA_GRANT, PACKET_OUT.
//               Dataplane: PUNT, COUNTERS (final ones of every entry that was replaced or removed),
//               BINDING_ERR, SA_EVENT, SA_ERR.
//   credit      BINDING_SET, BINDING_DEL, SA_SET and SA_DEL with API_REC_BULK count against a window
//               of API_BULK_WINDOW records; CREDIT gives back as many as were taken in. So a resync
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
	API_VERSION = 3,
	API_MSG_MAX = 60 * 1024, // below the default socket buffer's largest message
	API_BULK_WINDOW = 4096, // records
	API_PUNT_WINDOW = 1024, // records
	API_MAX_CARE_OF = 8,
	API_MAX_AGENTS = 256,
	API_MAX_HOME_PREFIXES = 1024,
	API_NO_ENCAP_LIMIT = 256,
	API_PACKET_MAX = 9216, // largest packet that is punted or sent
	API_SWEEP_MAX_PERCENT = 5,
	API_SA_MAX_KEYS = 128, // bytes of both keys
	API_SA_MAX_WINDOW = 4096, // packets
	API_SPI_MIN = 256, // RFC 4303 section 2.1
	API_SA_PER_SLOT =
		4, // the dataplane has room for so many a slot, however they are shared out
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
	API_SA_SET, // down
	API_SA_DEL, // down
	API_SA_GRANT, // down
	API_SA_ERR, // up
	API_SA_EVENT, // up
	API_TYPE_MAX,
};

// Flags of a record.
enum {
	API_REC_BULK =
		0x01, // BINDING_SET, BINDING_DEL, SA_SET, SA_DEL: counts against the credit window
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
	uint32_t protect; // API_SA_BIT of each use that its mobiles may have only under an SA
	uint32_t reserved;
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

// A whole IPv6 packet of ours to send; routed like any other, not counted as forwarded. With a slot it
// leaves under that slot's SA of sa_use in transport mode: the dataplane puts ESP in front of what stands
// behind the routing header, if there is one (RFC 6275 section 6.4.1, RFC 3776 section 3.1). Without such
// an SA it is dropped.
struct api_packet_out {
	struct api_rec rec;
	uint32_t packet_len;
	uint32_t sa_slot; // 0 = none
	uint8_t sa_use; // enum api_sa_use, 0 = none
	uint8_t reserved[7];
	uint8_t packet[];
};

// Why a packet was punted.
enum api_punt_lane {
	API_PUNT_MH = 1, // Mobility Header to an address of ours
	API_PUNT_DISCOVERY = 2, // ICMPv6 Mobile Prefix Solicitation, under an SA
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
	uint8_t sa_use; // enum api_sa_use of that SA, 0 = none
	uint8_t reserved[3];
	uint8_t packet[]; // without ESP
};

struct api_punt_credit {
	struct api_rec rec;
	uint32_t n; // punts that control is done with since the last PUNT_CREDIT
	uint32_t reserved;
};

// --- Security associations (RFC 4301, RFC 4303) ----------------------------------------------------
//
// A slot is one mobile's home address at one agent address: stable, chosen by control, 1 and above. For
// each use and direction it holds the newest SA, and inbound the older one beside it until that is
// deleted; what a use sends goes under the SA set last. A binding's care-of entry names the slot, and its
// care-of address is the other end of the slot's tunnels: so both move in one publish.

// What an SA is for.
enum api_sa_use {
	API_SA_SIGNALLING = 1, // transport mode, Mobility Headers but those of return routability
	API_SA_DISCOVERY = 2, // transport mode, ICMPv6 Mobile Prefix Solicitation and Advertisement
	API_SA_ROUTABILITY = 3, // tunnel mode, Home Test Init and Home Test
	API_SA_PAYLOAD = 4, // tunnel mode, everything else
	API_SA_USE_MAX,
};

#define API_SA_BIT(use) (1u << (use))

enum api_sa_direction {
	API_SA_IN = 1, // from the mobile
	API_SA_OUT = 2,
	API_SA_DIRECTION_MAX,
};

// RFC 8221. The sizes of keys choose among AES-128 and AES-256.
enum api_sa_encryption {
	API_SA_AES_GCM_16 = 1, // RFC 4106; the key with its salt of 4 bytes behind it
	API_SA_CHACHA20_POLY1305, // RFC 7634; salt likewise
	API_SA_AES_CBC, // RFC 3602
	API_SA_NULL, // RFC 2410
	API_SA_3DES_CBC, // RFC 2451; only in builds with legacy_crypto
	API_SA_ENCRYPTION_MAX,
};

enum api_sa_authentication {
	API_SA_AEAD = 0, // the encryption does it
	API_SA_HMAC_SHA1_96, // RFC 2404
	API_SA_HMAC_SHA256_128, // RFC 4868
	API_SA_HMAC_SHA384_192,
	API_SA_HMAC_SHA512_256,
	API_SA_AUTHENTICATION_MAX,
};

enum {
	API_SA_ESN = 0x01, // extended sequence numbers, RFC 4303 section 2.2.1
	API_SA_LEARNED = 0x02, // of an IKE daemon, to be shown only
};

// Adds an SA. The same again (slot, use, direction, SPI and keys) keeps counters and window and raises
// the sequence only.
struct api_sa_set {
	struct api_rec rec;
	uint32_t slot;
	uint32_t spi; // host order, at least API_SPI_MIN
	uint8_t use; // enum api_sa_use
	uint8_t direction; // enum api_sa_direction
	uint8_t encryption; // enum api_sa_encryption
	uint8_t authentication; // enum api_sa_authentication
	uint8_t flags; // API_SA_*
	uint8_t protect; // API_SA_BIT of each use that this mobile may have only under an SA
	uint16_t agent; // index of the agent address
	uint16_t
		replay_window; // in: packets, a multiple of 32 up to API_SA_MAX_WINDOW, 0 = no check
	uint16_t enc_key_len; // bytes, with the salt
	uint16_t auth_key_len; // bytes, 0 with API_SA_AEAD
	uint16_t reserved;
	uint32_t domain; // of the home address
	uint32_t reserved2;
	struct ip6 home;
	uint64_t seq_next; // out: the first sequence number to use, at least 1
	uint64_t seq_limit; // out: the first that must not be used
	uint64_t life_packets; // both 0 = no limit
	uint64_t life_bytes;
	uint8_t keys[]; // enc_key_len bytes, then auth_key_len
};

// Names one SA.
struct api_sa_del {
	struct api_rec rec;
	uint32_t slot;
	uint32_t spi;
	uint8_t use;
	uint8_t direction;
	uint16_t agent;
	uint32_t reserved;
};

// Raises the limit of an outbound SA's sequence numbers.
struct api_sa_grant {
	struct api_rec rec;
	uint32_t slot;
	uint32_t spi;
	uint8_t use;
	uint8_t direction;
	uint16_t agent;
	uint32_t reserved;
	uint64_t seq_limit;
};

// The SA_SET of this SA did not take effect: -ENOSPC (full, or slot too high), -EEXIST (its SPI is another
// slot's), -EOPNOTSUPP (algorithms or key sizes), -ENOENT (agent or domain unknown).
struct api_sa_err {
	struct api_rec rec;
	uint32_t slot;
	uint32_t spi;
	uint8_t use;
	uint8_t direction;
	uint16_t agent;
	int32_t error;
};

enum api_sa_event_type {
	API_SA_LOW = 1, // outbound: three quarters of the grant are used; grant more
	API_SA_EXPIRED, // packets, bytes or sequence numbers are used up: it carries nothing any more
	API_SA_FINAL, // gone, with its account
};

struct api_sa_event {
	struct api_rec rec;
	uint32_t slot;
	uint32_t spi;
	uint8_t use;
	uint8_t direction;
	uint16_t agent;
	uint8_t event; // enum api_sa_event_type
	uint8_t reserved[3];
	uint64_t seq; // out: the next one to use; in: the highest seen
	uint64_t packets; // that passed every check
	uint64_t bytes;
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
API_ASSERT_SIZE(api_sa_set);
API_ASSERT_SIZE(api_sa_del);
API_ASSERT_SIZE(api_sa_grant);
API_ASSERT_SIZE(api_sa_err);
API_ASSERT_SIZE(api_sa_event);
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
		[API_SA_SET] = sizeof(struct api_sa_set),
		[API_SA_DEL] = sizeof(struct api_sa_del),
		[API_SA_GRANT] = sizeof(struct api_sa_grant),
		[API_SA_ERR] = sizeof(struct api_sa_err),
		[API_SA_EVENT] = sizeof(struct api_sa_event),
	};

	return type < API_TYPE_MAX ? min_len[type] : 0;
}
