// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The mobile node's talk with its home agent: sends what the Binding Update List wants said and takes
// in what comes back.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct client;

// Asks for bindings of all home addresses to where the mobile is, or with lifetime_s 0 for their end.
void registrar_ask(struct client *client, uint32_t lifetime_s);

// Ends what expired and sends what is due. Returns: when it has more to do, or BUL_NEVER_NS.
uint64_t registrar_advance(struct client *client, uint64_t now_ns);

// Takes in a packet of the home agent's.
void registrar_receive(struct client *client, const void *packet, size_t len);
