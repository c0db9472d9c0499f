// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/show_sas.h"

#include <rte_common.h>

#include "dataplane/sa.h"
#include "dataplane/show_gate.h"
#include "dataplane/show_rows.h"
#include "dataplane/stats.h"

static const char *const use_names[API_SA_USE_MAX] = {
	[API_SA_SIGNALLING] = "signalling",
	[API_SA_DISCOVERY] = "discovery",
	[API_SA_ROUTABILITY] = "routability",
	[API_SA_PAYLOAD] = "payload",
};

static void row_fill(struct rte_tel_data *row, const struct sa *sa)
{
	bool is_out = sa->direction == API_SA_OUT;
	const struct esp_suite *suite = sa->suite;
	char home[IP6_STRLEN], agent[IP6_STRLEN];

	rte_tel_data_add_dict_u64(row, "slot", sa->slot);
	rte_tel_data_add_dict_u64(row, "spi", sa->spi);
	rte_tel_data_add_dict_string(
		row, "use", sa->use < API_SA_USE_MAX ? use_names[sa->use] : "none");
	rte_tel_data_add_dict_string(row, "direction", is_out ? "out" : "in");
	rte_tel_data_add_dict_string(row, "home_address", ip6_str(&sa->home, home));
	rte_tel_data_add_dict_string(row, "agent", ip6_str(&sa->agent_address, agent));
	rte_tel_data_add_dict_string(row, "suite", suite != NULL ? suite->name : "none");
	rte_tel_data_add_dict_string(row, "source", sa->is_learned ? "ike" : "file");
	rte_tel_data_add_dict_int(row, "esn", sa->is_esn);
	rte_tel_data_add_dict_u64(
		row, "sequence", is_out ? sa_seq(sa) : stat_read(&sa->replay.top));
	rte_tel_data_add_dict_u64(row, "sequence_limit", stat_read(&sa->seq_limit));
	rte_tel_data_add_dict_int(row, "replay_window", sa->window);
	rte_tel_data_add_dict_u64(row, "packets", stat_read(&sa->packets));
	rte_tel_data_add_dict_u64(row, "bytes", stat_read(&sa->bytes));
	rte_tel_data_add_dict_u64(row, "bad_check_values", stat_read(&sa->bad_icv));
	rte_tel_data_add_dict_u64(row, "replayed", stat_read(&sa->replayed));
	rte_tel_data_add_dict_u64(row, "mismatched", stat_read(&sa->mismatched));
	rte_tel_data_add_dict_u64(row, "refused", stat_read(&sa->refused));
	rte_tel_data_add_dict_int(row, "expired", sa_is_over(sa));
}

static int show_sas(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct show_rows rows = show_rows_start(d, params);
	uint32_t n = sa_places();

	RTE_SET_USED(cmd);
	for (uint32_t i = 1; i <= n && !show_rows_is_full(&rows); i++) {
		const struct sa *sa = sa_at(i);
		struct rte_tel_data *row = sa == NULL ? NULL : show_rows_add(&rows);

		if (row != NULL)
			row_fill(row, sa);
	}
	show_rows_end(&rows);
	return 0;
}

int show_sas_register(void)
{
	return show_gate_register("/unwired/sas", show_sas,
		"IPsec security associations, without keys. Parameter: first row.");
}
