// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The link against a peer at the other end of a socket pair.

#include "controlplane/link.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/api/walk.h"
#include "dataplane/base/log.h"
#include "tests/unit/base/suite.h"

enum { SEEN_MAX = 20000 };

// One link, its peer, and what each saw of the other.
struct bench {
	struct event_base *base;
	struct link *link;
	int peer; // the dataplane's end
	unsigned int n_up, n_down, n_punts, n_punt_calls, n_records;
	uint32_t n_bulk_left; // the owner's marks
	uint32_t next_handle;
	bool answers_punts; // with a binding and a packet each
	uint32_t seen
		[SEEN_MAX]; // types of records that the peer read, with the handle above; but for
	uint32_t n_punt_credit; // what all PUNT_CREDIT gave
	unsigned int n_seen;
};

static void on_hello(void *ctx, struct api_hello *out)
{
	(void)ctx;
	out->max_bindings = 5;
	out->store_id = 6;
}

static void on_up(void *ctx, const struct api_hello *peer)
{
	struct bench *bench = ctx;

	CU_ASSERT_EQUAL(peer->max_bindings, 99);
	bench->n_up++;
	if (bench->n_bulk_left > 0)
		link_bulk_ready(bench->link);
}

static void on_down(void *ctx)
{
	((struct bench *)ctx)->n_down++;
}

static bool put_binding(struct bench *bench, uint32_t handle, uint16_t flags)
{
	struct api_binding_set *set = link_put(
		bench->link, API_BINDING_SET, flags, sizeof(*set) + sizeof(set->care_of[0]));

	if (set == NULL)
		return false;
	set->handle = handle;
	set->n_care_of = 1;
	return true;
}

static void on_punts(void *ctx, const struct api_punt *const punts[], unsigned int n)
{
	struct bench *bench = ctx;

	CU_ASSERT(n >= 1 && n <= LINK_PUNT_BATCH);
	bench->n_punts += n;
	bench->n_punt_calls++;
	for (unsigned int i = 0; i < n && bench->answers_punts; i++) {
		struct api_packet_out *out;

		put_binding(bench, punts[i]->sa_slot, 0);
		out = link_put(bench->link, API_PACKET_OUT, 0, api_rec_len(sizeof(*out), 1000));
		if (out != NULL)
			out->packet_len = 1000;
	}
	link_flush(bench->link);
}

static void on_turn(void *ctx)
{
	(void)ctx;
}

static void on_record(void *ctx, const struct api_rec *rec)
{
	(void)rec;
	((struct bench *)ctx)->n_records++;
}

static unsigned int on_bulk(void *ctx, unsigned int n)
{
	struct bench *bench = ctx;
	unsigned int n_put = 0;

	while (n_put < n && bench->n_bulk_left > 0) {
		if (!put_binding(bench, bench->next_handle++, API_REC_BULK))
			break;
		bench->n_bulk_left--;
		n_put++;
	}
	return n_put;
}

static void turn(struct bench *bench)
{
	for (unsigned int i = 0; i < 50; i++)
		event_base_loop(bench->base, EVLOOP_NONBLOCK);
}

static void send_peer(struct bench *bench, const void *msg, size_t len)
{
	CU_ASSERT_EQUAL(send(bench->peer, msg, len, MSG_NOSIGNAL), (ssize_t)len);
	turn(bench);
}

static void send_hello(struct bench *bench, uint32_t version)
{
	struct api_hello hello = { .rec = { .type = API_HELLO, .len = sizeof(hello) },
		.version = version,
		.max_bindings = 99 };

	send_peer(bench, &hello, sizeof(hello));
}

static void send_credit(struct bench *bench, uint32_t n)
{
	struct api_credit credit = { .rec = { .type = API_CREDIT, .len = sizeof(credit) }, .n = n };

	send_peer(bench, &credit, sizeof(credit));
}

// Sends n punts in one message; each carries its number in sa_slot.
static void send_punts(struct bench *bench, uint32_t first, unsigned int n)
{
	enum { LEN = sizeof(struct api_punt) + 8 };
	static uint8_t msg[API_MSG_MAX] __attribute__((aligned(8)));

	memset(msg, 0, sizeof(msg));
	for (unsigned int i = 0; i < n; i++) {
		struct api_punt *punt = (struct api_punt *)(void *)(msg + i * LEN);

		punt->rec = (struct api_rec){ .type = API_PUNT, .len = LEN };
		punt->lane = API_PUNT_MH;
		punt->packet_len = 8;
		punt->sa_slot = first + i;
	}
	CU_ASSERT_EQUAL(send(bench->peer, msg, n * LEN, MSG_NOSIGNAL), (ssize_t)(n * LEN));
}

