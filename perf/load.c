// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-load: what registrations cost. It is mobile nodes by the million, and measures the processor
// time of the control process for each Update, the rate that can be reached, and how long an
// Acknowledgement takes at a third of it. One JSON object a row.

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "perf/load_disk.h"
#include "perf/load_mobiles.h"
#include "perf/load_options.h"
#include "perf/load_report.h"
#include "perf/load_waits.h"
#include "perf/load_way.h"

enum {
	US_PER_S = 1000000,
	TURN_US = 100, // between two messages of a paced run
	WAIT_US = 500,
	SETTLE_US = 300000, // silence that ends a run
	EXPIRY_GROUPS = 8,
	EXPIRY_STEP_S = 4, // lifetimes come in steps of it
};

struct load {
	struct load_options arguments;
	struct mobiles *kinds[MOBILES_PROOFS]; // owned; the first, or all of them
	struct mobiles *mobiles; // those whose turn it is
	struct load_way *way;
	struct report *report;
	clockid_t control_clock;
	uint64_t begin_ns;
	uint64_t random;
	uint32_t next_new; // mobiles below it are registered
	double reached; // Updates a second
	uint64_t n_sent, n_accepted, n_refused;
	struct report_latency latency, second; // of all of a paced run; of its last second
	struct report_latency undisturbed; // of those for whom nobody else had a core
	struct waits waits;
	uint64_t second_ns; // when that began
	struct report_row *timed; // the row of the paced run, NULL = none
};

// One run of Updates.
struct run {
	const char *name;
	enum mobiles_update what;
	bool is_first; // each mobile once, in order of a permutation
	uint32_t lifetime_s;
	uint64_t n;
	double rate; // a second; 0: as fast as answers come
};

static uint32_t now_us(const struct load *load)
{
	return (uint32_t)((clock_mono_ns() - load->begin_ns) / 1000);
}

static uint64_t control_ns(const struct load *load)
{
	return load->arguments.control != 0 ? clock_ns(load->control_clock) : 0;
}

static void answer(void *ctx, const uint8_t *packet, size_t len)
{
	struct load *load = ctx;
	uint32_t i, due_us;
	int status = mobiles_answered(load->mobiles, packet, len, &i, &due_us);

	if (status < 0)
		return;
	load->n_accepted += status < 128;
	load->n_refused += status >= 128;
	if (load->timed == NULL)
		return;
	waits_note(&load->waits, now_us(load));
	report_latency_add(&load->second, now_us(load) - due_us);
	if (waits_since(&load->waits, due_us) < WAITS_DISTURBED_US)
		report_latency_add(&load->undisturbed, now_us(load) - due_us);
}

static void secured(void *ctx, const struct ip6 *home, uint32_t slot)
{
	struct load *load = ctx;

	if (load->kinds[MOBILES_SECURED] != NULL)
		mobiles_note_slot(load->kinds[MOBILES_SECURED], home, slot);
}

static uint32_t random_mobile(struct load *load)
{
	uint32_t n = load->next_new != 0 ? load->next_new : load->arguments.n_mobiles;

	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return (uint32_t)((load->random >> 32) * n >> 32);
}

static void put_one(struct load *load, const struct run *run, uint32_t due_us)
{
	uint8_t packet[MOBILES_PACKET_MAX];
	uint32_t i = run->is_first ? load->next_new++ : random_mobile(load);
	ssize_t len = mobiles_build(load->mobiles, i, run->what, run->lifetime_s, due_us, packet);

	if (len < 0) {
		fprintf(stderr, "unwired-load: an Update: %s\n", strerror((int)-len));
		exit(1);
	}
	load->way->put(load->way, packet, (size_t)len, mobiles_slot(load->mobiles, i));
	load->n_sent++;
}

static void must(int error)
{
	if (error == 0)
		return;
	fprintf(stderr, "unwired-load: the home agent is gone: %s\n", strerror(-error));
	exit(1);
}

// Puts what is due. Returns: how many.
static unsigned int put_due(struct load *load, const struct run *run, uint64_t sent, double t0_us)
{
	unsigned int n_put = 0, room = load->way->room(load->way);
	double elapsed_us = now_us(load) - t0_us;
	uint64_t due = run->n;

	if (run->rate > 0 && (double)due > elapsed_us * run->rate / US_PER_S)
		due = (uint64_t)(elapsed_us * run->rate / US_PER_S);
	for (; sent + n_put < due && n_put < room; n_put++) {
		double at_us = t0_us;

		at_us += run->rate > 0 ? (double)(sent + n_put) * US_PER_S / run->rate : elapsed_us;
		put_one(load, run, (uint32_t)at_us);
	}
	return n_put;
}

