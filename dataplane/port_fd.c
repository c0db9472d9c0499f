// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/port_fd.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_packet.h>
#include <rte_ethdev.h>

#include "dataplane/base/log.h"

enum { FD_MAX = 1024 };

static bool is_older[FD_MAX]; // existed before the probe
static int queue_fd[CONFIG_MAX_PORTS][CONFIG_MAX_WORKERS];

// Lists the open descriptors. Shape: out[FD_MAX], true = open.
static void list_fds(bool out[FD_MAX])
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	memset(out, 0, FD_MAX * sizeof(*out));
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		long fd = strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && fd >= 0 && fd < FD_MAX)
			out[fd] = true;
	}
	if (dir != NULL) {
		out[dirfd(dir)] = false;
		closedir(dir);
	}
}

void port_fd_before_probe(void)
{
	list_fds(is_older);
}

// True for a packet socket on that interface, or an AF_XDP socket (which does not tell its own).
static bool is_queue(int fd, uint32_t ifindex)
{
	struct sockaddr_ll address = { 0 };
	socklen_t len = sizeof(int);
	int domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return false;
	if (domain == AF_XDP)
		return true;
	len = sizeof(address);
	return domain == AF_PACKET && getsockname(fd, (void *)&address, &len) == 0 &&
	       address.sll_ifindex == (int)ifindex;
}

void port_fd_find(const struct port *port)
{
	bool is_open[FD_MAX];
	uint16_t n = 0;

	for (unsigned int q = 0; q < CONFIG_MAX_WORKERS; q++)
		queue_fd[port->index][q] = -1;
	if (port->netdev_ifindex == 0) {
		for (uint16_t q = 0; port->has_interrupts && q < port->n_rx_queues; q++)
			queue_fd[port->index][q] =
				rte_eth_dev_rx_intr_ctl_q_get_fd(port->dpdk_id, q);
		return;
	}
	list_fds(is_open);
	// The driver opens its queues in order, each with the lowest free number.
	for (int fd = 0; fd < FD_MAX && n < port->n_rx_queues; fd++) {
		if (is_open[fd] && !is_older[fd] && is_queue(fd, port->netdev_ifindex))
			queue_fd[port->index][n++] = fd;
	}
	if (n < port->n_rx_queues)
		log_warn("port_fd_missing port=%s found=%u queues=%u", port->name, n,
			port->n_rx_queues);
}

int port_queue_fd(const struct port *port, uint16_t queue)
{
	return queue < CONFIG_MAX_WORKERS ? queue_fd[port->index][queue] : -1;
}
