// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/anchor.h"
#include "dataplane/api/walk.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/domain.h"
#include "dataplane/base/user.h"
#include "dataplane/mirror.h"
#include "dataplane/pkt.h"
#include "dataplane/pump.h"
#include "dataplane/punt.h"

enum {
	// Records on their way link_state. Punts wait above the first mark, records from control
	// wait above the second; what is left takes the reports of one grace period.
	OUT_SIZE = 4 << 20,
	OUT_PUNT_MARK = 256 << 10,
	OUT_READ_MARK = 512 << 10,
	MESSAGES_PER_TURN = 4,
	SWEEP_PER_TURN = 4096,
	MIRROR_FLUSH_MS = 500,
	FORCE_MS = 2000, // for the kernel to tell of new addresses
	NS_PER_MS = 1000000,
	TELL_STALE_MS = 100, // control hears of fewer stale entries at most this often
};

struct link_status link_status;

static struct {
	struct link_config config;
	struct bindtab *bindings;
	int listen_fd, fd;
	uid_t user; // that control runs as
	bool has_hello;
	bool is_blocked;
	uint64_t instance;
	uint64_t orphan_since_ns; // 0 = control is here, or the hold is over
	uint64_t peer_store_id;

	uint64_t sync_id;
	bool is_sweeping;
	uint64_t force_until_ns; // swept; the agent addresses may take until then, 0 = done
	uint32_t n_stale; // of the last SYNC_DONE
	uint32_t n_before; // entries at SYNC_BEGIN
	uint64_t agents_until_ns; // how long a home prefix waits for the agents' addresses
	uint64_t guarded_since_ns; // the sweep guard holds stale entries; 0 = it does not
	uint64_t told_stale_ns; // when control was told of n_stale

	uint32_t credit; // bulk records taken in and not yet reported

	struct api_walk walk; // through in[], held = the record that comes next
	const struct api_rec *held;
	uint8_t *in; // API_MSG_MAX
	uint8_t *out; // OUT_SIZE
	size_t out_head, out_tail;
} link_state = { .listen_fd = -1, .fd = -1 };

// --- Up ------------------------------------------------------------------------------------------

static size_t out_len(void)
{
	return link_state.out_tail - link_state.out_head;
}

// Room for a record of len bytes, its head filled, or NULL when nobody listens or it does not fit.
static void *out_record(enum api_type type, uint32_t len)
{
	struct api_rec *rec;

	if (link_state.fd < 0)
		return NULL;
	if (link_state.out_tail + len > OUT_SIZE) {
		memmove(link_state.out, link_state.out + link_state.out_head, out_len());
		link_state.out_tail -= link_state.out_head;
		link_state.out_head = 0;
		if (link_state.out_tail + len > OUT_SIZE)
			return NULL;
	}
	rec = (struct api_rec *)(void *)(link_state.out + link_state.out_tail);
	memset(rec, 0, len);
	rec->type = (uint16_t)type;
	rec->len = len;
	link_state.out_tail += len;
	return rec;
}

static void disconnect(const char *reason)
{
	log_warn("control_lost reason=\"%s\"", reason);
	close(link_state.fd);
	link_state.fd = -1;
	link_state.has_hello = link_state.is_blocked = false;
	link_state.is_sweeping = false;
	link_state.force_until_ns = 0;
	link_state.held = NULL;
	link_state.out_head = link_state.out_tail = 0;
	link_state.credit = 0;
	punt_reset();
	link_state.orphan_since_ns = clock_mono_ns();
	link_status.is_connected = link_status.is_guarded = false;
}

