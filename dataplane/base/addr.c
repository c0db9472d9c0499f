// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t v4mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

bool ip6_is_v4mapped(const struct ip6 *a)
{
	return memcmp(a->b, v4mapped_prefix, sizeof(v4mapped_prefix)) == 0;
}

bool ip6_is_unicast_routable(const struct ip6 *a)
{
	static const struct ip6 loopback = { .b = { [15] = 1 } };

	return !ip6_is_any(a) && !ip6_eq(a, &loopback) && !ip6_is_multicast(a) &&
	       !ip6_is_linklocal(a) && !ip6_is_v4mapped(a);
}

void ip6_mask(struct ip6 *a, uint8_t len)
{
	unsigned int bytes = len / 8, bits = len % 8;

	if (len >= 128)
		return;
	a->b[bytes] &= (uint8_t)(0xff00 >> bits);
	memset(a->b + bytes + 1, 0, sizeof(a->b) - bytes - 1);
}

int ip6_parse(const char *text, struct ip6 *out)
{
	struct ip6 a;

	if (inet_pton(AF_INET6, text, a.b) == 1) {
		*out = a;
		return 0;
	}
	memcpy(a.b, v4mapped_prefix, sizeof(v4mapped_prefix));
	if (inet_pton(AF_INET, text, a.b + 12) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

int prefix_parse(const char *text, bool allow_host_bits, struct ip6_prefix *out)
{
	char buf[IP6_STRLEN];
	const char *slash = strchr(text, '/');
	struct ip6_prefix p;
	struct ip6 masked;
	unsigned int max, len = 0;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, (size_t)(slash - text));
	buf[slash - text] = '\0';
	if (ip6_parse(buf, &p.addr) != 0)
		return -EINVAL;
	max = strchr(buf, ':') == NULL ? 32 : 128;
	if (slash[1] == '\0' || strlen(slash + 1) > 3)
		return -EINVAL;
	for (const char *c = slash + 1; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return -EINVAL;
		len = len * 10 + (unsigned int)(*c - '0');
	}
	if (len > max)
		return -EINVAL;
	p.len = (uint8_t)(max == 32 ? len + 96 : len);
	masked = p.addr;
	ip6_mask(&masked, p.len);
	if (!allow_host_bits && !ip6_eq(&masked, &p.addr))
		return -EINVAL;
	*out = p;
	return 0;
}

char *ip6_str(const struct ip6 *a, char buf[static IP6_STRLEN])
{
	if (ip6_is_v4mapped(a))
		inet_ntop(AF_INET, a->b + 12, buf, IP6_STRLEN);
	else
		inet_ntop(AF_INET6, a->b, buf, IP6_STRLEN);
	return buf;
}

char *prefix_str(const struct ip6_prefix *p, char buf[static PREFIX_STRLEN])
{
	char a[IP6_STRLEN];
	unsigned int len = p->len;

	if (ip6_is_v4mapped(&p->addr) && len >= 96)
		len -= 96;
	snprintf(buf, PREFIX_STRLEN, "%s/%u", ip6_str(&p->addr, a), len);
	return buf;
}
