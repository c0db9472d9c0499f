// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Interfaces of the kernel whose other end is this process.
#pragma once

// Makes a TAP (frames) or TUN (IP packets) interface; flags is IFF_TAP or IFF_TUN. While one of that name
// of an ended process is still going away, it is waited for: with a full routing table the kernel takes
// seconds to remove an interface. As root.
// Returns: a non-blocking descriptor, each read or write of which is one packet, or negative errno.
int tun_open(const char *name, short flags);
