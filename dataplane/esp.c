// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/esp.h"

#include <string.h>

#include <rte_prefetch.h>

#include "dataplane/base/log.h"
#include "dataplane/locked.h"

enum {
	NONCE_LEN = 12, // RFC 4106 section 4, RFC 7634 section 2: salt and IV
	AHEAD = 4, // packets whose keys are under way
	SHORT = 112, // bytes of a packet whose powers of the hash key stand in two lines
};

IMB_MGR *esp_manager_new(void)
{
	void *memory = locked_new(imb_get_mb_mgr_size());
	IMB_MGR *mgr = memory == NULL ? NULL : imb_set_pointers_mb_mgr(memory, 0, 1);

	if (memory == NULL)
		return NULL;
	if (mgr != NULL)
		init_mb_mgr_auto(mgr, NULL);
	if (mgr == NULL || imb_get_errno(mgr) != 0) {
		log_err("esp_failed reason=\"%s\"",
			imb_get_strerror(mgr == NULL ? imb_get_errno(NULL) : imb_get_errno(mgr)));
		locked_free(memory, imb_get_mb_mgr_size());
		return NULL;
	}
	return mgr;
}

void esp_manager_free(IMB_MGR *mgr)
{
	locked_free(mgr, imb_get_mb_mgr_size());
}

int esp_trailer_take(const struct esp_op *op, uint8_t *next_header)
{
	const uint8_t *end = op->packet + op->len;
	uint32_t left = op->len - esp_head_len(op->suite) - ESP_TRAILER_LEN;
	uint8_t pad = end[-2];

	if (pad > left)
		return -1;
	for (unsigned int i = 0; i < pad; i++) {
		if (end[-2 - (int)pad + (int)i] != i + 1)
			return -1;
	}
	*next_header = end[-1];
	return (int)(left - pad);
}

// --- What the check value covers beside the packet -------------------------------------------------

static void beside_put(struct esp_op *op)
{
	uint64_t hdr, iv;

	memcpy(&hdr, op->packet, sizeof(hdr));
	memcpy(&iv, op->packet + ESP_HDR_LEN, sizeof(iv));
	esp_beside_put(op, hdr, iv);
}

static inline unsigned int aad_len(const struct esp_op *op)
{
	return op->is_esn ? 12 : 8;
}

// HMAC: the high half of the number stands behind the packet while it is computed (RFC 4303 section
// 3.4.4.1). Returns: bytes covered.
static uint32_t esn_put(struct esp_op *op)
{
	uint32_t high_be = rte_cpu_to_be_32((uint32_t)(op->seq >> 32));

	if (!op->is_esn)
		return op->len;
	memcpy(op->packet + op->len, &high_be, sizeof(high_be));
	return op->len + (uint32_t)sizeof(high_be);
}

// Fetches the keys that AES-GCM needs for a packet: the rounds, and the powers of the hash key, of which the
// library keeps the lowest last and a packet takes one for each block, up to all.
static inline void key_prefetch(const struct esp_op *op)
{
	enum { LINE = RTE_CACHE_LINE_SIZE, END = RTE_ALIGN_CEIL(ESP_GCM_END, LINE) };
	const char *key = (const char *)&op->key->gcm;

	if (op->len > SHORT || op->suite->key_len != IMB_KEY_128_BYTES) {
		for (unsigned int at = 0; at < END; at += LINE)
			rte_prefetch0(key + at);
		return;
	}
	for (unsigned int at = 0; at < 16 * 11; at += LINE)
		rte_prefetch0(key + at);
	rte_prefetch0(key + END - LINE);
	rte_prefetch0(key + END - 2 * LINE);
}

// Takes the same time whatever the bytes are. Every check value has a multiple of 4 bytes.
static bool is_same(const uint8_t *a, const uint8_t *b, unsigned int len)
{
	uint32_t differs = 0, x, y;

	for (unsigned int i = 0; i < len; i += sizeof(x)) {
		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, b + i, sizeof(y));
		differs |= x ^ y;
		__asm__("" : "+r"(differs)); // so that the compiler ends it no sooner
	}
	return differs == 0;
}

// --- AES-GCM -----------------------------------------------------------------------------------------

// It has no lanes to fill: the library's own function costs less than a job.
static inline void gcm(
	IMB_MGR *mgr, struct esp_op *op, struct gcm_context_data *context, uint8_t *tag, bool seals)
{
	uint8_t *text = op->packet + ESP_HDR_LEN + ESP_AEAD_IV_LEN;
	uint64_t len = op->len - ESP_HDR_LEN - ESP_AEAD_IV_LEN;
	aes_gcm_enc_dec_t run;

	if (likely(op->suite->key_len == IMB_KEY_128_BYTES))
		run = seals ? mgr->gcm128_enc : mgr->gcm128_dec;
	else
		run = seals ? mgr->gcm256_enc : mgr->gcm256_dec;
	run(&op->key->gcm, context, text, text, len, (const uint8_t *)op->nonce,
		(const uint8_t *)op->aad, aad_len(op), tag, ESP_AEAD_ICV_LEN);
}

// --- Jobs for everything else ----------------------------------------------------------------------

// What a packet needs until its job is done.
struct scratch {
	uint8_t computed[ESP_ICV_MAX], received[ESP_ICV_MAX];
};