static void out_flush(void)
{
	link_state.is_blocked = false;
	while (link_state.fd >= 0 && out_len() > 0) {
		size_t len = 0;

		while (len < out_len()) {
			const struct api_rec *rec =
				(const void *)(link_state.out + link_state.out_head + len);

			if (len + rec->len > API_MSG_MAX)
				break;
			len += rec->len;
		}
		if (send(link_state.fd, link_state.out + link_state.out_head, len,
			    MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				link_state.is_blocked = true;
			else
				disconnect("cannot send");
			return;
		}
		link_state.out_head += len;
	}
	link_state.out_head = link_state.out_tail = 0;
}

static void report_retired(void *ctx, uint32_t handle, const struct binding *entry)
{
	struct api_counters *rec = out_record(API_COUNTERS, sizeof(*rec));

	(void)ctx;
	if (rec == NULL)
		return;
	rec->handle = handle;
	rec->generation = entry->generation;
	rec->packets_down = entry->packets_down;
	rec->bytes_down = entry->bytes_down;
	rec->packets_up = entry->packets_up;
	rec->bytes_up = entry->bytes_up;
	rec->final = 1;
}

bool link_takes_punts(void)
{
	return link_state.fd >= 0 && link_state.has_hello;
}

bool link_punt(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint32_t len = m->pkt_len;
	struct api_punt *rec;
	const void *data;

	if (out_len() > OUT_PUNT_MARK)
		return false;
	rec = out_record(API_PUNT, api_rec_len(sizeof(*rec), len));
	if (rec == NULL)
		return false;
	rec->lane = API_PUNT_MH;
	rec->tunnelled = (meta->flags & PKT_TUNNELLED) != 0;
	rec->port = meta->port;
	rec->packet_len = len;
	rec->outer_src = pkt_priv(m)->outer_src;
	rec->outer_dst = pkt_priv(m)->outer_dst;
	data = rte_pktmbuf_read(m, 0, len, rec->packet);
	if (data != rec->packet)
		memcpy(rec->packet, data, len);
	return true;
}

static void send_hello(void)
{
	struct api_hello *rec = out_record(API_HELLO, sizeof(*rec));

	if (rec == NULL)
		return;
	rec->version = API_VERSION;
	rec->max_bindings = bindtab_max(link_state.bindings);
	rec->instance = link_state.instance;
	rec->store_id = link_status.store_id;
	rec->n_bindings = bindtab_count(link_state.bindings);
}

static void send_sync_done(int error)
{
	struct api_sync_done *rec = out_record(API_SYNC_DONE, sizeof(*rec));

	if (rec == NULL)
		return;
	rec->sync_id = link_state.sync_id;
	rec->error = error;
	rec->n_live = bindtab_count(link_state.bindings);
	rec->n_stale = link_state.n_stale;
}

static void send_credit(void)
{
	struct api_credit *rec;

	if (link_state.credit == 0 || (rec = out_record(API_CREDIT, sizeof(*rec))) == NULL)
		return;
	rec->n = link_state.credit;
	link_state.credit = 0;
}

// --- Down: one handler a record type. 0, -EAGAIN: try this record again later, -EPROTO: hang up ----

static int on_hello(const struct api_rec *rec)
{
	const struct api_hello *hello = (const void *)rec;

	if (link_state.has_hello)
		return -EPROTO;
	if (hello->version != API_VERSION) {
		log_err("control_refused reason=\"version\" got=%u need=%u", hello->version,
			API_VERSION);
		return -EPROTO;
	}
	link_state.has_hello = true;
	link_state.is_sweeping = false; // of orphans: they have a keeper again
	link_state.peer_store_id = hello->store_id;
	link_state.orphan_since_ns = 0;
	link_status.is_connected = true;
	log_info("control_connected store_id=%016lx bindings=%u held=%u", hello->store_id,
		hello->n_bindings, bindtab_count(link_state.bindings));
	return 0;
}

static int on_sync_begin(const struct api_rec *rec)
{
	const struct api_sync_begin *begin = (const void *)rec;

	link_state.sync_id = begin->sync_id;
	link_state.config.orphan_hold_s = begin->orphan_hold_s;
	link_state.is_sweeping = false;
	link_state.force_until_ns = 0;
	link_status.is_guarded = false;
	link_state.n_before = bindtab_count(link_state.bindings);
	bindtab_mark_begin(link_state.bindings);
	anchor_mark_begin();
	return 0;
}

// True when stale entries point to a wrong store rather than to ended bindings: too many of those that
// were there, or any of another store's.
static bool is_suspicious(uint64_t stale)
{
	bool is_foreign =
		link_status.store_id != 0 && link_status.store_id != link_state.peer_store_id;

	return is_foreign ? stale > 0
			  : stale * 100 > (uint64_t)link_state.n_before * API_SWEEP_MAX_PERCENT;
}

static void sweep_begin(void)
{
	link_state.guarded_since_ns = 0;
	link_status.is_guarded = false;
	link_state.n_stale = bindtab_stale(link_state.bindings);
	link_state.is_sweeping = true;
	bindtab_sweep_begin(link_state.bindings);
}

// A control process that comes again and again with a wrong store does not prolong the hold of what is
// stale already.
static void guard_begin(uint32_t stale)
{
	if (link_state.guarded_since_ns == 0 || stale > link_state.n_stale)
		link_state.guarded_since_ns = clock_mono_ns();
	link_state.n_stale = stale;
	link_state.told_stale_ns = clock_mono_ns();
	link_status.is_guarded = true;
	log_err("sweep_refused stale=%u before=%u limit_percent=%d store_id=%016lx "
		"filled_by=%016lx "
		"sweep_in_s=%u hint=\"unwiredctl resync --force\"",
		stale, link_state.n_before, API_SWEEP_MAX_PERCENT, link_state.peer_store_id,
		link_status.store_id, link_state.config.orphan_hold_s);
	send_sync_done(-ECANCELED);
}

static int on_sync_end(const struct api_rec *rec)
{
	const struct api_sync_end *end = (const void *)rec;
	uint32_t stale = bindtab_stale(link_state.bindings);

	if (end->sync_id != link_state.sync_id)
		return -EPROTO;
	// Who hears that all is in place may send packets to the agents and home networks.
	if (mirror_flush(0) != 0)
		return -EAGAIN;
	if (!end->force && is_suspicious(stale))
		guard_begin(stale);
	else
		sweep_begin();
	return 0;
}

static int on_agent_set(const struct api_rec *rec)
{
	const struct api_agent_set *set = (const void *)rec;
	int error = anchor_agent_set(set);
	char text[IP6_STRLEN];

	link_state.agents_until_ns = clock_mono_ns() + (uint64_t)FORCE_MS * NS_PER_MS;
	if (error == -EINVAL)
		return -EPROTO;
	if (error != 0)
		log_err("agent_failed address=%s error=%d", ip6_str(&set->address, text), -error);
	return 0;
}

static int on_home_prefix_set(const struct api_rec *rec)
{
	int error;

	// The kernel tells of the agents' addresses in its own time. A prefix that stood before them would
	// take the packets to them.
	if (!anchor_is_in_force() && clock_mono_ns() < link_state.agents_until_ns)
		return -EAGAIN;
	error = anchor_home_prefix_set((const void *)rec);
	// A binding that follows must find its prefix in the FIB.
	if (error == 0 && mirror_flush(MIRROR_FLUSH_MS) != 0)
		log_warn("mirror_slow waited_ms=%d", MIRROR_FLUSH_MS);
	return error == -EINVAL ? -EPROTO : 0;
}

static void refuse_binding(const struct api_binding_set *set, int error)
{
	struct api_binding_err *rec = out_record(API_BINDING_ERR, sizeof(*rec));

	link_status.bindings_refused++;
	if (rec == NULL)
		return;
	rec->handle = set->handle;
	rec->generation = set->generation;
	rec->error = error;
}

static const struct api_home_prefix_set *home_prefix_of(uint16_t idx)
{
	return idx < API_MAX_HOME_PREFIXES ? anchor_home_prefixes[idx] : NULL;
}

static int on_binding_set(const struct api_rec *rec)
{
	const struct api_binding_set *set = (const void *)rec;
	const struct api_care_of *care_of = &set->care_of[0];
	const struct api_home_prefix_set *home = home_prefix_of(set->home_prefix);
	struct binding entry = {
		.care_of = care_of->address,
		.agent = care_of->agent,
		.home_prefix = set->home_prefix,
		.port = care_of->port,
		.gre_key = care_of->gre_key,
		.generation = set->generation,
	};
	union bindtab_key key;
	int error = 0;

	if (set->n_care_of != 1 || care_of->mode != API_TUNNEL_IP6_IP6)
		error = -EOPNOTSUPP;
	else if (home == NULL || care_of->agent >= API_MAX_AGENTS ||
		 anchor_agents[care_of->agent] == NULL)
		error = -ENOENT;
	if (error == 0) {
		bindtab_key_make(&key, &set->home, set->home_prefix, home->key_len);
		error = bindtab_set(link_state.bindings, &key, set->handle, &entry);
	}
	if (error == -EAGAIN)
		return error;
	if (error != 0)
		refuse_binding(set, error);
	else
		link_status.bindings_set++;
	link_state.credit += (rec->flags & API_REC_BULK) != 0;
	return 0;
}

static int on_binding_del(const struct api_rec *rec)
{
	const struct api_binding_del *del = (const void *)rec;
	const struct api_home_prefix_set *home = home_prefix_of(del->home_prefix);
	union bindtab_key key;
	int error = -ENOENT;

	if (home != NULL) {
		bindtab_key_make(&key, &del->home, del->home_prefix, home->key_len);
		error = bindtab_del(link_state.bindings, &key);
	}
	if (error == -EAGAIN)
		return error;
	link_status.bindings_deleted += error == 0;
	link_state.credit += (rec->flags & API_REC_BULK) != 0;
	return 0;
}

static int on_counters_get(const struct api_rec *rec)
{
	const struct api_counters_get *get = (const void *)rec;
	const struct api_home_prefix_set *home = home_prefix_of(get->home_prefix);
	struct api_counters *answer = out_record(API_COUNTERS, sizeof(*answer));
	const struct binding *entry = NULL;
	union bindtab_key key;
	uint32_t handle;

	if (answer == NULL)
		return 0;
	answer->handle = get->handle;
	if (home != NULL) {
		bindtab_key_make(&key, &get->home, get->home_prefix, home->key_len);
		entry = bindtab_find(link_state.bindings, &key, &handle);
	}
	if (entry == NULL || handle != get->handle)
		return 0;
	answer->generation = entry->generation;
	answer->packets_down = __atomic_load_n(&entry->packets_down, __ATOMIC_RELAXED);
	answer->bytes_down = __atomic_load_n(&entry->bytes_down, __ATOMIC_RELAXED);
	answer->packets_up = __atomic_load_n(&entry->packets_up, __ATOMIC_RELAXED);
	answer->bytes_up = __atomic_load_n(&entry->bytes_up, __ATOMIC_RELAXED);
	return 0;
}

static int on_packet_out(const struct api_rec *rec)
{
	const struct api_packet_out *out = (const void *)rec;

	if (out->packet_len < sizeof(struct ip6_hdr_wire) || out->packet_len > API_PACKET_MAX)
		return -EPROTO;
	pump_send(DOMAIN_TRANSPORT, out->packet, out->packet_len);
	return 0;
}

static int on_punt_credit(const struct api_rec *rec)
{
	return punt_credit(((const struct api_punt_credit *)(const void *)rec)->n);
}

static int (*const handlers[API_TYPE_MAX])(const struct api_rec *rec) = {
	[API_HELLO] = on_hello,
	[API_SYNC_BEGIN] = on_sync_begin,
	[API_SYNC_END] = on_sync_end,
	[API_AGENT_SET] = on_agent_set,
	[API_HOME_PREFIX_SET] = on_home_prefix_set,
	[API_BINDING_SET] = on_binding_set,
	[API_BINDING_DEL] = on_binding_del,
	[API_COUNTERS_GET] = on_counters_get,
	[API_PACKET_OUT] = on_packet_out,
	[API_PUNT_CREDIT] = on_punt_credit,
};

// Applies what is left of the message in hand. False when it has to wait or the link is gone.
static bool apply(void)
{
	while (link_state.held != NULL ||
		(link_state.held = api_walk_next(&link_state.walk)) != NULL) {
		int (*handler)(const struct api_rec *rec) = handlers[link_state.held->type];
		int error = -EPROTO;

		if (handler != NULL && (link_state.has_hello || link_state.held->type == API_HELLO))
			error = handler(link_state.held);
		if (error == -EAGAIN)
			return false;
		if (error != 0) {
			link_status.protocol_errors++;
			disconnect("protocol error");
			return false;
		}
		link_state.held = NULL;
	}
	if (link_state.walk.error != 0) {
		link_status.protocol_errors++;
		disconnect("malformed record");
		return false;
	}
	return true;
}

// Reads one message. False when none waits or the link is gone.
static bool receive(void)
{
	struct iovec iov = { .iov_base = link_state.in, .iov_len = API_MSG_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(link_state.fd, &msg, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	if (n <= 0) {
		disconnect(n == 0 ? "closed by control" : "cannot receive");
		return false;
	}
	if (msg.msg_flags & MSG_TRUNC) {
		link_status.protocol_errors++;
		disconnect("message too long");
		return false;
	}
	link_state.walk = api_walk_start(link_state.in, (size_t)n);
	return true;
}

static void accept_control(void)
{
	int fd = accept4(link_state.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
		(peer.uid != 0 && peer.uid != geteuid() && peer.uid != link_state.user)) {
		log_warn("control_refused reason=\"user\" uid=%u", peer.uid);
		close(fd);
		return;
	}
	if (link_state.fd >= 0) {
		log_warn("control_refused reason=\"another one is connected\" pid=%d", peer.pid);
		close(fd);
		return;
	}
	link_state.fd = fd;
	link_status.connects++;
	send_hello();
}

static void sweep_turn(void)
{
	if (!link_state.is_sweeping || !bindtab_sweep(link_state.bindings, SWEEP_PER_TURN))
		return;
	link_state.is_sweeping = false;
	link_status.swept += link_state.n_stale;
	if (link_state.fd < 0) {
		log_warn("orphans_dropped count=%u", link_state.n_stale);
		return;
	}
	anchor_sweep();
	anchor_filled();
	link_status.store_id = link_state.peer_store_id;
	link_state.force_until_ns = clock_mono_ns() + (uint64_t)FORCE_MS * NS_PER_MS;
}

// Says that all is done when packets for the agents no longer go astray.
static void done_turn(void)
{
	bool is_in_force;

	if (link_state.force_until_ns == 0)
		return;
	is_in_force = anchor_is_in_force();
	if (!is_in_force && clock_mono_ns() < link_state.force_until_ns)
		return;
	if (!is_in_force)
		log_warn("agents_not_in_force waited_ms=%d", FORCE_MS);
	link_state.force_until_ns = 0;
	log_info("sync_done live=%u swept=%u", bindtab_count(link_state.bindings),
		link_state.n_stale);
	send_sync_done(0);
}

// Without control nobody ends lifetimes: after the hold everything goes.
static void orphan_turn(void)
{
	uint64_t hold_ns = (uint64_t)link_state.config.orphan_hold_s * CLOCK_NS_PER_S;

	if (link_state.orphan_since_ns == 0 ||
		clock_mono_ns() - link_state.orphan_since_ns < hold_ns)
		return;
	link_state.orphan_since_ns = 0;
	if (bindtab_count(link_state.bindings) == 0)
		return;
	log_err("orphan_hold_over hold_s=%u bindings=%u", link_state.config.orphan_hold_s,
		bindtab_count(link_state.bindings));
	bindtab_mark_begin(link_state.bindings);
	sweep_begin();
}

// What the guard keeps has nobody who ends its lifetime: it goes after the same hold. Meanwhile control
// hears how much of it mobiles have registered anew.
static void guard_turn(void)
{
	uint64_t now_ns;
	uint32_t stale;

	if (!link_status.is_guarded)
		return;
	now_ns = clock_mono_ns();
	stale = bindtab_stale(link_state.bindings);
	if (now_ns - link_state.guarded_since_ns >=
		(uint64_t)link_state.config.orphan_hold_s * CLOCK_NS_PER_S) {
		log_err("guard_hold_over hold_s=%u stale=%u", link_state.config.orphan_hold_s,
			stale);
		sweep_begin();
	} else if (stale != link_state.n_stale &&
		   now_ns - link_state.told_stale_ns >= (uint64_t)TELL_STALE_MS * NS_PER_MS) {
		link_state.n_stale = stale;
		link_state.told_stale_ns = now_ns;
		send_sync_done(-ECANCELED);
	}
}

bool link_turn(void)
{
	bool more = false, is_settled;

	accept_control();
	is_settled = bindtab_poll(link_state.bindings);
	for (unsigned int i = 0; link_state.fd >= 0 && i < MESSAGES_PER_TURN; i++) {
		if (out_len() > OUT_READ_MARK)
			break;
		if (link_state.held == NULL && !receive())
			break;
		more = true;
		if (!apply())
			break;
	}
	sweep_turn();
	done_turn();
	orphan_turn();
	guard_turn();
	send_credit();
	punt_turn();
	out_flush();
	return more || link_state.is_sweeping || link_state.force_until_ns != 0 || !is_settled;
}

int link_listen_fd(void)
{
	return link_state.listen_fd;
}

int link_fd(void)
{
	return link_state.fd;
}

bool link_is_blocked(void)
{
	return link_state.is_blocked;
}

struct bindtab *link_bindings(void)
{
	return link_state.bindings;
}

// The socket that control connects to, for root and the run-time user. Returns: its owned descriptor or
// negative errno.
static int listen_at(const char *run_dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	gid_t gid;
	int fd, error;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", run_dir, API_SOCKET_NAME) >=
		(int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(addr.sun_path);
	mask = umask(0177);
	error = bind(fd, (void *)&addr, sizeof(addr)) == 0 ? 0 : -errno;
	umask(mask);
	// The name may lead elsewhere by now: what it says is never followed.
	if (error == 0 && geteuid() == 0 && user_lookup(&link_state.user, &gid) == 0 &&
		lchown(addr.sun_path, link_state.user, gid) != 0)
		error = -errno;
	if (error == 0 && listen(fd, 4) != 0)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

int link_init(const struct link_config *config)
{
	link_state.config = *config;
	link_state.in = malloc(API_MSG_MAX);
	link_state.out = malloc(OUT_SIZE);
	link_state.bindings = bindtab_new(config->max_bindings, report_retired, NULL);
	if (link_state.in == NULL || link_state.out == NULL || link_state.bindings == NULL) {
		log_err("bindings_failed max_bindings=%u reason=\"not enough memory\"",
			config->max_bindings);
		link_free();
		return -ENOMEM;
	}
	if (getrandom(&link_state.instance, sizeof(link_state.instance), 0) < 0)
		link_state.instance = clock_wall_ns();
	link_state.listen_fd = listen_at(config->run_dir);
	if (link_state.listen_fd < 0) {
		int error = link_state.listen_fd;

		log_err("listen_failed path=%s/%s reason=\"%s\"", config->run_dir, API_SOCKET_NAME,
			strerror(-error));
		link_free();
		return error;
	}
	return 0;
}

void link_free(void)
{
	punt_reset();
	if (link_state.fd >= 0)
		close(link_state.fd);
	if (link_state.listen_fd >= 0)
		close(link_state.listen_fd);
	link_state.fd = link_state.listen_fd = -1;
	bindtab_free(link_state.bindings);
	link_state.bindings = NULL;
	free(link_state.in);
	free(link_state.out);
	link_state.in = link_state.out = NULL;
}