// Notes the second that is over, if one is.
static void end_second(struct load *load, bool is_over)
{
	if (load->timed == NULL || (!is_over && clock_mono_ns() - load->second_ns < CLOCK_NS_PER_S))
		return;
	report_row_second(load->timed, &load->latency, &load->second);
	load->second_ns = clock_mono_ns();
}

// Runs it to the end, until the last one is dealt with. Returns: seconds.
static double run_all(struct load *load, const struct run *run)
{
	uint64_t sent = 0, done0 = load->way->n_done + load->way->n_lost,
		 begin_ns = clock_mono_ns();
	double t0_us = now_us(load);

	while (load->way->n_done + load->way->n_lost - done0 < run->n) {
		unsigned int n_put = put_due(load, run, sent, t0_us);

		sent += n_put;
		must(load->way->turn(load->way, run->rate > 0 ? TURN_US : n_put > 0 ? 0 : WAIT_US));
		end_second(load, false);
		report_progress(load->report, run->name, (double)sent / (double)run->n);
	}
	return (double)(clock_mono_ns() - begin_ns) / 1e9;
}

// Takes what is still on its way.
static void settle(struct load *load)
{
	for (unsigned int us = 0; us < SETTLE_US; us += 10000)
		must(load->way->turn(load->way, 10000));
}

// A paced run whose latencies are noted.
static void time_paced(struct load *load, const struct run *run, struct report_row *row)
{
	uint64_t cpu0 = control_ns(load), waited0_us = waits_total(&load->waits);

	load->latency = load->second = load->undisturbed = (struct report_latency){ 0 };
	load->second_ns = clock_mono_ns();
	load->timed = row;
	run_all(load, run);
	row->cpu_us_paced = (double)(control_ns(load) - cpu0) / 1e3 / (double)run->n;
	row->rate_paced = run->rate;
	settle(load);
	end_second(load, true);
	load->timed = NULL;
	row->latency = &load->latency;
	row->undisturbed = &load->undisturbed;
	row->waited_ms = (double)(waits_total(&load->waits) - waited0_us) / 1e3;
}

// A row: rounds as fast as it goes, then paced at a third of that.
static void measure(struct load *load, struct run run, bool has_latency)
{
	const struct load_options *a = &load->arguments;
	struct report_row row = { .name = run.name, .n_bindings = load->next_new };
	uint64_t n_rounds = run.is_first ? 10 : a->n_rounds;
	uint64_t refused0 = load->n_refused, lost0 = load->way->n_lost;

	run.n = run.is_first ? a->n_mobiles / n_rounds : a->n_updates;
	for (uint64_t r = 0; r < n_rounds; r++) {
		uint64_t cpu0 = control_ns(load);
		double took_s = run_all(load, &run);

		report_row_add(&row, (double)(control_ns(load) - cpu0) / 1e3 / (double)run.n,
			(double)run.n / took_s);
	}
	row.n_bindings = load->next_new;
	load->reached = report_row_rate(&row);
	settle(load);
	if (has_latency) {
		run.rate = load->reached / 3;
		run.n = (uint64_t)(run.rate * a->seconds);
		time_paced(load, &run, &row);
	}
	row.n_refused = load->n_refused - refused0;
	row.n_lost = load->way->n_lost - lost0;
	report_row_write(load->report, &row);
}

static void step_initial(struct load *load)
{
	measure(load,
		(struct run){ .name = "reg_initial",
			.is_first = true,
			.lifetime_s = load->arguments.lifetime_s },
		false);
}

static void step_refresh(struct load *load)
{
	measure(load,
		(struct run){ .name = "reg_refresh", .lifetime_s = load->arguments.lifetime_s },
		true);
}

static void step_handover(struct load *load)
{
	measure(load,
		(struct run){ .name = "reg_handover",
			.what = MOBILES_HANDOVER,
			.lifetime_s = load->arguments.lifetime_s },
		true);
}

static void step_bogus(struct load *load)
{
	measure(load,
		(struct run){ .name = "reg_bogus",
			.what = MOBILES_BOGUS,
			.lifetime_s = load->arguments.lifetime_s },
		false);
}

