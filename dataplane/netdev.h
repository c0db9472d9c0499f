// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Small questions and orders to a network interface of the kernel, by name. Orders need root.
#pragma once

#include <stdint.h>

// Writes net.FAMILY.conf.NAME.KEY = value. A kernel without that key is not an error (logged).
void netdev_sysctl(const char *family, const char *name, const char *key, int value);

// Sets and clears IFF_* flags. Returns: 0 or negative errno.
int netdev_set_flags(const char *name, unsigned int set, unsigned int clear);
int netdev_set_mac(const char *name, const uint8_t mac[6]);
int netdev_set_mtu(const char *name, uint16_t mtu);

// Returns: the MTU, or negative errno.
int netdev_mtu(const char *name);

// Number of receive and transmit queue pairs that are set up, at least 1.
unsigned int netdev_queues(const char *name);

// Makes the kernel's own stack on an interface deaf that is read through an AF_PACKET ring: else
// every packet is handled twice, and its link-local address fails the twin's DAD. Does not touch
// all.rp_filter. Before the twin exists. Returns: 0 or negative errno.
int netdev_quiet_packet(const char *name);
// The same for AF_XDP, where the XDP program takes the packets away before the stack.
int netdev_quiet_xdp(const char *name);