static void job_fill_chacha(IMB_JOB *job, const struct esp_op *op)
{
	uint32_t head = esp_head_len(op->suite);

	job->enc_keys = job->dec_keys = op->key->chacha;
	job->iv = (const uint8_t *)op->nonce;
	job->iv_len_in_bytes = NONCE_LEN;
	job->hash_start_src_offset_in_bytes = head;
	job->msg_len_to_hash_in_bytes = op->len - head;
	job->u.CHACHA20_POLY1305.aad = op->aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = aad_len(op);
}

static void job_fill_hmac(IMB_JOB *job, struct esp_op *op)
{
	if (op->suite->cipher == IMB_CIPHER_CBC) {
		job->enc_keys = op->key->aes.encrypt;
		job->dec_keys = op->key->aes.decrypt;
	} else if (op->suite->cipher == IMB_CIPHER_DES3) {
		job->enc_keys = job->dec_keys = op->key->des.keys;
	} else {
		job->msg_len_to_cipher_in_bytes = 0;
	}
	job->iv = op->packet + ESP_HDR_LEN;
	job->iv_len_in_bytes = op->suite->iv_len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = esn_put(op);
	job->u.HMAC._hashed_auth_key_xor_ipad = op->key->inner;
	job->u.HMAC._hashed_auth_key_xor_opad = op->key->outer;
}

static void job_fill(IMB_JOB *job, struct esp_op *op, bool seals, struct scratch *scratch)
{
	uint32_t head = esp_head_len(op->suite);

	job->src = op->packet;
	job->dst = op->packet + head;
	job->cipher_start_src_offset_in_bytes = head;
	job->msg_len_to_cipher_in_bytes = op->len - head;
	job->key_len_in_bytes = op->suite->key_len;
	job->cipher_mode = op->suite->cipher;
	job->hash_alg = op->suite->hash;
	job->cipher_direction = seals ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = seals ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->auth_tag_output = seals ? op->packet + op->len : scratch->computed;
	job->auth_tag_output_len_in_bytes = op->suite->icv_len;
	job->user_data = op;
	job->user_data2 = scratch;
	if (op->suite->cipher == IMB_CIPHER_CHACHA20_POLY1305)
		job_fill_chacha(job, op);
	else
		job_fill_hmac(job, op);
}

static void job_done(const IMB_JOB *job, bool seals)
{
	struct esp_op *op = job->user_data;
	const struct scratch *scratch = job->user_data2;

	op->is_good = job->status == IMB_STATUS_COMPLETED &&
		      (seals || is_same(scratch->computed, scratch->received, op->suite->icv_len));
}

// Runs what is no AES-GCM in a burst through the lanes of the library and waits for the last.
static void jobs_run(IMB_MGR *mgr, struct esp_op *ops, unsigned int n, bool seals)
{
	struct scratch scratch[ESP_BURST];
	const IMB_JOB *done;

	for (unsigned int i = 0; i < n; i++) {
		if (ops[i].suite->cipher == IMB_CIPHER_GCM)
			continue;
		// Where the high half of the number is going to stand.
		if (!seals)
			memcpy(scratch[i].received, ops[i].packet + ops[i].len,
				ops[i].suite->icv_len);
		job_fill(IMB_GET_NEXT_JOB(mgr), &ops[i], seals, &scratch[i]);
		for (done = IMB_SUBMIT_JOB_NOCHECK(mgr); done != NULL;
			done = IMB_GET_COMPLETED_JOB(mgr))
			job_done(done, seals);
	}
	while ((done = IMB_FLUSH_JOB(mgr)) != NULL)
		job_done(done, seals);
}

static inline void run(IMB_MGR *mgr, struct esp_op *ops, unsigned int n, bool seals)
{
	struct gcm_context_data context;
	uint8_t computed[ESP_AEAD_ICV_LEN];
	bool has_jobs = false;

	for (unsigned int i = 0; i < RTE_MIN(n, (unsigned int)AHEAD); i++)
		key_prefetch(&ops[i]);
	for (unsigned int i = 0; i < n; i++) {
		struct esp_op *op = &ops[i];
		uint8_t *end = op->packet + op->len;

		if (i + AHEAD < n)
			key_prefetch(op + AHEAD);
		if (!seals && op->suite->authentication == API_SA_AEAD)
			beside_put(op);
		if (unlikely(op->suite->cipher != IMB_CIPHER_GCM)) {
			has_jobs = true;
			continue;
		}
		gcm(mgr, op, &context, seals ? end : computed, seals);
		if (!seals)
			op->is_good = is_same(computed, end, ESP_AEAD_ICV_LEN);
	}
	if (unlikely(has_jobs))
		jobs_run(mgr, ops, n, seals);
}

void esp_seal(IMB_MGR *mgr, struct esp_op *ops, unsigned int n)
{
	run(mgr, ops, n, true);
}

void esp_open(IMB_MGR *mgr, struct esp_op *ops, unsigned int n)
{
	run(mgr, ops, n, false);
}

void esp_iv_put(IMB_MGR *mgr, const struct esp_op *op, uint64_t number_be)
{
	uint8_t zero[ESP_IV_MAX] = { 0 }, counter[ESP_IV_MAX] = { 0 };

	memcpy(counter, &number_be, sizeof(number_be));
	IMB_AES128_CFB_ONE(
		mgr, op->packet + ESP_HDR_LEN, zero, counter, op->key->iv, op->suite->iv_len);
}
