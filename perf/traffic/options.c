// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/traffic/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char options_usage[] =
	"usage: unwired-traffic [OPTION...] -- EAL-ARGUMENTS...\n"
	"Sends traffic through a home agent from both of its sides and counts what comes back.\n\n"
	"  --core PORT,MAC      DPDK port where correspondents are, MAC of the home agent there\n"
	"  --access PORT,MAC    the same where mobiles are (default: as --core, one arm)\n"
	"  --direction WHICH    down (to home addresses), up (out of tunnels), both (default)\n"
	"  --home ADDRESS       home address of the first mobile (default 2001:db8:1::1:0)\n"
	"  --care-of ADDRESS    its care-of address (default 2400::)\n"
	"  --subnets N          /48s that care-of addresses are spread over (default 1)\n"
	"  --mobiles N          how many, with the addresses that follow (default 1000)\n"
	"  --agent ADDRESS      tunnel end (default 2001:db8:1::1)\n"
	"  --correspondent ADDRESS  (default 2001:db8:20::20)\n"
	"  --size BYTES,...|imix    frames at the core side without FCS, 78 to 1474, in turn "
	"(default 78)\n"
	"  --rate PPS           packets a second in each direction (default 1000)\n"
	"  --seconds S          length of a trial (default 10)\n"
	"  --search             RFC 2544: the highest rate up to --rate that loses no packet\n"
	"  --max-loss SHARE     what --search takes for none (default 0)\n"
	"  --precision SHARE    of --rate, how exact --search is (default 0.01)\n"
	"  --register PPS       first bind all mobiles, unauthenticated, so many a second\n"
	"  --json FILE          the findings as JSON\n";

enum {
	OPT_CORE = 1,
	OPT_ACCESS,
	OPT_DIRECTION,
	OPT_HOME,
	OPT_CARE_OF,
	OPT_SUBNETS,
	OPT_MOBILES,
	OPT_AGENT,
	OPT_CORRESPONDENT,
	OPT_SIZE,
	OPT_RATE,
	OPT_SECONDS,
	OPT_SEARCH,
	OPT_MAX_LOSS,
	OPT_PRECISION,
	OPT_REGISTER,
	OPT_JSON,
};

static const struct option longopts[] = {
	{ "core", required_argument, NULL, OPT_CORE },
	{ "access", required_argument, NULL, OPT_ACCESS },
	{ "direction", required_argument, NULL, OPT_DIRECTION },
	{ "home", required_argument, NULL, OPT_HOME },
	{ "care-of", required_argument, NULL, OPT_CARE_OF },
	{ "subnets", required_argument, NULL, OPT_SUBNETS },
	{ "mobiles", required_argument, NULL, OPT_MOBILES },
	{ "agent", required_argument, NULL, OPT_AGENT },
	{ "correspondent", required_argument, NULL, OPT_CORRESPONDENT },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "search", no_argument, NULL, OPT_SEARCH },
	{ "max-loss", required_argument, NULL, OPT_MAX_LOSS },
	{ "precision", required_argument, NULL, OPT_PRECISION },
	{ "register", required_argument, NULL, OPT_REGISTER },
	{ "json", required_argument, NULL, OPT_JSON },
	{ 0 },
};

static int number(const char *text, double least, double most, double *out)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != 0 || !(value >= least && value <= most))
		return -EINVAL;
	*out = value;
	return 0;
}

static int whole(const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
	double value = 0;

	if (number(text, least, most, &value) != 0 || value != (double)(uint32_t)value)
		return -EINVAL;
	*out = (uint32_t)value;
	return 0;
}

// "PORT,MAC".
static int side(const char *text, uint16_t *port, struct rte_ether_addr *mac)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != ',' || value >= UINT16_MAX ||
		rte_ether_unformat_addr(end + 1, mac) != 0)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

static int direction(const char *text, bool directions[DIRECTIONS])
{
	bool is_both = strcmp(text, "both") == 0;

	directions[DOWN] = is_both || strcmp(text, "down") == 0;
	directions[UP] = is_both || strcmp(text, "up") == 0;
	return directions[DOWN] || directions[UP] ? 0 : -EINVAL;
}

