// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "perf/load_way.h"

enum {
	BATCH = 64,
	FRAME_MAX = 512,
	IN_FLIGHT = 512, // Updates without an answer
	PATIENCE_NS = 200 * 1000 * 1000, // without any answer: they are lost
};

struct frame {
	struct ethhdr eth;
	uint8_t packet[FRAME_MAX - sizeof(struct ethhdr)];
} __attribute__((packed));

struct port {
	struct load_way way; // first
	int fd;
	struct ethhdr eth;
	unsigned int n_in_flight, n_put;
	uint64_t heard_ns;
	struct frame out[BATCH], in[BATCH];
	struct iovec out_iov[BATCH], in_iov[BATCH];
	struct mmsghdr out_msgs[BATCH], in_msgs[BATCH];
};

static struct port *of(struct load_way *way)
{
	return (struct port *)(void *)way;
}

static unsigned int room(struct load_way *way)
{
	return IN_FLIGHT - of(way)->n_in_flight;
}

static int send_batch(struct port *p)
{
	unsigned int sent = 0;

	while (sent < p->n_put) {
		int n = sendmmsg(p->fd, p->out_msgs + sent, p->n_put - sent, 0);

		if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			return -errno;
		sent += n > 0 ? (unsigned int)n : 0;
	}
	p->n_put = 0;
	return 0;
}

static void put(struct load_way *way, const uint8_t *packet, size_t len, uint32_t sa_slot)
{
	struct port *p = of(way);
	struct frame *f = &p->out[p->n_put];

	(void)sa_slot; // sealed by nobody here
	if (p->n_in_flight++ == 0)
		p->heard_ns = clock_mono_ns();
	f->eth = p->eth;
	memcpy(f->packet, packet, len);
	p->out_iov[p->n_put++].iov_len = sizeof(f->eth) + len;
	if (p->n_put == BATCH)
		send_batch(p);
}

// Takes a frame: what comes from the home agent's port and goes to us.
static void take(struct port *p, const struct frame *f, size_t len)
{
	if (len <= sizeof(f->eth) || f->eth.h_proto != htons(ETH_P_IPV6) ||
		memcmp(f->eth.h_source, p->eth.h_dest, ETH_ALEN) != 0 || f->packet[6] != 43)
		return;
	p->way.owner->answer(p->way.owner->ctx, f->packet, len - sizeof(f->eth));
	p->way.n_done++;
	p->heard_ns = clock_mono_ns();
	if (p->n_in_flight > 0)
		p->n_in_flight--;
}

static int turn(struct load_way *way, unsigned int wait_us)
{
	struct port *p = of(way);
	struct timespec wait = { .tv_nsec = 1000L * wait_us };
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };
	int error = send_batch(p);
	int n;

	if (error != 0)
		return error;
	if (wait_us > 0)
		ppoll(&fd, 1, &wait, NULL);
	while ((n = recvmmsg(p->fd, p->in_msgs, BATCH, MSG_DONTWAIT, NULL)) > 0)
		for (int i = 0; i < n; i++)
			take(p, &p->in[i], p->in_msgs[i].msg_len);
	if (p->n_in_flight > 0 && clock_mono_ns() - p->heard_ns > PATIENCE_NS) {
		p->way.n_lost += p->n_in_flight;
		p->n_in_flight = 0;
	}
	return 0;
}

static void close_all(struct load_way *way)
{
	struct port *p = of(way);

	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

static int open_socket(struct port *p, const char *interface)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IPV6),
		.sll_ifindex = (int)if_nametoindex(interface) };
	struct ifreq request = { 0 };
	const void *to = &address;
	int size = 16 << 20, one = 1;

	if (address.sll_ifindex == 0)
		return -errno;
	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || ioctl(p->fd, SIOCGIFHWADDR, &request) != 0)
		return -errno;
	memcpy(p->eth.h_source, request.ifr_hwaddr.sa_data, ETH_ALEN);
	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(p->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	return bind(p->fd, to, sizeof(address)) == 0 ? 0 : -errno;
}

struct load_way *load_port_open(
	const char *interface, const uint8_t gateway[static 6], const struct load_owner *owner)
{
	struct port *p = calloc(1, sizeof(*p));
	int error;

	if (p == NULL)
		return NULL;
	p->way = (struct load_way){
		.owner = owner, .room = room, .put = put, .turn = turn, .close = close_all
	};
	p->fd = -1;
	p->eth.h_proto = htons(ETH_P_IPV6);
	memcpy(p->eth.h_dest, gateway, ETH_ALEN);
	for (unsigned int i = 0; i < BATCH; i++) {
		p->out_iov[i] = (struct iovec){ &p->out[i], 0 };
		p->in_iov[i] = (struct iovec){ &p->in[i], sizeof(p->in[i]) };
		p->out_msgs[i].msg_hdr =
			(struct msghdr){ .msg_iov = &p->out_iov[i], .msg_iovlen = 1 };
		p->in_msgs[i].msg_hdr =
			(struct msghdr){ .msg_iov = &p->in_iov[i], .msg_iovlen = 1 };
	}
	error = open_socket(p, interface);
	if (error != 0) {
		close_all(&p->way);
		errno = -error;
		return NULL;
	}
	return &p->way;
}
