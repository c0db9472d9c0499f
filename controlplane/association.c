// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/association.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/cursor.h"
#include "dataplane/base/hex.h"

enum {
	WINDOW_MIN = 32, // packets
	WINDOW_DEFAULT = 64, // RFC 4303 section 3.4.3
	INBOUND_OF_USE = 2,
};

// A word of the file; rows by the number that it stands for.
struct word {
	const char *text;
	uint8_t key_lens[2]; // bytes; 0 = no other one
};

static const struct word uses[API_SA_USE_MAX] = {
	[API_SA_SIGNALLING] = { "signalling", { 0 } },
	[API_SA_DISCOVERY] = { "discovery", { 0 } },
	[API_SA_ROUTABILITY] = { "routability", { 0 } },
	[API_SA_PAYLOAD] = { "payload", { 0 } },
};

static const struct word directions[API_SA_DIRECTION_MAX] = {
	[API_SA_IN] = { "in", { 0 } },
	[API_SA_OUT] = { "out", { 0 } },
};

static const struct word encryptions[API_SA_ENCRYPTION_MAX] = {
	[API_SA_AES_GCM_16] = { "aes-gcm-16", { 20, 36 } },
	[API_SA_CHACHA20_POLY1305] = { "chacha20-poly1305", { 36 } },
	[API_SA_AES_CBC] = { "aes-cbc", { 16, 32 } },
	[API_SA_NULL] = { "null", { 0 } },
	[API_SA_3DES_CBC] = { "3des-cbc", { 24 } },
};

static const struct word authentications[API_SA_AUTHENTICATION_MAX] = {
	[API_SA_AEAD] = { "none", { 0 } },
	[API_SA_HMAC_SHA1_96] = { "hmac-sha1-96", { 20 } },
	[API_SA_HMAC_SHA256_128] = { "hmac-sha256-128", { 32 } },
	[API_SA_HMAC_SHA384_192] = { "hmac-sha384-192", { 48 } },
	[API_SA_HMAC_SHA512_256] = { "hmac-sha512-256", { 64 } },
};

// Where the reading is.
struct reader {
	size_t i; // of the list
	char *reason;
	bool has_window, has_encryption;
};

__attribute__((format(printf, 3, 4))) static int refuse(
	const struct reader *r, const char *member, const char *fmt, ...)
{
	int n = snprintf(r->reason, ASSOCIATION_REASON_LEN,
		"security_associations[%zu]%s%s: ", r->i, member[0] != '\0' ? "." : "", member);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->reason + n, ASSOCIATION_REASON_LEN - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

// Lists the words for a reason. Returns: buf.
static const char *list_words(const struct word *words, unsigned int n, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < n; i++) {
		if (words[i].text != NULL && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s",
				used > 0 ? ", " : "", words[i].text);
	}
	return buf;
}

static int find_word(const json_t *value, const struct word *words, unsigned int n, uint8_t *out)
{
	const char *text = json_string_value(value);

	for (unsigned int i = 0; text != NULL && i < n; i++) {
		if (words[i].text != NULL && strcmp(words[i].text, text) == 0) {
			*out = (uint8_t)i;
			return 0;
		}
	}
	return -ENOENT;
}

static int read_word(const struct reader *r, const char *name, const json_t *value,
	const struct word *words, unsigned int n, uint8_t *out)
{
	char all[160];

	if (find_word(value, words, n, out) == 0)
		return 0;
	return refuse(r, name, "must be one of %s", list_words(words, n, all, sizeof(all)));
}

static int read_number(const struct reader *r, const char *name, const json_t *value, uint64_t min,
	uint64_t max, uint64_t *out)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return refuse(r, name, "must be a number from %llu to %llu",
			(unsigned long long)min, (unsigned long long)max);
	*out = (uint64_t)n;
	return 0;
}

