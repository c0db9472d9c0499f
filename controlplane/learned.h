// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The records that unwired-xfrm sends to unwired-control over one AF_UNIX SOCK_SEQPACKET socket
// (RUN_DIR/ike.sock; control listens, one sender at a time): the security associations that an IKE daemon
// put into the kernel, one mobile a message, host byte order (both ends are one machine and one release).
//
//   BEGIN       what was not said again when END comes is gone.
//   MOBILE      all associations of one home address at one agent address, in the place of those that it
//               had. None: it has no more.
//   END
#pragma once

#include <assert.h>
#include <stdint.h>

#include "controlplane/association.h"
#include "dataplane/base/addr.h"

#define LEARNED_SOCKET_NAME "ike.sock"

enum { LEARNED_VERSION = 1 };

enum learned_type {
	LEARNED_BEGIN = 1,
	LEARNED_MOBILE,
	LEARNED_END,
};

struct learned {
	uint16_t version; // LEARNED_VERSION
	uint16_t type; // enum learned_type
	uint32_t len; // bytes of packed
	struct ip6 home, agent;
	uint8_t packed[]; // MOBILE: association_pack
};
static_assert(sizeof(struct learned) == 40, "record of the learned associations");

enum { LEARNED_MAX = sizeof(struct learned) + ASSOCIATION_BYTES_MAX };
