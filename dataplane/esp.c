// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/esp.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_prefetch.h>

#include "dataplane/base/log.h"
#include "dataplane/locked.h"

enum {
	NONCE_LEN = 12, // RFC 4106 section 4, RFC 7634 section 2: salt and IV
	AHEAD = 4, // packets whose keys are under way
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

void esp_trailer_put(const struct esp_suite *suite, uint8_t *at, uint32_t len, uint8_t next_header)
{
	unsigned int pad = -(len + ESP_TRAILER_LEN) & (suite->align - 1u);

	for (unsigned int i = 0; i < pad; i++)
		at[i] = (uint8_t)(i + 1);
	at[pad] = (uint8_t)pad;
	at[pad + 1] = next_header;
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

// Writes 16 bytes at once: what the library reads wider than it was written has to wait for the memory.
static void put_16(uint8_t to[16], uint64_t low, uint64_t high)
{
	typedef uint64_t pair __attribute__((vector_size(16)));
	pair both = { low, high };

	memcpy(to, &both, sizeof(both));
}

// AEAD: SPI and whole sequence number (RFC 4106 section 5). Returns: its length.
static unsigned int aad_fill(struct esp_op *op)
{
	const struct esp_hdr *hdr = (const void *)op->packet;
	uint64_t low_be = hdr->seq_be;
	uint64_t high_be = rte_cpu_to_be_32((uint32_t)(op->seq >> 32));

	if (!op->is_esn) {
		put_16(op->aad, hdr->spi_be | low_be << 32, 0);
		return 8;
	}
	put_16(op->aad, hdr->spi_be | high_be << 32, low_be);
	return 12;
}

static void nonce_fill(struct esp_op *op)
{
	uint32_t salt;
	uint64_t iv;

	memcpy(&salt, op->key->salt, sizeof(salt));
	memcpy(&iv, op->packet + ESP_HDR_LEN, sizeof(iv));
	put_16(op->nonce, salt | iv << 32, iv >> 32);
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

// Fetches the keys that a packet needs: the rounds, the powers of the hash key, of which the library keeps
// the lowest last and a packet takes one for each block, and the salt.
static void key_prefetch(const struct esp_op *op)
{
	const char *rounds = (const char *)op->key;
	const char *end = rounds + sizeof(op->key->gcm);
	const char *powers =
		end - RTE_MIN(op->len + 2u * 16, (uint32_t)sizeof(op->key->gcm.ghash_keys));

	rte_prefetch0(op->key->salt);
	for (const char *at = rounds; at < rounds + 16 * 15; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(at);
	for (const char *at = end - 1; at >= powers; at -= RTE_CACHE_LINE_SIZE)
		rte_prefetch0(at);
}

// --- Jobs ----------------------------------------------------------------------------------------

// AES-GCM has no lanes to fill: the library's own function costs less than a job.
static void gcm(IMB_MGR *mgr, struct esp_op *op, bool seals)
{
	uint8_t *text = op->packet + esp_head_len(op->suite);
	uint8_t *tag = seals ? op->packet + op->len : op->tag;
	uint64_t len = op->len - esp_head_len(op->suite), aad_len = aad_fill(op);
	struct gcm_context_data context;
	aes_gcm_enc_dec_t run;

	nonce_fill(op);
	if (op->suite->key_len == IMB_KEY_128_BYTES)
		run = seals ? mgr->gcm128_enc : mgr->gcm128_dec;
	else
		run = seals ? mgr->gcm256_enc : mgr->gcm256_dec;
	run(&op->key->gcm, &context, text, text, len, op->nonce, op->aad, aad_len, tag,
		op->suite->icv_len);
}

static void job_fill_chacha(IMB_JOB *job, struct esp_op *op)
{
	uint32_t head = esp_head_len(op->suite);

	nonce_fill(op);
	job->enc_keys = job->dec_keys = op->key->chacha;
	job->iv = op->nonce;
	job->iv_len_in_bytes = NONCE_LEN;
	job->hash_start_src_offset_in_bytes = head;
	job->msg_len_to_hash_in_bytes = op->len - head;
	job->u.CHACHA20_POLY1305.aad = op->aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = aad_fill(op);
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

static void job_fill(IMB_JOB *job, struct esp_op *op, bool seals)
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
	job->auth_tag_output = seals ? op->packet + op->len : op->tag;
	job->auth_tag_output_len_in_bytes = op->suite->icv_len;
	job->user_data = op;
	if (op->suite->cipher == IMB_CIPHER_CHACHA20_POLY1305)
		job_fill_chacha(job, op);
	else
		job_fill_hmac(job, op);
}

static void job_done(const IMB_JOB *job)
{
	struct esp_op *op = job->user_data;

	op->is_good = job->status == IMB_STATUS_COMPLETED;
}

// Runs the burst through the lanes of the library and waits for the last.
static void run(IMB_MGR *mgr, struct esp_op *ops, unsigned int n, bool seals)
{
	const IMB_JOB *done;
	bool has_jobs = false;

	for (unsigned int i = 0; i < RTE_MIN(n, (unsigned int)AHEAD); i++)
		key_prefetch(&ops[i]);
	for (unsigned int i = 0; i < n; i++) {
		IMB_JOB *job;

		if (i + AHEAD < n)
			key_prefetch(&ops[i + AHEAD]);
		if (ops[i].suite->cipher == IMB_CIPHER_GCM) {
			gcm(mgr, &ops[i], seals);
			ops[i].is_good = true;
			continue;
		}
		has_jobs = true;
		job = IMB_GET_NEXT_JOB(mgr);
		job_fill(job, &ops[i], seals);
		for (done = IMB_SUBMIT_JOB_NOCHECK(mgr); done != NULL;
			done = IMB_GET_COMPLETED_JOB(mgr))
			job_done(done);
	}
	while (has_jobs && (done = IMB_FLUSH_JOB(mgr)) != NULL)
		job_done(done);
}

// Writes the IV: the number itself under a key of its own for CBC, site and number where it only has to
// be another one each time.
static void iv_put(IMB_MGR *mgr, struct esp_op *op, uint8_t site)
{
	uint64_t number_be = rte_cpu_to_be_64((uint64_t)site << 56 | op->seq);
	uint8_t *iv = op->packet + ESP_HDR_LEN;
	uint8_t zero[ESP_IV_MAX] = { 0 }, counter[ESP_IV_MAX] = { 0 };

	if (op->suite->authentication == API_SA_AEAD) {
		memcpy(iv, &number_be, sizeof(number_be));
	} else if (op->suite->iv_len != 0) {
		memcpy(counter, &number_be, sizeof(number_be));
		IMB_AES128_CFB_ONE(mgr, iv, zero, counter, op->key->iv, op->suite->iv_len);
	}
}

void esp_seal(IMB_MGR *mgr, struct esp_op *ops, unsigned int n, uint8_t site)
{
	for (unsigned int i = 0; i < n; i++) {
		struct esp_hdr *hdr = (void *)ops[i].packet;

		hdr->seq_be = rte_cpu_to_be_32((uint32_t)ops[i].seq);
		iv_put(mgr, &ops[i], site);
	}
	run(mgr, ops, n, true);
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

void esp_open(IMB_MGR *mgr, struct esp_op *ops, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		memcpy(ops[i].received, ops[i].packet + ops[i].len, ops[i].suite->icv_len);
	run(mgr, ops, n, false);
	for (unsigned int i = 0; i < n; i++)
		ops[i].is_good &= is_same(ops[i].tag, ops[i].received, ops[i].suite->icv_len);
}