// Reads the bytes of a key; the text is never repeated in a reason.
static int read_key(const struct reader *r, const char *name, const json_t *value, uint8_t *key,
	uint8_t *key_len)
{
	const char *text = json_string_value(value);
	size_t len = text == NULL ? 1 : json_string_length(value);

	if (len % 2 != 0 || len == 0 || len > 2 * ASSOCIATION_KEY_MAX)
		return refuse(r, name, "must be 1 to %d bytes in hex", ASSOCIATION_KEY_MAX);
	if (!hex_read(text, len, key))
		return refuse(r, name, "must be hexadecimal digits");
	*key_len = (uint8_t)(len / 2);
	return 0;
}

static int read_window(struct reader *r, const json_t *value, struct association *out)
{
	uint64_t n = 0;
	int error = read_number(r, "replay_window", value, 0, API_SA_MAX_WINDOW, &n);

	if (error != 0)
		return error;
	if (n % WINDOW_MIN != 0)
		return refuse(r, "replay_window", "must be a multiple of %d", WINDOW_MIN);
	out->replay_window = (uint16_t)n;
	r->has_window = true;
	return 0;
}

static int read_member(
	struct reader *r, const char *name, const json_t *value, struct association *out)
{
	uint64_t n = 0;
	int error;

	if (strncmp(name, "//", 2) == 0)
		return 0;
	if (strcmp(name, "use") == 0)
		return read_word(r, name, value, uses, API_SA_USE_MAX, &out->use);
	if (strcmp(name, "direction") == 0)
		return read_word(r, name, value, directions, API_SA_DIRECTION_MAX, &out->direction);
	if (strcmp(name, "encryption") == 0) {
		r->has_encryption = true;
		return read_word(
			r, name, value, encryptions, API_SA_ENCRYPTION_MAX, &out->encryption);
	}
	if (strcmp(name, "authentication") == 0)
		return read_word(r, name, value, authentications, API_SA_AUTHENTICATION_MAX,
			&out->authentication);
	if (strcmp(name, "encryption_key") == 0)
		return read_key(r, name, value, out->enc_key, &out->enc_key_len);
	if (strcmp(name, "authentication_key") == 0)
		return read_key(r, name, value, out->auth_key, &out->auth_key_len);
	if (strcmp(name, "replay_window") == 0)
		return read_window(r, value, out);
	if (strcmp(name, "lifetime_packets") == 0)
		return read_number(r, name, value, 0, INT64_MAX, &out->life_packets);
	if (strcmp(name, "lifetime_bytes") == 0)
		return read_number(r, name, value, 0, INT64_MAX, &out->life_bytes);
	if (strcmp(name, "esn") == 0) {
		if (!json_is_boolean(value))
			return refuse(r, name, "must be true or false");
		out->has_esn = json_is_true(value);
		return 0;
	}
	if (strcmp(name, "spi") == 0) {
		error = read_number(r, name, value, API_SPI_MIN, UINT32_MAX, &n);
		out->spi = (uint32_t)n;
		return error;
	}
	if (strcmp(name, "lifetime_s") == 0) {
		error = read_number(r, name, value, 0, UINT32_MAX, &n);
		out->lifetime_s = (uint32_t)n;
		return error;
	}
	return refuse(r, "", "%.40s is unknown", name);
}

// Checks the length of a key against what its algorithm takes.
static int check_key(
	const struct reader *r, const char *name, const struct word *algorithm, uint8_t len)
{
	const uint8_t *lens = algorithm->key_lens;

	if (len == lens[0] || (len != 0 && len == lens[1]))
		return 0;
	if (lens[0] == 0)
		return refuse(r, name, "%s has no key", algorithm->text);
	if (lens[1] == 0)
		return refuse(r, name, "must have %u bytes with %s", lens[0], algorithm->text);
	return refuse(
		r, name, "must have %u or %u bytes with %s", lens[0], lens[1], algorithm->text);
}

