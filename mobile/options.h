// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The command line of unwired-mobile.
#pragma once

#include <net/if.h>
#include <stdint.h>

#include "dataplane/base/addr.h"
#include "dataplane/base/log.h"
#include "mobile/message.h"

enum {
	OPTIONS_MAX_HOMES = 16,
	OPTIONS_MAX_ROUTES = 16,
	OPTIONS_MAX_LIFETIME_S = 65535 * 4, // RFC 6275 section 6.1.7
};

struct options {
	unsigned int n_homes;
	struct ip6 homes[OPTIONS_MAX_HOMES];
	struct ip6 home_agent;
	struct ip6 care_of; // unspecified: take it from interface
	char interface[IF_NAMESIZE];
	unsigned int n_routes; // 0: everything goes through the tunnel
	struct ip6_prefix routes[OPTIONS_MAX_ROUTES];
	uint32_t lifetime_s; // multiple of 4
	struct message_identity identity;
	const char *security_associations; // path; borrowed from argv, NULL without
	char tun[IF_NAMESIZE];
	const char *control; // path; borrowed from argv
	enum log_level log_level;
	// A command for a running client, instead of being one; borrowed from argv, n_words 0 without.
	int n_words;
	char **words;
};

// Reads argv. Prints --help and --version, and what is wrong.
// Returns: -1 to go on, else the exit status.
int options_parse(int argc, char **argv, struct options *out);