// Waits until us, taking what comes.
static void wait_until(struct load *load, uint32_t us)
{
	while ((int32_t)(us - now_us(load)) > 0)
		must(load->way->turn(load->way, 1000));
}

// Waits for the beginning of a second of the clock that lifetimes are in.
static void wait_second(struct load *load)
{
	while (clock_boot_ns() % CLOCK_NS_PER_S > CLOCK_NS_PER_S / 20)
		must(load->way->turn(load->way, 1000));
}

// A tenth of the mobiles, a million of ten, end at the end of the same second while the others refresh:
// groups that register in seconds 4 s apart with lifetimes that are 4 s apart.
static void step_expiry(struct load *load)
{
	const struct load_options *a = &load->arguments;
	uint32_t n_all = a->n_mobiles, n_group = n_all / 10 / EXPIRY_GROUPS;
	struct run run = {
		.name = "reg_expiry", .is_first = true, .n = n_group, .rate = n_group / 0.8
	};
	struct report_row row = { .name = run.name, .n_bindings = n_all };
	uint32_t t0_us;

	load->next_new = 0;
	wait_second(load);
	t0_us = now_us(load);
	for (uint32_t g = 0; g < EXPIRY_GROUPS; g++) {
		wait_until(load, t0_us + g * EXPIRY_STEP_S * US_PER_S);
		run.lifetime_s = (EXPIRY_GROUPS - g) * EXPIRY_STEP_S;
		run_all(load, &run);
	}
	// The others refresh from half a second before until two seconds and a half after.
	load->next_new = n_all;
	wait_until(load, t0_us + (EXPIRY_GROUPS * EXPIRY_STEP_S * 10 + 5) * US_PER_S / 10);
	run = (struct run){
		.name = "reg_expiry", .lifetime_s = a->lifetime_s, .rate = 20000, .n = 60000
	};
	time_paced(load, &run, &row);
	report_row_write(load->report, &row);
}

// Refreshes of mobiles of each kind, in turns. What a kind costs more than another is what its proof does.
static void step_proofs(struct load *load)
{
	static const char *const names[] = { [MOBILES_SIGNED] = "reg_signed",
		[MOBILES_SECURED] = "reg_secured",
		[MOBILES_OPEN] = "reg_open" };
	const struct load_options *a = &load->arguments;
	struct run run = { .is_first = true, .lifetime_s = a->lifetime_s, .n = a->n_mobiles };
	struct report_row rows[MOBILES_PROOFS] = { 0 };

	for (unsigned int k = 0; k < MOBILES_PROOFS; k++) {
		load->mobiles = load->kinds[k];
		load->next_new = 0;
		run.name = names[k];
		run_all(load, &run);
		rows[k] = (struct report_row){ .name = names[k], .n_bindings = a->n_mobiles };
	}
	run.is_first = false;
	run.n = a->n_updates;
	for (uint32_t r = 0; r < MOBILES_PROOFS * a->n_rounds; r++) {
		struct report_row *row = &rows[r % MOBILES_PROOFS];
		uint64_t accepted0, sent0, cpu0;
		double took_s;

		settle(load);
		load->mobiles = load->kinds[r % MOBILES_PROOFS];
		run.name = row->name;
		accepted0 = load->n_accepted;
		sent0 = load->n_sent;
		cpu0 = control_ns(load);
		took_s = run_all(load, &run);
		report_row_add(row, (double)(control_ns(load) - cpu0) / 1e3 / (double)run.n,
			(double)run.n / took_s);
		settle(load);
		row->n_refused += load->n_sent - sent0 - (load->n_accepted - accepted0);
	}
	for (unsigned int k = 0; k < MOBILES_PROOFS; k++)
		report_row_write(load->report, &rows[k]);
	load->mobiles = load->kinds[0];
}

// What the disk takes by itself, at the same hour.
static void step_disk(struct load *load)
{
	const struct load_options *a = &load->arguments;
	struct report_row row = { .name = "reg_disk", .latency = &load->latency };
	int error = -EDESTADDRREQ;

	load->latency = (struct report_latency){ 0 };
	if (a->state_dir != NULL)
		error = load_disk_measure(a->state_dir, a->seconds, &load->latency);
	if (error != 0) {
		fprintf(stderr, "unwired-load: --state-dir: %s\n", strerror(-error));
		exit(1);
	}
	report_row_write(load->report, &row);
}

