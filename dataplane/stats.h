// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What became of every packet. A packet that a worker took in leaves as sent, handed to the main
// lcore or to another worker, or dropped for one named reason; so for each worker, at rest,
//   rx + from_main + from_peers + made = tx + to_main + to_peers + sum(drops) + absorbed + held.
// A packet may leave by another port than it came by, so there is no such sum for a port. What holds for
// each port is that its driver gave as many frames as the workers had from it, and took (or refused, which
// are its errors) as many as they sent: exactly so for AF_PACKET, whose driver counts what it hands out;
// a network card's own counters may be read a little later.
#pragma once

#include <stdint.h>

#include <rte_common.h>

#include "config/config.h"

// name, what it means.
#define DROP_REASONS(X)                                                                           \
	X(not_for_us, "unicast frame for another station")                                        \
	X(broadcast_frame, "unicast packet in a broadcast or multicast frame")                    \
	X(unknown_vlan, "frame of a VLAN that the port does not have")                            \
	X(bad_ip4_header, "IPv4 version, length, truncated packet or malformed option")           \
	X(bad_ip4_checksum, "IPv4 header checksum is wrong")                                      \
	X(source_route, "IPv4 source route option")                                               \
	X(bad_ip6_header, "IPv6 version, length or truncated packet")                             \
	X(bad_address, "multicast, loopback or unspecified where it may not be")                  \
	X(link_local_source, "link-local source that would have to be forwarded")                 \
	X(no_route, "no route to the destination")                                                \
	X(route_drop, "route is a blackhole, unreachable or prohibit")                            \
	X(neighbor_silent, "next hop does not answer; the sender was told")                       \
	X(hop_limit, "hop limit exceeded")                                                        \
	X(too_big, "larger than the next link and not to be fragmented; its sender was told")     \
	X(unbound, "home address without a binding")                                              \
	X(not_filled, "home address before control has filled the tables")                        \
	X(care_of_unroutable, "no usable route to the care-of address")                           \
	X(encap_limit, "already encapsulated twice")                                              \
	X(no_headroom, "no room for the outer header")                                            \
	X(tunnel_bad_inner, "tunnelled packet is not a sound IPv6 packet")                        \
	X(tunnel_protocol, "tunnelled protocol not served")                                       \
	X(tunnel_unbound, "tunnelled packet from a source without a binding")                     \
	X(tunnel_wrong_source, "tunnelled packet not from its care-of address")                   \
	X(tunnel_wrong_agent, "tunnelled packet not to the binding's agent address")              \
	X(tunnel_ecn, "congestion experienced on a tunnel packet whose inner is not ECN-capable") \
	X(inner_scope, "tunnelled packet to a multicast or link-local destination")               \
	X(home_option_bad, "Home Address option against the rules")                               \
	X(home_option_unbound, "Home Address option without such a binding, Binding Error sent")  \
	X(own_source, "tunnel, signalling or options forged with a source address of ours")       \
	X(esp_no_sa, "ESP without such a security association, or none to send under")            \
	X(esp_malformed, "ESP packet whose lengths or padding are against the rules")             \
	X(esp_icv, "ESP packet whose check value is wrong")                                       \
	X(esp_replay, "ESP packet that came before or is too old")                                \
	X(esp_selector, "ESP packet with contents that its security association is not for")      \
	X(esp_expired, "security association whose packets or bytes are used up")                 \
	X(esp_sequence, "no sequence number left to send under")                                  \
	X(esp_budget, "ESP of a sender whose check values were wrong too often")                  \
	X(esp_no_room, "ESP packet that does not fit into one buffer")                            \
	X(esp_dummy, "ESP dummy packet")                                                          \
	X(esp_required, "unprotected where a security association is required")                   \
	X(encap_option, "Tunnel Encapsulation Limit option allows no further tunnel")             \
	X(tunnel_nested, "tunnelled to us more than twice")                                       \
	X(fragment_bad, "fragment whose length or offset is against the rules")                   \
	X(fragment_overlap, "overlapping, contradicting or too many fragments")                   \
	X(fragment_no_room, "no room for a fragment of an unknown peer")                          \
	X(fragment_evicted, "fragment that gave way to a newer packet")                           \
	X(fragment_timeout, "fragments of a packet that was not completed in time")               \
	X(fragment_flood, "fragment of an unknown peer for another worker, beyond its rate")      \
	X(fragment_ring_full, "queue of fragments to another worker full")                        \
	X(too_big_for_device, "packet of several buffers that the device cannot send")            \
	X(agent_gone, "agent address taken away")                                                 \
	X(police_class0, "signalling of known senders beyond what control takes in")              \
	X(police_class1, "signalling for bound homes from new sources beyond its share")          \
	X(police_class2, "signalling for unknown homes beyond its share")                         \
	X(police_sender, "signalling of one sender beyond its rate")                              \
	X(tx_full, "transmit queue full")                                                         \
	X(host_flood, "packets to our own addresses beyond what the kernel is given")             \
	X(home_option_flood, "Home Address options beyond what is looked up")                     \
	X(error_flood, "errors about tunnel packets beyond what is looked at")                    \
	X(main_signal_full, "queue of signalling to the main lcore full")                         \
	X(main_live_full, "queue of BFD to the main lcore full")                                  \
	X(main_neighbor_full, "queue of ARP and ND to the main lcore full")                       \
	X(main_glean_full, "queue of packets for unresolved neighbours full")                     \
	X(main_routing_full, "queue of BGP to the main lcore full")                               \
	X(main_other_full, "queue of other packets to us full")                                   \
	X(again_full, "queue to the next burst full")                                             \
	X(peer_ring_full, "queue to another worker full")                                         \
	X(mbuf_empty, "no packet buffer left")

enum drop_reason {
#define X(name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_MAX,
};

// Name and meaning of each reason.
extern const char *const drop_names[DROP_MAX];
extern const char *const drop_texts[DROP_MAX];

// Counters of one worker. Written by that worker only (plain increments), read by anyone relaxed.
struct worker_stats {
	uint64_t rx, rx_bytes; // from ports
	uint64_t from_main; // injected by the main lcore
	uint64_t made; // ICMP and Binding Errors, fragments
	uint64_t absorbed; // fragmented packets, fragments that became part of a packet
	uint64_t fragmented, reassembled; // packets
	uint64_t tx, tx_bytes; // to ports
	uint64_t to_main; // host, punted or parked
	uint64_t to_peers, from_peers; // handed over among workers
	uint64_t forwarded; // plain forwarding
	uint64_t encapsulated;
	uint64_t decapsulated;
	uint64_t sealed, opened; // ESP
	uint64_t spread_pairs; // tunnels that became too heavy for one worker
	uint64_t home_options; // Home Address options swapped
	uint64_t routed; // sent with a type 2 routing header
	uint64_t binding_errors; // sent
	uint64_t icmp_suppressed; // errors (Binding Errors too) not sent: rate or RFC 4443 2.4 (e)
	uint64_t bursts;
	uint64_t sleeps;
	uint64_t held; // gauge: in the again lane and in reassembly
	struct {
		uint64_t rx, tx;
	} ports[CONFIG_MAX_PORTS]; // of rx and tx
	uint64_t drops[DROP_MAX];
} __rte_cache_aligned;

static inline uint64_t stat_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}
