// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signalling between the mobile node and its home agent: Binding Updates out, whatever the home agent
// answers in, and its other packets behind a type 2 routing header. The kernel knows no type 2 routing header and would not hand these packets to a socket
// of theirs, so they are taken from a packet socket before it looks at them. (It then answers with an
// ICMPv6 Parameter Problem, which a home agent ignores.)
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "controlplane/auth.h"
#include "controlplane/codec/ip6chain.h"
#include "controlplane/codec/mh_parse.h"
#include "dataplane/base/addr.h"

enum {
	MESSAGE_KEY_MAX = 64, // bytes
	MESSAGE_MN_ID_MAX = 200, // characters of an NAI
	MESSAGE_PACKET_MAX = 65535, // bytes of what comes behind a routing header
};

// What identifies the mobile node to its home agent, and their shared key. RFC 4283, RFC 4285.
struct message_identity {
	char mn_id[MESSAGE_MN_ID_MAX + 1]; // NAI, empty without
	uint32_t spi;
	size_t key_len; // 0 without authentication
	uint8_t key[MESSAGE_KEY_MAX]; // never logged
};

// What a Binding Update says.
struct message_update {
	struct ip6 home_agent;
	struct ip6 home;
	struct ip6 care_of;
	uint16_t sequence;
	uint32_t lifetime_s; // sent in units of 4 s, rounded up; 0 ends the binding
	uint64_t mesg_id; // RFC 4285 section 6, sent with a key only
};

// Builds the whole IPv6 packet of a home registration: Home Address option, flags A and H, Alternate
// Care-of Address, and with a key the identifier, the timestamp and the authenticator.
// Returns: its length, or negative errno.
// RFC:     6275 section 11.7.1, 4285 section 5.1.
ssize_t message_build_update(void *buf, size_t size, const struct message_update *update,
	const struct message_identity *identity, struct auth *auth);

// Opens a packet socket for what home_agent sends as signalling or behind a routing header. Needs CAP_NET_RAW.
// Returns: a non-blocking descriptor, or negative errno.
int message_open(const struct ip6 *home_agent);

// Receives one packet from it that was sent to this host.
// Returns: its length, -EAGAIN: no more, other negative errno.
ssize_t message_recv(int fd, void *buf, size_t size);

enum message_verdict {
	MESSAGE_OK,
	MESSAGE_MALFORMED, // headers, checksum or options
	MESSAGE_STRANGER, // not from the home agent
};

// A message from the home agent. Borrows the packet.
struct message {
	struct ip6chain chain;
	struct mh mh;
};

// Reads a packet of the home agent's.
enum message_verdict message_parse(
	const void *packet, size_t len, const struct ip6 *home_agent, struct message *out);

// Checks the authenticator of an acknowledgement. Returns: AUTH_OK also when there is no key.
enum auth_result message_verify(const struct message *message,
	const struct message_identity *identity, struct auth *auth, const struct ip6 *care_of,
	const struct ip6 *home);