static int check_keys(const struct reader *r, const struct association *a)
{
	int error = check_key(r, "encryption_key", &encryptions[a->encryption], a->enc_key_len);

	if (error != 0)
		return error;
	return check_key(
		r, "authentication_key", &authentications[a->authentication], a->auth_key_len);
}

static int check_algorithms(const struct reader *r, const struct association *a)
{
	bool is_aead = association_has_counter(a);

	if (is_aead && a->authentication != API_SA_AEAD)
		return refuse(
			r, "authentication", "%s has its own", encryptions[a->encryption].text);
	if (!is_aead && a->authentication == API_SA_AEAD)
		return refuse(r, "authentication", "%s needs one", encryptions[a->encryption].text);
	if (a->encryption == API_SA_NULL && a->use == API_SA_ROUTABILITY)
		return refuse(r, "encryption", "null does not hide home test messages");
	return check_keys(r, a);
}

// Checks what an association has with all its members there.
static int check_settings(const struct reader *r, const struct association *a)
{
#ifndef UNWIRED_LEGACY_CRYPTO
	if (a->encryption == API_SA_3DES_CBC)
		return refuse(r, "encryption", "3des-cbc is not in this build (legacy_crypto)");
#endif
	if (a->direction == API_SA_IN && a->has_esn && a->replay_window == 0)
		return refuse(r, "replay_window", "esn needs one");
	return check_algorithms(r, a);
}

static int check_one(struct reader *r, struct association *a)
{
	if (a->use == 0 || a->direction == 0 || a->spi == 0 || !r->has_encryption)
		return refuse(r, "", "use, direction, spi and encryption must be there");
	if (a->direction == API_SA_OUT && r->has_window)
		return refuse(r, "replay_window", "has no sense for what goes out");
	if (a->direction == API_SA_IN && !r->has_window)
		a->replay_window = WINDOW_DEFAULT;
	return check_settings(r, a);
}

// Compares one with all before it.
static int check_beside(const struct reader *r, const struct associations *all)
{
	const struct association *a = &all->list[r->i];
	unsigned int n = 0;

	for (size_t j = 0; j < r->i; j++) {
		const struct association *b = &all->list[j];

		if (a->direction == b->direction && a->spi == b->spi)
			return refuse(
				r, "spi", "%u is that of security_associations[%zu]", a->spi, j);
		if (association_has_counter(a) && association_has_same_keys(a, b))
			return refuse(r, "encryption_key",
				"is that of security_associations[%zu], and no two may share one",
				j);
		n += a->direction == b->direction && a->use == b->use;
	}
	if (a->direction == API_SA_OUT && n > 0)
		return refuse(r, "use", "there is another one for what goes out");
	if (n >= INBOUND_OF_USE)
		return refuse(r, "use", "there are two others for what comes in");
	return 0;
}

static int read_one(struct reader *r, const json_t *value, struct associations *out)
{
	struct association *a = &out->list[r->i];
	const char *name;
	json_t *member;
	int error;

	*a = (struct association){ 0 };
	r->has_window = r->has_encryption = false;
	if (!json_is_object(value))
		return refuse(r, "", "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)value, name, member) {
		error = read_member(r, name, member, a);
		if (error != 0)
			return error;
	}
	error = check_one(r, a);
	return error != 0 ? error : check_beside(r, out);
}

int association_read_list(
	const json_t *value, struct associations *out, char reason[static ASSOCIATION_REASON_LEN])
{
	size_t n = json_array_size(value);
	struct reader r = { .reason = reason };

	if (!json_is_array(value) || n > ASSOCIATION_MAX) {
		snprintf(reason, ASSOCIATION_REASON_LEN,
			"security_associations: must be an array of at most %d associations",
			ASSOCIATION_MAX);
		return -EINVAL;
	}
	for (r.i = 0; r.i < n; r.i++) {
		int error = read_one(&r, json_array_get(value, r.i), out);

		if (error != 0)
			return error;
	}
	out->n = (uint8_t)n;
	return 0;
}

