// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/hex.h"

#define DEFAULT_CONTROL "/run/unwired-mobile.sock"
#define DEFAULT_TUN "unwired0"

enum { DEFAULT_LIFETIME_S = 420 };

static const char help[] =
	"usage: unwired-mobile --home ADDRESS --home-agent ADDRESS\n"
	"                      (--care-of ADDRESS | --interface IF) [OPTION...]\n"
	"       unwired-mobile [--control SOCKET] COMMAND\n"
	"\n"
	"A mobile node: registers its home addresses with a home agent (Mobile IPv6, RFC 6275) "
	"and\n"
	"carries their packets through a tunnel from wherever it is. Runs as root, in the "
	"foreground.\n"
	"\n"
	"  --home ADDRESS         a home address; may be given several times\n"
	"  --home-agent ADDRESS   the home agent\n"
	"  --care-of ADDRESS      the address it has where it is now\n"
	"  --interface IF         ... or the interface whose first global address that is\n"
	"  --route PREFIX         what goes through the tunnel (several; default ::/0)\n"
	"  --lifetime SECONDS     asked of the home agent (4 to 262140, default 420)\n"
	"  --mn-id NAI            who it is (RFC 4283)\n"
	"  --spi N --key-file F   shared key with the home agent (RFC 4285), in hexadecimal "
	"digits\n"
	"  --security-associations F\n"
	"                         IPsec with the home agent, keys in a JSON file (one --home)\n"
	"  --tun NAME             name of the TUN device (default " DEFAULT_TUN ")\n"
	"  --control SOCKET       where it takes commands (default " DEFAULT_CONTROL ")\n"
	"  --log-level LEVEL      err, warn, info (default) or debug\n"
	"  --version, --help\n"
	"\n"
	"commands to one that runs:\n"
	"  move ADDRESS           it is at this care-of address now\n"
	"  register               register again where it is\n"
	"  deregister             end the bindings\n"
	"  solicit                ask for the prefixes of the home network (needs IPsec)\n"
	"  status                 bindings, care-of addresses and counters, key=value\n"
	"  quit                   end without a word to the home agent\n";

// Says what is wrong with an option's value; the exit status of bad usage.
static int bad(const char *option, const char *value, const char *allowed)
{
	fprintf(stderr, "unwired-mobile: --%s %s: must be %s\n", option, value, allowed);
	return 2;
}

static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-')
		return -EINVAL;
	return *out < min || *out > max ? -ERANGE : 0;
}

static int parse_unicast(const char *text, struct ip6 *out)
{
	if (ip6_parse(text, out) < 0 || !ip6_is_unicast_routable(out))
		return -EINVAL;
	return 0;
}

// A home address, as ADDRESS or ADDRESS/128.
static int add_home(struct options *o, const char *text)
{
	struct ip6_prefix prefix;

	if (o->n_homes == OPTIONS_MAX_HOMES)
		return -ENOSPC;
	if (prefix_parse(text, true, &prefix) == 0 && prefix.len == 128)
		o->homes[o->n_homes] = prefix.addr;
	else if (ip6_parse(text, &o->homes[o->n_homes]) < 0)
		return -EINVAL;
	if (!ip6_is_unicast_routable(&o->homes[o->n_homes]))
		return -EINVAL;
	o->n_homes++;
	return 0;
}

static int add_route(struct options *o, const char *text)
{
	if (o->n_routes == OPTIONS_MAX_ROUTES)
		return -ENOSPC;
	if (prefix_parse(text, false, &o->routes[o->n_routes]) < 0)
		return -EINVAL;
	o->n_routes++;
	return 0;
}

// Reads hexadecimal digits, with nothing but space around them.
static int read_key(const char *path, struct message_identity *identity)
{
	FILE *file = fopen(path, "re");
	size_t n_digits = 0;
	int c;

	if (file == NULL)
		return -errno;
	while ((c = getc(file)) != EOF) {
		int digit = hex_digit(c);

		if (digit < 0 && strchr(" \t\r\n", c) != NULL)
			continue;
		if (digit < 0 || n_digits == sizeof(identity->key) * 2) {
			n_digits = 1;
			break;
		}
		identity->key[n_digits / 2] = (uint8_t)(identity->key[n_digits / 2] << 4 | digit);
		n_digits++;
	}
	fclose(file);
	identity->key_len = n_digits / 2;
	return n_digits < 2 || n_digits % 2 != 0 ? -EINVAL : 0;
}

static int copy_name(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len >= size)
		return -EINVAL;
	memcpy(out, text, len + 1);
	return 0;
}

// The options that take a value.
enum key {
	KEY_HOME = 256,
	KEY_HOME_AGENT,
	KEY_CARE_OF,
	KEY_INTERFACE,
	KEY_ROUTE,
	KEY_LIFETIME,
	KEY_MN_ID,
	KEY_SPI,
	KEY_KEY_FILE,
	KEY_SECURITY_ASSOCIATIONS,
	KEY_TUN,
	KEY_CONTROL,
	KEY_LOG_LEVEL,
	KEY_VERSION,
	KEY_HELP,
};