// Sizes in turn. The mix has packets of 64, 576 and 1460 bytes as 7, 4 and 1, the usual one, where the
// smallest that an IPv6 packet with our bytes can be stands for the first.
static int sizes(char *text, struct options *options)
{
	static const uint16_t imix[] = { 78, 590, 78, 78, 590, 78, 1474, 78, 590, 78, 78, 590 };
	char *save, *part;

	options->n_sizes = 0;
	if (strcmp(text, "imix") == 0) {
		memcpy(options->sizes, imix, sizeof(imix));
		options->n_sizes = sizeof(imix) / sizeof(imix[0]);
		return 0;
	}
	for (part = strtok_r(text, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
		uint32_t size;

		if (options->n_sizes == SIZES_MAX || whole(part, SIZE_LEAST, SIZE_MOST, &size) != 0)
			return -EINVAL;
		options->sizes[options->n_sizes++] = (uint16_t)size;
	}
	return options->n_sizes > 0 ? 0 : -EINVAL;
}

static int take(struct options *o, int opt, char *text)
{
	switch (opt) {
	case OPT_CORE:
		return side(text, &o->ports[CORE], &o->gateways[CORE]);
	case OPT_ACCESS:
		return side(text, &o->ports[ACCESS], &o->gateways[ACCESS]);
	case OPT_DIRECTION:
		return direction(text, o->directions);
	case OPT_HOME:
		return ip6_parse(text, &o->home);
	case OPT_CARE_OF:
		return ip6_parse(text, &o->care_of);
	case OPT_SUBNETS:
		return whole(text, 1, 1 << 16, &o->n_subnets);
	case OPT_MOBILES:
		return whole(text, 1, MOBILES_MAX, &o->n_mobiles);
	case OPT_AGENT:
		return ip6_parse(text, &o->agent);
	case OPT_CORRESPONDENT:
		return ip6_parse(text, &o->correspondent);
	case OPT_SIZE:
		return sizes(text, o);
	case OPT_RATE:
		return number(text, 1, 1e9, &o->rate);
	case OPT_SECONDS:
		return number(text, 0.1, 86400, &o->seconds);
	case OPT_SEARCH:
		o->search = true;
		return 0;
	case OPT_MAX_LOSS:
		return number(text, 0, 1, &o->max_loss);
	case OPT_PRECISION:
		return number(text, 0.0001, 0.5, &o->precision);
	case OPT_REGISTER:
		return number(text, 1, 1e7, &o->register_rate);
	case OPT_JSON:
		o->json = text;
		return 0;
	default:
		return -EINVAL;
	}
}

static const char *name_of(int opt)
{
	for (const struct option *o = longopts; o->name != NULL; o++) {
		if (o->val == opt)
			return o->name;
	}
	return "?";
}

int options_read(struct options *options, int argc, char **argv)
{
	struct options o = { .ports = { UINT16_MAX, UINT16_MAX },
		.directions = { true, true },
		.n_mobiles = 1000,
		.n_subnets = 1,
		.sizes = { SIZE_LEAST },
		.n_sizes = 1,
		.rate = 1000,
		.seconds = 10,
		.precision = 0.01 };
	int opt;

	ip6_parse("2001:db8:1::1:0", &o.home);
	ip6_parse("2400::", &o.care_of);
	ip6_parse("2001:db8:1::1", &o.agent);
	ip6_parse("2001:db8:20::20", &o.correspondent);
	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (opt == '?')
			return -EINVAL; // getopt has said why
		if (take(&o, opt, optarg) != 0) {
			fprintf(stderr, "unwired-traffic: --%s: %s is not allowed\n", name_of(opt),
				optarg);
			return -EINVAL;
		}
	}
	if (o.ports[CORE] == UINT16_MAX || optind < argc) {
		fputs(options_usage, stderr);
		return -EINVAL;
	}
	if (o.ports[ACCESS] == UINT16_MAX) {
		o.ports[ACCESS] = o.ports[CORE];
		o.gateways[ACCESS] = o.gateways[CORE];
	}
	*options = o;
	return 0;
}
