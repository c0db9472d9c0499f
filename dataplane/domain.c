// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/domain.h"

#include <errno.h>
#include <string.h>

#include <linux/rtnetlink.h>

uint8_t n_domains = 1;

static uint32_t numbers[CONFIG_MAX_DOMAINS];

void domain_init(const struct config_dataplane *config)
{
	n_domains = config->n_domains;
	memcpy(numbers, config->domains, sizeof(numbers));
}

int domain_index(uint32_t number)
{
	for (uint8_t i = 0; i < n_domains; i++) {
		if (numbers[i] == number)
			return i;
	}
	return -ENOENT;
}

uint32_t domain_number(uint8_t index)
{
	return numbers[index];
}

int domain_of_table(uint32_t table)
{
	if (table == RT_TABLE_MAIN)
		return DOMAIN_TRANSPORT;
	// Table 10000 is nobody's: domain 0 has the main table.
	return table > DOMAIN_TABLE_BASE ? domain_index(table - DOMAIN_TABLE_BASE) : -ENOENT;
}