int association_read_protect(
	const json_t *value, struct associations *out, char reason[static ASSOCIATION_REASON_LEN])
{
	char all[160];

	out->protect = 0;
	for (size_t i = 0; i < json_array_size(value); i++) {
		uint8_t use = 0;

		if (find_word(json_array_get(value, i), uses, API_SA_USE_MAX, &use) != 0 ||
			(out->protect & API_SA_BIT(use)) != 0) {
			snprintf(reason, ASSOCIATION_REASON_LEN,
				"protect[%zu]: must be one of %s, each once", i,
				list_words(uses, API_SA_USE_MAX, all, sizeof(all)));
			return -EINVAL;
		}
		out->protect |= (uint8_t)API_SA_BIT(use);
	}
	if (json_is_array(value))
		return 0;
	snprintf(reason, ASSOCIATION_REASON_LEN, "protect: must be an array of words");
	return -EINVAL;
}

int association_check(const struct associations *all, char reason[static ASSOCIATION_REASON_LEN])
{
	unsigned int has[API_SA_USE_MAX] = { 0 };

	for (unsigned int i = 0; i < all->n; i++)
		has[all->list[i].use] |= 1U << all->list[i].direction;
	for (uint8_t use = 1; use < API_SA_USE_MAX; use++) {
		if ((all->protect & API_SA_BIT(use)) == 0 ||
			has[use] == (1U << API_SA_IN | 1U << API_SA_OUT))
			continue;
		snprintf(reason, ASSOCIATION_REASON_LEN,
			"protect: %s needs a security association each way", uses[use].text);
		return -EINVAL;
	}
	return 0;
}

int association_check_list(
	const struct associations *all, char reason[static ASSOCIATION_REASON_LEN])
{
	struct reader r = { .reason = reason };
	int error = 0;

	for (r.i = 0; r.i < all->n && error == 0; r.i++) {
		const struct association *a = &all->list[r.i];

		if (a->spi < API_SPI_MIN)
			error = refuse(&r, "spi", "%u is below %u", a->spi, API_SPI_MIN);
		else if (a->replay_window % WINDOW_MIN != 0 || a->replay_window > API_SA_MAX_WINDOW)
			error = refuse(&r, "replay_window", "must be a multiple of %d", WINDOW_MIN);
		if (error == 0)
			error = check_settings(&r, a);
		if (error == 0)
			error = check_beside(&r, all);
	}
	return error;
}

bool association_has_sound_keys(const struct association *a)
{
	char reason[ASSOCIATION_REASON_LEN];
	struct reader r = { .reason = reason };

	return check_keys(&r, a) == 0;
}

bool association_has_counter(const struct association *a)
{
	return a->encryption == API_SA_AES_GCM_16 || a->encryption == API_SA_CHACHA20_POLY1305;
}

void association_mark(
	const struct association *a, const struct ip6 *home, struct association_mark *out)
{
	uint8_t text[2 * ASSOCIATION_KEY_MAX + 64], digest[SHA256_DIGEST_LENGTH];
	struct wcursor c = wcursor_make(text, sizeof(text));

	wcursor_u8(&c, a->encryption);
	wcursor_u8(&c, a->authentication);
	wcursor_u8(&c, a->enc_key_len);
	wcursor_bytes(&c, a->enc_key, a->enc_key_len);
	wcursor_bytes(&c, a->auth_key, a->auth_key_len);
	if (home != NULL && !association_has_counter(a)) {
		wcursor_bytes(&c, home, sizeof(*home));
		wcursor_u32(&c, a->spi);
		wcursor_u8(&c, a->use);
		wcursor_u8(&c, a->direction);
	}
	SHA256(text, wcursor_len(&c), digest);
	memcpy(out->b, digest, sizeof(out->b));
	explicit_bzero(text, sizeof(text));
}

