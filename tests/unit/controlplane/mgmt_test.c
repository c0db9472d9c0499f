// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Listings over the management socket: a long search leaves the loop its turns.

#include "controlplane/mgmt.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "controlplane/bindings.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

enum { N_BINDINGS = 300000, TURNS_MAX = 10000 };

static struct config_network networks[2] = { { .name = "full" }, { .name = "empty" } };
static struct config config = { .n_networks = 2, .networks = networks };
static struct control control;
static char dir[64];

static void fill(void)
{
	struct bce bce = { .state = BCE_LIVE,
		.expires_ns = clock_boot_ns() + CLOCK_NS_PER_S * 999 };

	control.networks.prefixes[1].network = &networks[0];
	control.networks.agents[0].network = &networks[0];
	bce.home_prefix = 1;
	ip6_parse("2001:db8:1::", &bce.home);
	for (uint32_t i = 0; i < N_BINDINGS; i++) {
		memcpy(bce.home.b + 12, &i, sizeof(i));
		CU_ASSERT_EQUAL_FATAL(bcache_reserve(control.bcache), i);
		bindings_apply(&control, i, &bce);
	}
}

static int ask(const char *request)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", dir);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (const void *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

// Nothing of 300,000 bindings is wanted: the search is cut in at least four pieces.
static void test_long_search(void)
{
	static char reply[65536];
	size_t len = 0;
	unsigned int n_pages = 0;
	int fd;

	fill();
	fd = ask("{\"verb\": \"show bindings\", \"network\": \"empty\"}\n");

	for (unsigned int i = 0; i < TURNS_MAX && strstr(reply, "end") == NULL; i++) {
		ssize_t n;

		event_base_loop(control.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		n = recv(fd, reply + len, sizeof(reply) - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(reply, "end"));
	CU_ASSERT_PTR_NULL(strstr(reply, "error"));
	for (const char *p = reply; (p = strstr(p, "\"items\":[]")) != NULL; p++)
		n_pages++;
	CU_ASSERT(n_pages >= 4 && n_pages <= 6);
	close(fd);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "a long search", test_long_search },
		CU_TEST_INFO_NULL,
	};
	int status;

	log_init("mgmt_test", LOG_LEVEL_ERR);
	control.config = &config;
	control.run_dir = scratch_make(dir);
	control.base = event_base_new();
	control.bcache = bcache_new(N_BINDINGS);
	control.wheel = wheel_new(bcache_slots(N_BINDINGS), clock_boot_ns());
	control.link = link_new(control.base, "", &(struct link_handlers){ 0 });
	control.mgmt = mgmt_new(&control);
	status = suite_run("mgmt", tests);
	mgmt_free(control.mgmt);
	link_free(control.link);
	wheel_free(control.wheel);
	bcache_free(control.bcache);
	event_base_free(control.base);
	scratch_remove(dir);
	return status;
}
