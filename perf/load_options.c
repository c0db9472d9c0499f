// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/load_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void print_help(FILE *out)
{
	fprintf(out, "usage: unwired-load [options] STEP...\n"
		     "       unwired-load --mobiles N --subscribers FILE\n\n"
		     "steps: initial, refresh, handover, bogus, expiry, proofs, disk\n\n"
		     "  --run-dir DIR        be the dataplane of the control process there\n"
		     "  --interface NAME     or send over this interface\n"
		     "  --gateway MAC        to the home agent's port\n"
		     "  --control-pid PID    whose processor time is measured\n"
		     "  --state-dir DIR      its state directory, whose disk is measured\n"
		     "  --mobiles N          how many (default 100000)\n"
		     "  --each-proof         so many each that sign, that have security\n"
		     "                       associations and that prove nothing (proofs)\n"
		     "  --registered         they are registered already\n"
		     "  --updates N          of a round (default 200000)\n"
		     "  --rounds N           default 5\n"
		     "  --seconds S          of a paced run (default 5)\n"
		     "  --lifetime S         asked for (default 3600)\n"
		     "  --agent ADDRESS      default 2001:db8:1::1\n"
		     "  --home-prefix A      default 2001:db8:1::\n"
		     "  --care-of-prefix A   default 2400::, a /64 a mobile inside its /32\n"
		     "  --subscribers FILE   write their lines there and end\n"
		     "  --out FILE           JSON rows (default: standard output)\n"
		     "  --help\n");
}

static uint32_t number_of(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end != '\0' || v == 0 || v > 100000000) {
		fprintf(stderr, "unwired-load: %s: must be 1 to 100000000\n", text);
		exit(2);
	}
	return (uint32_t)v;
}

static void address_of(const char *text, struct ip6 *out)
{
	if (ip6_parse(text, out) == 0)
		return;
	fprintf(stderr, "unwired-load: %s: no IPv6 address\n", text);
	exit(2);
}

static void gateway_of(const char *text, uint8_t out[static 6])
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &out[0], &out[1], &out[2], &out[3],
		    &out[4], &out[5]) == 6)
		return;
	fprintf(stderr, "unwired-load: %s: no MAC address\n", text);
	exit(2);
}

void load_options_read(int argc, char *argv[], struct load_options *a)
{
	static const struct option options[] = {
		{ "run-dir", required_argument, NULL, 'r' },
		{ "interface", required_argument, NULL, 'i' },
		{ "gateway", required_argument, NULL, 'g' },
		{ "control-pid", required_argument, NULL, 'p' },
		{ "state-dir", required_argument, NULL, 'd' },
		{ "mobiles", required_argument, NULL, 'm' },
		{ "each-proof", no_argument, NULL, 'e' },
		{ "registered", no_argument, NULL, 'R' },
		{ "updates", required_argument, NULL, 'u' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ "lifetime", required_argument, NULL, 'l' },
		{ "agent", required_argument, NULL, 'a' },
		{ "home-prefix", required_argument, NULL, 'H' },
		{ "care-of-prefix", required_argument, NULL, 'c' },
		{ "subscribers", required_argument, NULL, 'S' },
		{ "out", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	*a = (struct load_options){ .n_mobiles = 100000,
		.n_updates = 200000,
		.n_rounds = 5,
		.lifetime_s = 3600,
		.seconds = 5 };
	address_of("2001:db8:1::1", &a->agent);
	address_of("2001:db8:1::", &a->home_prefix);
	address_of("2400::", &a->care_of_prefix);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			a->run_dir = optarg;
			break;
		case 'i':
			a->interface = optarg;
			break;
		case 'g':
			gateway_of(optarg, a->gateway);
			break;
		case 'p':
			a->control = (pid_t)number_of(optarg);
			break;
		case 'd':
			a->state_dir = optarg;
			break;
		case 'm':
			a->n_mobiles = number_of(optarg);
			break;
		case 'e':
			a->has_each_proof = true;
			break;
		case 'R':
			a->is_registered = true;
			break;
		case 'u':
			a->n_updates = number_of(optarg);
			break;
		case 'n':
			a->n_rounds = number_of(optarg);
			break;
		case 's':
			a->seconds = atof(optarg);
			break;
		case 'l':
			a->lifetime_s = number_of(optarg);
			break;
		case 'a':
			address_of(optarg, &a->agent);
			break;
		case 'H':
			address_of(optarg, &a->home_prefix);
			break;
		case 'c':
			address_of(optarg, &a->care_of_prefix);
			break;
		case 'S':
			a->subscribers = optarg;
			break;
		case 'o':
			a->out = optarg;
			break;
		case 'h':
			print_help(stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	a->first_step = optind;
}