static const struct option keys[] = {
	{ "home", required_argument, NULL, KEY_HOME },
	{ "home-agent", required_argument, NULL, KEY_HOME_AGENT },
	{ "care-of", required_argument, NULL, KEY_CARE_OF },
	{ "interface", required_argument, NULL, KEY_INTERFACE },
	{ "route", required_argument, NULL, KEY_ROUTE },
	{ "lifetime", required_argument, NULL, KEY_LIFETIME },
	{ "mn-id", required_argument, NULL, KEY_MN_ID },
	{ "spi", required_argument, NULL, KEY_SPI },
	{ "key-file", required_argument, NULL, KEY_KEY_FILE },
	{ "security-associations", required_argument, NULL, KEY_SECURITY_ASSOCIATIONS },
	{ "tun", required_argument, NULL, KEY_TUN },
	{ "control", required_argument, NULL, KEY_CONTROL },
	{ "log-level", required_argument, NULL, KEY_LOG_LEVEL },
	{ "version", no_argument, NULL, KEY_VERSION },
	{ "help", no_argument, NULL, KEY_HELP },
	{ NULL, 0, NULL, 0 },
};

// What each of them must be, by key.
static const char *const allowed[] = {
	[KEY_HOME - KEY_HOME] = "a unicast IPv6 address (at most 16 of them)",
	[KEY_HOME_AGENT - KEY_HOME] = "a unicast IPv6 address",
	[KEY_CARE_OF - KEY_HOME] = "a unicast IPv6 address",
	[KEY_INTERFACE - KEY_HOME] = "the name of an interface with a global IPv6 address",
	[KEY_ROUTE - KEY_HOME] = "an IPv6 prefix without host bits (at most 16 of them)",
	[KEY_LIFETIME - KEY_HOME] = "4 to 262140 seconds",
	[KEY_MN_ID - KEY_HOME] = "1 to 200 characters",
	[KEY_SPI - KEY_HOME] = "256 to 4294967295",
	[KEY_KEY_FILE - KEY_HOME] = "a file with 2 to 128 hexadecimal digits",
	[KEY_SECURITY_ASSOCIATIONS - KEY_HOME] = "a path",
	[KEY_TUN - KEY_HOME] = "1 to 15 characters",
	[KEY_CONTROL - KEY_HOME] = "a path",
	[KEY_LOG_LEVEL - KEY_HOME] = "err, warn, info or debug",
};

// Takes one option with its value. Returns: 0 or negative errno.
static int take(struct options *o, int key, const char *value)
{
	uint64_t number;
	int error;

	switch (key) {
	case KEY_HOME:
		return add_home(o, value);
	case KEY_HOME_AGENT:
		return parse_unicast(value, &o->home_agent);
	case KEY_CARE_OF:
		return parse_unicast(value, &o->care_of);
	case KEY_INTERFACE:
		return copy_name(o->interface, sizeof(o->interface), value);
	case KEY_ROUTE:
		return add_route(o, value);
	case KEY_LIFETIME:
		error = parse_number(value, 4, OPTIONS_MAX_LIFETIME_S, &number);
		o->lifetime_s = (uint32_t)((number + 3) / 4 * 4);
		return error;
	case KEY_MN_ID:
		return copy_name(o->identity.mn_id, sizeof(o->identity.mn_id), value);
	case KEY_SPI: // below 256 reserved, RFC 4285 section 5.1
		error = parse_number(value, 256, UINT32_MAX, &number);
		o->identity.spi = (uint32_t)number;
		return error;
	case KEY_KEY_FILE:
		return read_key(value, &o->identity);
	case KEY_SECURITY_ASSOCIATIONS:
		o->security_associations = value;
		return value[0] == '\0' ? -EINVAL : 0;
	case KEY_TUN:
		return copy_name(o->tun, sizeof(o->tun), value);
	case KEY_CONTROL:
		o->control = value;
		return value[0] == '\0' ? -EINVAL : 0;
	default: // KEY_LOG_LEVEL
		return log_level_parse(value, &o->log_level);
	}
}

// Checks what belongs together. Returns: -1 or an exit status.
static int check(const struct options *o)
{
	const char *wrong = NULL;

	if (o->n_words > 0)
		return -1;
	if (o->n_homes == 0)
		wrong = "--home is missing";
	else if (ip6_is_any(&o->home_agent))
		wrong = "--home-agent is missing";
	else if (ip6_is_any(&o->care_of) == (o->interface[0] == '\0'))
		wrong = "one of --care-of and --interface is needed";
	else if ((o->identity.spi != 0) != (o->identity.key_len != 0))
		wrong = "--spi and --key-file belong together";
	else if (o->security_associations != NULL && o->n_homes != 1)
		wrong = "--security-associations are of one --home";
	if (wrong == NULL)
		return -1;
	fprintf(stderr, "unwired-mobile: %s (--help tells more)\n", wrong);
	return 2;
}

int options_parse(int argc, char **argv, struct options *out)
{
	int key;

	*out = (struct options){
		.lifetime_s = DEFAULT_LIFETIME_S,
		.tun = DEFAULT_TUN,
		.control = DEFAULT_CONTROL,
		.log_level = LOG_LEVEL_INFO,
	};
	while ((key = getopt_long(argc, argv, "", keys, NULL)) != -1) {
		if (key == '?')
			return 2;
		if (key == KEY_HELP) {
			fputs(help, stdout);
			return 0;
		}
		if (key == KEY_VERSION) {
			puts("unwired-mobile " UNWIRED_VERSION);
			return 0;
		}
		if (take(out, key, optarg) < 0)
			return bad(keys[key - KEY_HOME].name, optarg, allowed[key - KEY_HOME]);
	}
	out->n_words = argc - optind;
	out->words = argv + optind;
	return check(out);
}