// Reads what stands at the peer. Returns: false when the link closed it.
static bool drain(struct bench *bench)
{
	static uint8_t msg[API_MSG_MAX] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = recv(bench->peer, msg, sizeof(msg), MSG_DONTWAIT)) > 0) {
		struct api_walk walk = api_walk_start(msg, (size_t)n);
		const struct api_rec *rec;

		while ((rec = api_walk_next(&walk)) != NULL && bench->n_seen < SEEN_MAX) {
			uint32_t handle =
				rec->type != API_BINDING_SET
					? 0
					: ((const struct api_binding_set *)(const void *)rec)
						  ->handle;

			if (rec->type == API_PUNT_CREDIT) {
				bench->n_punt_credit +=
					((const struct api_punt_credit *)(const void *)rec)->n;
				continue;
			}
			bench->seen[bench->n_seen++] = handle << 8 | rec->type;
		}
		CU_ASSERT_EQUAL(walk.error, 0);
	}
	return n < 0 && errno == EAGAIN;
}

static unsigned int count_seen(const struct bench *bench, uint32_t type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < bench->n_seen; i++)
		n += (bench->seen[i] & 0xff) == type;
	return n;
}

static void attach(struct bench *bench)
{
	int fds[2];

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	bench->peer = fds[0];
	CU_ASSERT_EQUAL(link_attach(bench->link, fds[1]), 0);
}

static struct bench *bench_new(void)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct link_handlers handlers = { .ctx = bench,
		.hello = on_hello,
		.up = on_up,
		.down = on_down,
		.punts = on_punts,
		.turn = on_turn,
		.record = on_record,
		.bulk = on_bulk };

	bench->base = event_base_new();
	bench->link = link_new(bench->base, "", &handlers);
	bench->next_handle = 1000;
	attach(bench);
	return bench;
}

static void bench_free(struct bench *bench)
{
	link_free(bench->link);
	event_base_free(bench->base);
	if (bench->peer >= 0)
		close(bench->peer);
	free(bench);
}

static void test_hello(void)
{
	struct bench *bench = bench_new();

	CU_ASSERT_EQUAL(link_state(bench->link), LINK_HELLO);
	CU_ASSERT_PTR_NULL(link_put(bench->link, API_SYNC_BEGIN, 0, sizeof(struct api_sync_begin)));
	send_hello(bench, API_VERSION);
	CU_ASSERT_EQUAL(link_state(bench->link), LINK_UP);
	CU_ASSERT_EQUAL(bench->n_up, 1);
	CU_ASSERT(drain(bench));
	CU_ASSERT_EQUAL(bench->seen[0], API_HELLO);
	bench_free(bench);
}

static void test_refused_hellos(void)
{
	struct bench *bench = bench_new();

	send_hello(bench, API_VERSION + 1);
	CU_ASSERT_EQUAL(link_state(bench->link), LINK_DOWN);
	CU_ASSERT_FALSE(drain(bench));
	bench_free(bench);

	bench = bench_new();
	send_credit(bench, 1); // not a hello
	CU_ASSERT_EQUAL(link_state(bench->link), LINK_DOWN);
	CU_ASSERT_EQUAL(bench->n_up + bench->n_down, 0);
	CU_ASSERT_EQUAL(link_stats(bench->link)->n_protocol_errors, 1);
	bench_free(bench);
}

static void test_garbage(void)
{
	static const struct api_rec rows[] = {
		{ .type = 0, .len = 8 }, { .type = API_TYPE_MAX, .len = 8 },
		{ .type = API_PUNT, .len = 8 }, // shorter than its kind
		{ .type = API_CREDIT, .len = 4096 }, // longer than the message
		{ .type = API_BINDING_SET, .len = 8 }, // goes the other way, and is short
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench *bench = bench_new();

		send_hello(bench, API_VERSION);
		send_peer(bench, &rows[i], sizeof(rows[i]));
		CU_ASSERT_EQUAL(link_state(bench->link), LINK_DOWN);
		CU_ASSERT_EQUAL(bench->n_down, 1);
		bench_free(bench);
	}
}

static void test_publication_before_answer(void)
{
	struct bench *bench = bench_new();

	bench->answers_punts = true;
	send_hello(bench, API_VERSION);
	send_punts(bench, 1, 40);
	turn(bench);
	CU_ASSERT(drain(bench));
	CU_ASSERT_EQUAL(bench->n_punts, 40);
	CU_ASSERT_EQUAL(bench->n_punt_calls, 1);
	CU_ASSERT_EQUAL(bench->n_seen, 1 + 2 * 40);
	CU_ASSERT_EQUAL(bench->n_punt_credit, 40);
	for (unsigned int i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL(bench->seen[1 + 2 * i], (i + 1) << 8 | API_BINDING_SET);
		CU_ASSERT_EQUAL(bench->seen[2 + 2 * i], API_PACKET_OUT);
	}
	CU_ASSERT(link_stats(bench->link)->n_messages_out <= 3); // not one a record
	bench_free(bench);
}

