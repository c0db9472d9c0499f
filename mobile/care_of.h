// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A care-of address of this host and its sockets: the tunnel to the home agent (protocol 41) and the
// way out for signalling. Both are bound to the interface that has the address, so that the route
// through the TUN device never catches the outer packets.
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/base/addr.h"

struct care_of {
	struct ip6 address;
	char ifname[IF_NAMESIZE];
	uint32_t mtu; // of the interface
	int tunnel_fd; // raw, protocol 41, non-blocking; -1 = slot not in use
	int esp_fd; // raw, protocol 50, non-blocking; -1 without security associations
	int signal_fd; // raw, writes whole IPv6 packets
	uint64_t left_ns; // when it ceased to be the one in use, 0 = in use

	uint64_t packets_down, bytes_down; // inner bytes
	uint64_t packets_up, bytes_up;
	uint64_t n_late; // received although a later care-of address was acknowledged
	uint64_t n_send_errors;
};

// Finds the interface that has the address and opens the sockets, with that for ESP if it is wanted. Needs
// CAP_NET_RAW.
// Returns: 0, or negative errno with the reason logged; -EADDRNOTAVAIL: no interface has it.
int care_of_open(struct care_of *care_of, const struct ip6 *address, bool has_esp);
void care_of_close(struct care_of *care_of);

// The first global address of an interface. Returns: 0 or -EADDRNOTAVAIL.
int care_of_of_interface(const char *ifname, struct ip6 *out);

// Sends what follows the outer header through the tunnel, by tunnel_fd (an inner packet) or esp_fd.
// Returns: 0 or negative errno.
int care_of_send(int fd, const struct ip6 *home_agent, const void *packet, size_t len,
	uint8_t traffic_class);

// Receives what follows the outer header of one packet that came from home_agent, by either of the two.
// Returns: its length; -EAGAIN: no more; -EPERM: it came from somewhere else; other negative errno.
ssize_t care_of_recv(
	int fd, const struct ip6 *home_agent, void *buf, size_t size, uint8_t *traffic_class);

// Sends a whole IPv6 packet of signalling. Returns: 0 or negative errno.
int care_of_signal(struct care_of *care_of, const struct ip6 *dst, const void *packet, size_t len);

// Packets that the kernel dropped because this process did not read in time.
uint32_t care_of_overruns(const struct care_of *care_of);