static const struct {
	const char *name;
	void (*run)(struct load *load);
} steps[] = {
	{ "initial", step_initial },
	{ "refresh", step_refresh },
	{ "handover", step_handover },
	{ "bogus", step_bogus },
	{ "expiry", step_expiry },
	{ "proofs", step_proofs },
	{ "disk", step_disk },
};

enum { N_STEPS = sizeof(steps) / sizeof(steps[0]) };

static unsigned int n_kinds(const struct load *load)
{
	return load->arguments.has_each_proof ? MOBILES_PROOFS : 1;
}

static void make_mobiles(struct load *load)
{
	const struct load_options *a = &load->arguments;

	for (unsigned int k = 0; k < n_kinds(load); k++) {
		load->kinds[k] = mobiles_new(a->n_mobiles, (enum mobiles_proof)k, &a->agent,
			&a->home_prefix, &a->care_of_prefix);
		if (load->kinds[k] == NULL) {
			perror("unwired-load");
			exit(1);
		}
	}
	load->mobiles = load->kinds[0];
}

static int write_subscribers(const struct load *load)
{
	FILE *out = fopen(load->arguments.subscribers, "we");
	int error = out == NULL ? -errno : 0;

	for (unsigned int k = 0; k < n_kinds(load) && error == 0; k++)
		error = mobiles_write_subscribers(load->kinds[k], out);
	if (out != NULL && fclose(out) != 0 && error == 0)
		error = -errno;
	if (error != 0)
		fprintf(stderr, "unwired-load: %s: %s\n", load->arguments.subscribers,
			strerror(-error));
	return error == 0 ? 0 : 1;
}

static void open_way(struct load *load, const struct load_owner *owner)
{
	const struct load_options *a = &load->arguments;

	if (a->interface != NULL)
		load->way = load_port_open(a->interface, a->gateway, owner);
	else if (a->run_dir != NULL)
		load->way = load_dataplane_open(
			a->run_dir, (a->n_mobiles + a->n_mobiles / 8) * n_kinds(load), owner);
	else
		errno = EDESTADDRREQ;
	if (load->way == NULL) {
		fprintf(stderr, "unwired-load: %s\n", strerror(errno));
		exit(1);
	}
	if (a->interface == NULL) {
		struct load_filling filling = load_dataplane_filling(load->way);

		report_filling(load->report, filling.n_bindings, (double)filling.took_ns / 1e9);
	}
}

static void run_step(struct load *load, const char *name)
{
	if (strcmp(name, "proofs") == 0 && !load->arguments.has_each_proof) {
		fprintf(stderr, "unwired-load: proofs: needs --each-proof\n");
		exit(2);
	}
	for (unsigned int i = 0; i < N_STEPS; i++)
		if (strcmp(steps[i].name, name) == 0) {
			steps[i].run(load);
			return;
		}
	fprintf(stderr, "unwired-load: %s: no step (see --help)\n", name);
	exit(2);
}

int main(int argc, char *argv[])
{
	static struct load load = { .random = 88172645463325252ULL };
	const struct load_owner owner = { .ctx = &load, .answer = answer, .secured = secured };
	const struct load_options *a = &load.arguments;

	signal(SIGPIPE, SIG_IGN);
	load_options_read(argc, argv, &load.arguments);
	load.next_new = a->is_registered ? a->n_mobiles : 0;
	make_mobiles(&load);
	if (a->subscribers != NULL)
		return write_subscribers(&load);
	if (a->control != 0 && clock_getcpuclockid(a->control, &load.control_clock) != 0) {
		fprintf(stderr, "unwired-load: no process %d\n", a->control);
		return 1;
	}
	load.report = report_open(a->out);
	if (load.report == NULL) {
		perror(a->out);
		return 1;
	}
	load.begin_ns = clock_mono_ns();
	if (a->control != 0)
		waits_open(&load.waits, a->control, now_us(&load));
	open_way(&load, &owner);
	for (int i = a->first_step; i < argc; i++)
		run_step(&load, argv[i]);
	load.way->close(load.way);
	waits_close(&load.waits);
	report_close(load.report);
	for (unsigned int k = 0; k < n_kinds(&load); k++)
		mobiles_free(load.kinds[k]);
	return 0;
}
