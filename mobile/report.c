// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "dataplane/base/clock.h"
#include "mobile/client.h"

void report(enum log_level level, const char *event, const char *fmt, ...)
{
	uint64_t now_ns = clock_wall_ns();
	time_t now_s = (time_t)(now_ns / CLOCK_NS_PER_S);
	char text[512];
	struct tm tm;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	localtime_r(&now_s, &tm);
	log_write(level, "%s time=%02d:%02d:%02d.%03u %s", event, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(unsigned int)(now_ns % CLOCK_NS_PER_S / 1000000), text);
}

static void report_home(const struct bul *bul, FILE *out)
{
	uint64_t now_ns = clock_mono_ns();
	uint64_t remaining_s = 0;
	char home[IP6_STRLEN], care_of[IP6_STRLEN];

	if (bul->is_bound && bul->bound_until_ns > now_ns)
		remaining_s = (bul->bound_until_ns - now_ns) / CLOCK_NS_PER_S;
	fprintf(out,
		"home=%s state=%s care_of=%s sequence=%u lifetime_s=%u remaining_s=%" PRIu64
		" rtt_ms=%.2f acknowledged=%" PRIu64 " retransmitted=%" PRIu64 " refused=%" PRIu64
		"\n",
		ip6_str(&bul->home, home), bul_state(bul),
		ip6_str(bul->is_bound ? &bul->bound_care_of : &bul->care_of, care_of),
		bul->sequence, bul->is_bound ? bul->lifetime_s : 0, remaining_s,
		(double)bul->rtt_ns / 1e6, bul->n_acknowledged, bul->n_retransmitted,
		bul->n_refused);
}

static void report_care_of(const struct care_of *care_of, FILE *out)
{
	char address[IP6_STRLEN];

	fprintf(out,
		"care_of=%s interface=%s current=%s packets_down=%" PRIu64 " bytes_down=%" PRIu64
		" packets_up=%" PRIu64 " bytes_up=%" PRIu64 " late=%" PRIu64 " send_errors=%" PRIu64
		" overruns=%u\n",
		ip6_str(&care_of->address, address), care_of->ifname,
		care_of->left_ns == 0 ? "yes" : "no", care_of->packets_down, care_of->bytes_down,
		care_of->packets_up, care_of->bytes_up, care_of->n_late, care_of->n_send_errors,
		care_of_overruns(care_of));
}

void report_status(const struct client *client, FILE *out)
{
	const struct client_drops *d = &client->drops;

	for (unsigned int i = 0; i < client->n_buls; i++)
		report_home(&client->buls[i], out);
	for (unsigned int i = 0; i < CLIENT_MAX_CARE_OFS; i++) {
		if (client->paths[i].event != NULL)
			report_care_of(&client->paths[i].care_of, out);
	}
	security_report(client->security, out);
	fprintf(out,
		"drops up_unbound=%" PRIu64 " up_source=%" PRIu64 " down_source=%" PRIu64
		" down_destination=%" PRIu64 " down_malformed=%" PRIu64 " down_left=%" PRIu64
		" down_ecn=%" PRIu64 " signal_malformed=%" PRIu64 " signal_ignored=%" PRIu64
		" up_unprotected=%" PRIu64 " down_unprotected=%" PRIu64 " down_esp=%" PRIu64 "\n",
		d->up_unbound, d->up_source, d->down_source, d->down_destination, d->down_malformed,
		d->down_left, d->down_ecn, d->signal_malformed, d->signal_ignored,
		d->up_unprotected, d->down_unprotected, d->down_esp);
}
