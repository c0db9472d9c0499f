// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Security associations with keys by hand, as the subscribers' file and the mobile's own file list
// them:
//
//   [{"use": "signalling", "direction": "in", "spi": 2000, "encryption": "aes-cbc",
//     "encryption_key": "00..", "authentication": "hmac-sha1-96", "authentication_key": "00.."}, ...]
//
// with "esn", "replay_window", "lifetime_packets", "lifetime_bytes" and "lifetime_s" where wanted. The
// direction is that of the one who reads the file. The key of aes-gcm-16 and chacha20-poly1305 has its
// salt of 4 bytes behind it.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/api/records.h"

enum {
	ASSOCIATION_MAX = 12, // of one mobile: each use both ways, and one older inbound beside it
	ASSOCIATION_KEY_MAX = 64, // bytes of one key
	ASSOCIATION_REASON_LEN = 256,
	ASSOCIATION_BYTES_MAX = 2 + ASSOCIATION_MAX * (40 + 2 * ASSOCIATION_KEY_MAX),
};

struct association {
	uint32_t spi;
	uint8_t use; // enum api_sa_use
	uint8_t direction; // enum api_sa_direction
	uint8_t encryption; // enum api_sa_encryption
	uint8_t authentication; // enum api_sa_authentication
	bool has_esn;
	uint8_t enc_key_len, auth_key_len;
	uint16_t replay_window; // inbound: packets, 0 = no check
	uint32_t lifetime_s; // of these three, 0 = no limit
	uint64_t life_packets, life_bytes;
	uint8_t enc_key[ASSOCIATION_KEY_MAX]; // keys are never logged
	uint8_t auth_key[ASSOCIATION_KEY_MAX];
};

// Those of one mobile.
struct associations {
	uint8_t n;
	uint8_t protect; // API_SA_BIT of each use that goes under ESP only, beside the network's
	struct association list[ASSOCIATION_MAX];
};

// Reads the array "security_associations". Outbound there is one of each use, inbound at most two; a key
// of an encryption with a counter (association_has_counter) stands nowhere twice.
// Returns: 0, or -EINVAL with "field: reason" in reason (no key in it).
// RFC:     4106, 4868, 3602, 7634; 6275 section 10.4.6: no null encryption of home test messages.
int association_read_list(
	const json_t *value, struct associations *out, char reason[static ASSOCIATION_REASON_LEN]);

// Reads the array "protect". Returns: as above.
int association_read_protect(
	const json_t *value, struct associations *out, char reason[static ASSOCIATION_REASON_LEN]);

// Checks that there is an association each way for everything in out->protect. Returns: as above.
int association_check(const struct associations *all, char reason[static ASSOCIATION_REASON_LEN]);

// As association_read_list checks, of a list that was not read from a file.
int association_check_list(
	const struct associations *all, char reason[static ASSOCIATION_REASON_LEN]);

// True when the keys have the sizes that the algorithms take.
bool association_has_sound_keys(const struct association *a);

// True when two packets under the same key and number would give the plain text away: AES-GCM, ChaCha20.
bool association_has_counter(const struct association *a);

// What stands for an association where its keys must not: a digest. With home of one without a counter
// it stands for this very association of this mobile; else for its algorithms and keys alone, since those
// must not be used twice whoever has them. home: NULL without.
struct association_mark {
	uint8_t b[16];
};
void association_mark(
	const struct association *a, const struct ip6 *home, struct association_mark *out);

// True when both have the same algorithms and keys.
bool association_has_same_keys(const struct association *a, const struct association *b);

// Writes *all for the index; size is at least ASSOCIATION_BYTES_MAX. Returns: its length.
size_t association_pack(const struct associations *all, uint8_t *buf, size_t size);

// Reads what association_pack wrote. Returns: 0 or -EBADMSG.
int association_unpack(const void *data, size_t len, struct associations *out);

// The words of the file.
const char *association_use_name(uint8_t use);
const char *association_direction_name(uint8_t direction);
const char *association_encryption_name(uint8_t encryption);
const char *association_authentication_name(uint8_t authentication); // "none" for an AEAD
