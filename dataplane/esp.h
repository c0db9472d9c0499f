// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Sealing and opening ESP packets (RFC 4303) in bursts: from the ESP header to the check value, in
// contiguous memory, in place. Knows no SA table, no packet buffers and no policy.
#pragma once

#include <rte_common.h>

#include "dataplane/esp_key.h"

// RFC 4303 section 2.
struct esp_hdr {
	uint32_t spi_be;
	uint32_t seq_be;
} __attribute__((packed, aligned(2)));
static_assert(sizeof(struct esp_hdr) == 8, "ESP header");

enum {
	ESP_HDR_LEN = sizeof(struct esp_hdr),
	ESP_TRAILER_LEN = 2, // pad length, next header
	ESP_BURST = 64,
};

// One packet to be sealed or opened.
struct esp_op {
	uint8_t *packet; // begins at the ESP header
	uint32_t len; // from the ESP header to the next header byte, without the check value
	bool is_esn;
	bool is_good; // opened: its check value is right
	uint64_t seq;
	const struct esp_suite *suite;
	const struct esp_key *key;
	// The rest is scratch.
	uint8_t nonce[ESP_IV_MAX], aad[16];
	uint8_t received[ESP_ICV_MAX], tag[ESP_ICV_MAX];
};

// Bytes in front of what is protected.
static inline unsigned int esp_head_len(const struct esp_suite *suite)
{
	return ESP_HDR_LEN + suite->iv_len;
}

// Bytes behind a payload of len bytes: padding, trailer, check value.
static inline unsigned int esp_tail_len(const struct esp_suite *suite, uint32_t len)
{
	return ESP_TRAILER_LEN + (-(len + ESP_TRAILER_LEN) & (suite->align - 1u)) + suite->icv_len;
}

// The longest payload that makes no more than room bytes of ESP.
static inline uint32_t esp_room(const struct esp_suite *suite, uint32_t room)
{
	return ((room - esp_head_len(suite) - suite->icv_len) & ~(suite->align - 1u)) -
	       ESP_TRAILER_LEN;
}

// Writes padding and trailer behind a payload of len bytes: at is where the payload ends.
void esp_trailer_put(const struct esp_suite *suite, uint8_t *at, uint32_t len, uint8_t next_header);

// Seals n packets that have payload and trailer; behind each is room for the check value. Writes sequence
// number, IV and check value. site, and the number, make every IV of a key its own (RFC 4106 section 3.1).
// Thread: the one of mgr.
void esp_seal(IMB_MGR *mgr, struct esp_op *ops, unsigned int n, uint8_t site);

// Opens n packets with the check value behind each; those with is_good are decrypted. Every len was
// checked with esp_len_is_sound.
void esp_open(IMB_MGR *mgr, struct esp_op *ops, unsigned int n);

// Whether a packet of so many bytes, without its check value, can be one of this suite.
static inline bool esp_len_is_sound(const struct esp_suite *suite, uint32_t len)
{
	uint32_t head = esp_head_len(suite);

	return len >= head + RTE_MAX(suite->align, (uint8_t)4) && (len - head) % suite->align == 0;
}

// Takes padding and trailer off an opened packet. Returns: the bytes of its payload with *next_header, or
// negative when the padding is not such (RFC 4303 section 2.4).
int esp_trailer_take(const struct esp_op *op, uint8_t *next_header);

// Makes a manager for one thread in locked memory. Returns: owned, or NULL with the reason logged.
IMB_MGR *esp_manager_new(void);
void esp_manager_free(IMB_MGR *mgr);
