// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Mobile prefix discovery of the mobile node: asks for the prefixes of its home network, and tells people
// what the home agent says. Under security associations only. RFC 6275 sections 6.7, 6.8, 11.4.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct client;

// Sends a Mobile Prefix Solicitation from where the mobile is. Returns: 0 or negative errno.
int discovery_ask(struct client *client);

// Reports a Mobile Prefix Advertisement that came under its association; one that nobody asked for is
// acknowledged by a solicitation.
void discovery_receive(struct client *client, const uint8_t *packet, size_t len);
