// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The mobile's security associations with its home agent: signalling and prefix discovery in transport
// mode, home test messages and payload in tunnel mode (RFC 3776). A file like a line of the home agent's
// subscribers has them, with the directions as the mobile sees them:
//
//   {"security_associations": [{"use": "signalling", "direction": "out", ...}, ...], "protect": ["payload"]}
//
// Next to it stands FILE.sequence: numbers are reserved in it before they are used, so that a restart goes
// on behind them. IVs of encryptions with a counter begin with the time of day in nanoseconds.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "mobile/esp.h"

struct security;

// Reads the file; what is wrong goes to err.
// Returns: owned associations, or NULL with errno.
struct security *security_open(const char *path, FILE *err);

// Wipes and frees. NULL is fine.
void security_close(struct security *security);

// True when packets of this use leave under an association. security may be NULL.
bool security_has(const struct security *security, uint8_t use);

// True when packets of this use count under an association only: there is an inbound one, or the file says
// so.
bool security_needs(const struct security *security, uint8_t use);

// The use of a packet that goes through the tunnel: API_SA_ROUTABILITY or API_SA_PAYLOAD.
uint8_t security_use_of(const uint8_t *packet, size_t len);

// Puts ESP into a whole IPv6 packet behind its extension headers, in front of payload_at, where next_header
// was. The packet has room for ESP_OVERHEAD_MAX more.
// Returns: its new length, or negative errno (-ENOENT: no association).
ssize_t security_seal_transport(
	struct security *security, uint8_t use, uint8_t *packet, size_t len);

// Takes ESP out of a whole IPv6 packet in transport mode, with or without a type 2 routing header.
// Returns: its new length with the use in *use; -ENOENT (no ESP); -EBADMSG, -EALREADY, as esp_open;
// -EPERM (what it carries is not for the association's use).
ssize_t security_open_transport(
	struct security *security, uint8_t *packet, size_t len, uint8_t *use);

// Seals a packet for the tunnel. Returns: length of what begins with the ESP header, in out, or negative
// errno (-ENOENT: no association).
ssize_t security_seal_tunnel(
	struct security *security, uint8_t use, const uint8_t *packet, size_t len, uint8_t *out);

// Opens what came through the tunnel, in place. Returns: length of the inner packet, or negative errno.
ssize_t security_open_tunnel(struct security *security, uint8_t *packet, size_t len);

// Bytes that the tunnel's packets are longer than plain ones, at most.
size_t security_tunnel_overhead(const struct security *security);

// Writes a line for every association, as key=value.
void security_report(const struct security *security, FILE *out);
