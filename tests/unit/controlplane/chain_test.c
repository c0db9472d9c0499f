// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The chain with a seam to other home agents that fails: what the dataplane and the mobile node hear.

#include "controlplane/chain.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/mgmt.h"
#include "dataplane/api/walk.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "tests/unit/controlplane/packets.h"
#include "tests/unit/store/scratch.h"

enum { MAX_BINDINGS = 16 };

static const char config_text[] =
	"{\"node\": {\"name\": \"t\"}, \"dataplane\": {\"max_bindings\": 16, \"ports\": "
	"[{\"name\": \"p0\", \"device\": \"net_null0\", \"addresses\": [\"2001:db8:ff::1/64\"]}]},"
	"\"home_networks\": [{\"name\": \"n\", \"protocols\": [\"mip6\"], \"prefixes\": "
	"[\"2001:db8:1::/64\"], \"agent_addresses\": [\"2001:db8:1::1\"], \"link\": \"virtual\", "
	"\"authentication\": \"none\"}]}";

static void publish_nowhere(struct replicate *self, const struct store_entry *const entries[],
	unsigned int n, replicate_done_fn done, void *group)
{
	(void)self;
	(void)entries;
	(void)n;
	done(group, -ETIMEDOUT);
}

static void on_hello(void *ctx, struct api_hello *out)
{
	(void)ctx;
	out->max_bindings = MAX_BINDINGS;
}

static void on_up(void *ctx, const struct api_hello *peer)
{
	((struct control *)ctx)->peer = *peer;
}

// A punt of a first registration, owned by the caller.
static struct api_punt *make_punt(void)
{
	static const struct mh_message message = { .type = MH_BU,
		.bu = { .sequence = 7, .flags = MH_BU_A | MH_BU_H, .lifetime_4s = 100 } };
	struct packet p = { .home = ip("2001:db8:1::a") };
	struct api_punt *punt = calloc(1, sizeof(*punt) + PACKET_ROOM);
	uint8_t mh[256];
	struct mh_build b;
	ssize_t len;

	p.head = (struct ip6chain_head){ .src = ip("2001:db8:aa::1"),
		.dst = ip("2001:db8:1::1"),
		.home = &p.home,
		.hop_limit = 64 };
	mh_build_start(&b, mh, sizeof(mh), &message);
	len = mh_build_end(&b, &p.home, &p.head.dst);
	CU_ASSERT_FATAL(len > 0 && punt != NULL);
	packet_put_mh(&p, mh, (size_t)len);
	punt->packet_len = (uint32_t)p.len;
	memcpy(punt->packet, p.bytes, p.len);
	return punt;
}

// Reads what the dataplane is sent; returns how many records went into types and status.
static unsigned int read_records(int fd, uint16_t types[], unsigned int max, uint8_t *status)
{
	static uint8_t msg[API_MSG_MAX] __attribute__((aligned(8)));
	unsigned int n_seen = 0;
	ssize_t n;

	while ((n = recv(fd, msg, sizeof(msg), MSG_DONTWAIT)) > 0) {
		struct api_walk walk = api_walk_start(msg, (size_t)n);
		const struct api_rec *rec;

		while ((rec = api_walk_next(&walk)) != NULL && n_seen < max) {
			const struct api_packet_out *out = (const void *)rec;

			types[n_seen++] = rec->type;
			if (rec->type == API_PACKET_OUT) // behind the type 2 routing header
				*status = out->packet[sizeof(struct ip6_hdr_wire) + 24 + 6];
		}
	}
	return n_seen;
}

static struct control *open_control(const char *dir)
{
	struct store_options options = { .dir = dir, .n_slots = bcache_slots(MAX_BINDINGS) };
	struct control *control = calloc(1, sizeof(*control));
	char err[STORE_ERR_LEN];

	CU_ASSERT_EQUAL(store_boot_id(options.boot_id), 0);
	control->config = config_parse(config_text, strlen(config_text), "test", stderr);
	control->store = store_open(&options, err);
	control->bcache = bcache_new(MAX_BINDINGS);
	control->wheel = wheel_new(options.n_slots, clock_boot_ns());
	control->subscribers = subscribers_open(dir, NULL, 1, stderr);
	control->base = event_base_new();
	control->chain = chain_new(control);
	control->run_dir = dir;
	control->mgmt = mgmt_new(control);
	CU_ASSERT_PTR_NOT_NULL_FATAL(control->mgmt);
	CU_ASSERT_EQUAL(networks_set(&control->networks, control->config), 0);
	return control;
}

static void close_control(struct control *control)
{
	mgmt_free(control->mgmt);
	link_free(control->link);
	chain_free(control->chain);
	subscribers_close(control->subscribers);
	store_close(control->store);
	bcache_free(control->bcache);
	wheel_free(control->wheel);
	event_base_free(control->base);
	config_free(control->config);
	free(control);
}

static void on_turn(void *ctx)
{
	(void)ctx;
}

// Connects the link to the returned end of a socket pair and takes it through the hellos.
static int connect_dataplane(struct control *control)
{
	struct link_handlers handlers = {
		.ctx = control, .hello = on_hello, .up = on_up, .turn = on_turn
	};
	struct api_hello hello = { .rec = { .type = API_HELLO, .len = sizeof(hello) },
		.version = API_VERSION,
		.max_bindings = MAX_BINDINGS };
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	control->link = link_new(control->base, "", &handlers);
	CU_ASSERT_PTR_NOT_NULL_FATAL(control->link);
	CU_ASSERT_EQUAL(link_attach(control->link, fds[0]), 0);
	CU_ASSERT_EQUAL(link_input(control->link, &hello, sizeof(hello)), 0);
	return fds[1];
}

// The record is in the store and cannot be taken back: the mobile node is told so.
static void test_replication_fails(void)
{
	struct replicate nowhere = { .publish = publish_nowhere };
	uint16_t types[8] = { 0 };
	uint8_t status = 255;
	const struct api_punt *punts[1];
	struct api_punt *punt = make_punt();
	struct control *control;
	char dir[64];
	int fd;

	scratch_make(dir);
	control = open_control(dir);
	fd = connect_dataplane(control);
	control->replicate = &nowhere;
	punts[0] = punt;
	chain_punts(control->chain, punts, 1);
	CU_ASSERT_EQUAL(read_records(fd, types, 8, &status), 3);
	CU_ASSERT_EQUAL(types[0], API_HELLO);
	CU_ASSERT_EQUAL(types[1], API_BINDING_SET);
	CU_ASSERT_EQUAL(types[2], API_PACKET_OUT);
	CU_ASSERT_EQUAL(status, MH_STATUS_ACCEPTED);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_live, 1);
	CU_ASSERT_EQUAL(store_stats(control->store).n_live, 1);
	CU_ASSERT_EQUAL(control->stats.n_replication_failures, 1);
	close_control(control);
	close(fd);
	free(punt);
	scratch_remove(dir);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "other home agents cannot be reached", test_replication_fails },
		CU_TEST_INFO_NULL,
	};

	log_init("chain_test", LOG_LEVEL_ERR);
	return suite_run("chain", tests);
}
