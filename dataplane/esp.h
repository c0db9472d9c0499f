// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Sealing and opening ESP packets (RFC 4303) in bursts: from the ESP header to the check value, in
// contiguous memory, in place. Knows no SA table, no packet buffers and no policy.
#pragma once

#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
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
	uint64_t seq;
	uint32_t len; // from the ESP header to the next header byte, without the check value
	bool is_esn;
	bool is_good; // opened: its check value is right
	const struct esp_suite *suite;
	const struct esp_key *key;
	// What AEAD takes beside text and key: salt and IV; SPI and whole sequence number (RFC 4106 section 5).
	uint64_t nonce[2], aad[2];
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

// Writes padding and trailer behind a payload of len bytes: at is where the payload ends. The check value,
// for which there is room behind, comes after.
static inline void esp_trailer_put(
	const struct esp_suite *suite, uint8_t *at, uint32_t len, uint8_t next_header)
{
	// Of 0 to 3 bytes of padding, followed by their number. As the wire has it.
	static const uint8_t pads[4][8] = { { 0 }, { 1, 1 }, { 1, 2, 2 }, { 1, 2, 3, 3 } };
	unsigned int pad = -(len + ESP_TRAILER_LEN) & (suite->align - 1u);

	if (likely(pad <= 3)) {
		memcpy(at, pads[pad], 4);
	} else {
		for (unsigned int i = 0; i < pad; i++)
			at[i] = (uint8_t)(i + 1);
		at[pad] = (uint8_t)pad;
	}
	at[pad + 1] = next_header;
}

// Fills nonce and aad from the first 8 bytes of a packet and its IV, both in the order of the wire.
static inline void esp_beside_put(struct esp_op *op, uint64_t hdr, uint64_t iv)
{
	uint64_t high_be = rte_cpu_to_be_32((uint32_t)(op->seq >> 32));
	uint64_t aad = op->is_esn ? (uint32_t)hdr | high_be << 32 : hdr;
	uint32_t salt;

	memcpy(&salt, op->key->salt, sizeof(salt));
	op->nonce[0] = salt | iv << 32;
	op->nonce[1] = iv >> 32;
	op->aad[0] = aad;
	op->aad[1] = hdr >> 32; // without ESN nobody reads it
}

// Writes the IV of a CBC packet: the number under a key of its own (RFC 3602 section 3).
void esp_iv_put(IMB_MGR *mgr, const struct esp_op *op, uint64_t number_be);

// Writes ESP header and IV of a packet to be sealed. site, and the number, make every IV of a key its own
// (RFC 4106 section 3.1). Thread: the one of mgr.
static inline void esp_head_put(IMB_MGR *mgr, struct esp_op *op, uint32_t spi, uint8_t site)
{
	uint64_t number_be = rte_cpu_to_be_64((uint64_t)site << 56 | op->seq);
	uint64_t hdr = rte_cpu_to_be_64((uint64_t)spi << 32 | (uint32_t)op->seq);
	const struct esp_suite *suite = op->suite;
	uint8_t *packet = op->packet;

	if (likely(suite->authentication == API_SA_AEAD)) {
		esp_beside_put(op, hdr, number_be);
		memcpy(packet + ESP_HDR_LEN, &number_be, sizeof(number_be));
	} else if (suite->iv_len != 0) {
		esp_iv_put(mgr, op, number_be);
	}
	memcpy(packet, &hdr, sizeof(hdr));
}

// Seals n <= ESP_BURST packets that have head, payload and trailer; behind each is room for the check value.
// Thread: the one of mgr.
void esp_seal(IMB_MGR *mgr, struct esp_op *ops, unsigned int n);

// Opens n <= ESP_BURST packets with the check value behind each; those with is_good are decrypted. Every len
// was checked with esp_len_is_sound.
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
