// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Descriptors on which an idle worker can sleep. The AF_PACKET and AF_XDP drivers hide theirs; they
// are found among the process' descriptors while the port is set up (later they belong to root).
#pragma once

#include "dataplane/port.h"

// Remembers which descriptors exist. Before the device of a port is probed.
void port_fd_before_probe(void);

// Finds the descriptors of the port's receive queues. After it is started, before the next probe.
void port_fd_find(const struct port *port);
