// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/accept.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <string.h>

#include "dataplane/base/log.h"

enum { REST_MS = 100 };

static void go_on(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(arg);
}

static void rest(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = { .tv_usec = REST_MS * 1000 };
	static struct log_limit limit = { .per_second = 1 };

	(void)arg;
	log_write_limited(&limit, LOG_LEVEL_WARN, "accept_failed error=\"%s\"", strerror(errno));
	// Without memory for the event it goes on at once.
	if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, go_on, listener,
		    &pause) == 0)
		evconnlistener_disable(listener);
}

void accept_rests_on_error(struct evconnlistener *listener)
{
	evconnlistener_set_error_cb(listener, rest);
}