bool association_has_same_keys(const struct association *a, const struct association *b)
{
	return a->encryption == b->encryption && a->authentication == b->authentication &&
	       a->enc_key_len == b->enc_key_len && a->auth_key_len == b->auth_key_len &&
	       memcmp(a->enc_key, b->enc_key, a->enc_key_len) == 0 &&
	       memcmp(a->auth_key, b->auth_key, a->auth_key_len) == 0;
}

size_t association_pack(const struct associations *all, uint8_t *buf, size_t size)
{
	struct wcursor c = wcursor_make(buf, size);

	wcursor_u8(&c, all->n);
	wcursor_u8(&c, all->protect);
	for (unsigned int i = 0; i < all->n; i++) {
		const struct association *a = &all->list[i];

		wcursor_u32(&c, a->spi);
		wcursor_u8(&c, a->use);
		wcursor_u8(&c, a->direction);
		wcursor_u8(&c, a->encryption);
		wcursor_u8(&c, a->authentication);
		wcursor_u8(&c, a->has_esn);
		wcursor_u16(&c, a->replay_window);
		wcursor_u32(&c, a->lifetime_s);
		wcursor_u64(&c, a->life_packets);
		wcursor_u64(&c, a->life_bytes);
		wcursor_u8(&c, a->enc_key_len);
		wcursor_u8(&c, a->auth_key_len);
		wcursor_bytes(&c, a->enc_key, a->enc_key_len);
		wcursor_bytes(&c, a->auth_key, a->auth_key_len);
	}
	return wcursor_len(&c);
}

int association_unpack(const void *data, size_t len, struct associations *out)
{
	struct rcursor c = rcursor_make(data, len);

	out->n = rcursor_u8(&c);
	out->protect = rcursor_u8(&c);
	if (out->n > ASSOCIATION_MAX)
		return -EBADMSG;
	for (unsigned int i = 0; i < out->n; i++) {
		struct association *a = &out->list[i];

		*a = (struct association){ .spi = rcursor_u32(&c) };
		a->use = rcursor_u8(&c);
		a->direction = rcursor_u8(&c);
		a->encryption = rcursor_u8(&c);
		a->authentication = rcursor_u8(&c);
		a->has_esn = rcursor_u8(&c) != 0;
		a->replay_window = rcursor_u16(&c);
		a->lifetime_s = rcursor_u32(&c);
		a->life_packets = rcursor_u64(&c);
		a->life_bytes = rcursor_u64(&c);
		a->enc_key_len = rcursor_u8(&c);
		a->auth_key_len = rcursor_u8(&c);
		if (a->use == 0 || a->use >= API_SA_USE_MAX || a->direction == 0 ||
			a->direction >= API_SA_DIRECTION_MAX || a->encryption == 0 ||
			a->encryption >= API_SA_ENCRYPTION_MAX ||
			a->authentication >= API_SA_AUTHENTICATION_MAX ||
			a->enc_key_len > ASSOCIATION_KEY_MAX ||
			a->auth_key_len > ASSOCIATION_KEY_MAX)
			return -EBADMSG;
		rcursor_copy(&c, a->enc_key, a->enc_key_len);
		rcursor_copy(&c, a->auth_key, a->auth_key_len);
	}
	return c.ok && rcursor_left(&c) == 0 ? 0 : -EBADMSG;
}

const char *association_use_name(uint8_t use)
{
	return use < API_SA_USE_MAX && uses[use].text != NULL ? uses[use].text : "-";
}

const char *association_direction_name(uint8_t direction)
{
	return direction == API_SA_OUT ? directions[API_SA_OUT].text : directions[API_SA_IN].text;
}

const char *association_encryption_name(uint8_t encryption)
{
	return encryption < API_SA_ENCRYPTION_MAX && encryptions[encryption].text != NULL
		       ? encryptions[encryption].text
		       : "-";
}

const char *association_authentication_name(uint8_t authentication)
{
	return authentication < API_SA_AUTHENTICATION_MAX ? authentications[authentication].text
							  : "-";
}