static void test_credit_window(void)
{
	struct bench *bench = bench_new();

	bench->n_bulk_left = 2 * API_BULK_WINDOW;
	send_hello(bench, API_VERSION);
	for (unsigned int i = 0; i < 100; i++) {
		turn(bench);
		CU_ASSERT(drain(bench));
	}
	CU_ASSERT_EQUAL(count_seen(bench, API_BINDING_SET), API_BULK_WINDOW);
	send_credit(bench, 100);
	turn(bench);
	CU_ASSERT(drain(bench));
	CU_ASSERT_EQUAL(count_seen(bench, API_BINDING_SET), API_BULK_WINDOW + 100);
	// An answer does not wait for credit.
	bench->answers_punts = true;
	send_punts(bench, 7, 1);
	turn(bench);
	CU_ASSERT(drain(bench));
	CU_ASSERT_EQUAL(bench->seen[bench->n_seen - 2], 7 << 8 | API_BINDING_SET);
	CU_ASSERT_EQUAL(bench->seen[bench->n_seen - 1], API_PACKET_OUT);
	// More credit than was taken is a lie.
	send_credit(bench, API_BULK_WINDOW + 1);
	CU_ASSERT_EQUAL(link_state(bench->link), LINK_DOWN);
	bench_free(bench);
}

// The peer does not read: nothing is lost or reordered, bulk stops, punts are dropped when too much
// waits, and all goes on when it reads again.
static void test_full_socket(void)
{
	struct bench *bench = bench_new();
	unsigned int n_sent = 0;

	bench->answers_punts = true;
	send_hello(bench, API_VERSION);
	while (link_stats(bench->link)->n_punts_dropped == 0 && n_sent < 5000) {
		send_punts(bench, 1 + n_sent, 10);
		n_sent += 10;
		turn(bench);
	}
	CU_ASSERT(link_stats(bench->link)->n_blocked > 0);
	CU_ASSERT(link_stats(bench->link)->n_punts_dropped > 0);
	CU_ASSERT_EQUAL(bench->n_punts + link_stats(bench->link)->n_punts_dropped, n_sent);
	bench->n_bulk_left = 10;
	link_bulk_ready(bench->link);
	for (unsigned int i = 0; i < 200; i++) {
		CU_ASSERT(drain(bench));
		turn(bench);
	}
	CU_ASSERT_EQUAL(count_seen(bench, API_PACKET_OUT), bench->n_punts);
	CU_ASSERT_EQUAL(bench->n_punt_credit, n_sent); // for the dropped ones, too
	CU_ASSERT_EQUAL(count_seen(bench, API_BINDING_SET), bench->n_punts + 10);
	for (unsigned int i = 0; i < bench->n_punts; i++)
		CU_ASSERT_EQUAL(bench->seen[1 + 2 * i], (i + 1) << 8 | API_BINDING_SET);
	for (unsigned int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(
			bench->seen[bench->n_seen - 10 + i], (1000 + i) << 8 | API_BINDING_SET);
	bench_free(bench);
}

static void test_peer_death_and_return(void)
{
	struct bench *bench = bench_new();

	send_hello(bench, API_VERSION);
	bench->n_bulk_left = 5;
	CU_ASSERT(put_binding(bench, 1, 0)); // never flushed to the old peer
	close(bench->peer);
	bench->peer = -1;
	turn(bench);
	CU_ASSERT_EQUAL(link_state(bench->link), LINK_DOWN);
	CU_ASSERT_EQUAL(bench->n_down, 1);
	attach(bench);
	send_hello(bench, API_VERSION);
	turn(bench);
	CU_ASSERT(drain(bench));
	CU_ASSERT_EQUAL(bench->n_up, 2);
	CU_ASSERT_EQUAL(bench->seen[0], API_HELLO); // nothing of the old connection before it
	CU_ASSERT_EQUAL(count_seen(bench, API_BINDING_SET), 5);
	bench_free(bench);
}

static void test_oversized_message(void)
{
	static uint8_t msg[API_MSG_MAX + 8];
	struct bench *bench = bench_new();

	send_hello(bench, API_VERSION);
	send_peer(bench, msg, sizeof(msg));
	CU_ASSERT_EQUAL(link_state(bench->link), LINK_DOWN);
	CU_ASSERT_EQUAL(link_stats(bench->link)->n_protocol_errors, 1);
	bench_free(bench);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "hellos are exchanged first", test_hello },
		{ "hellos that are refused", test_refused_hellos },
		{ "garbage closes the connection", test_garbage },
		{ "publication before answer", test_publication_before_answer },
		{ "credit window", test_credit_window },
		{ "a peer that does not read", test_full_socket },
		{ "a peer that dies and comes back", test_peer_death_and_return },
		{ "a message longer than allowed", test_oversized_message },
		CU_TEST_INFO_NULL,
	};

	log_init("link_test", LOG_LEVEL_ERR);
	return suite_run("link", tests);
}
