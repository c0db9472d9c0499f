// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: the kernel's XFRM messages and the table that joins SAs with policies. What a mobile is told
// to have was set, is for the use and direction of a policy, and is not gone.

#include "ike/xfrm_table.h"

#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SET = 256 };

// The SAs that stand, as the kernel would list them.
struct model {
	struct xfrm_sa set[MAX_SET];
	unsigned int n;
	bool is_full;
};

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void forget(struct model *model, const struct xfrm_sa_id *id)
{
	for (unsigned int i = 0; i < model->n; i++) {
		if (model->set[i].a.spi == id->spi && ip6_eq(&model->set[i].dst, &id->dst)) {
			model->set[i] = model->set[--model->n];
			return;
		}
	}
}

static void remember(struct model *model, const struct xfrm_sa *sa)
{
	struct xfrm_sa_id id = { .dst = sa->dst, .spi = sa->a.spi };

	forget(model, &id);
	if (model->n < MAX_SET)
		model->set[model->n++] = *sa;
	else
		model->is_full = true;
}

static void on_changed(
	void *ctx, const struct ip6 *home, const struct ip6 *agent, const struct associations *all)
{
	const struct model *model = ctx;

	check(!ip6_is_any(home) && !ip6_is_any(agent) && all->n <= ASSOCIATION_MAX);
	for (unsigned int i = 0; i < all->n && !model->is_full; i++) {
		const struct association *a = &all->list[i];
		bool is_found = false;

		check(a->use >= API_SA_SIGNALLING && a->use < API_SA_USE_MAX);
		check(a->direction == API_SA_IN || a->direction == API_SA_OUT);
		check(a->enc_key_len <= ASSOCIATION_KEY_MAX &&
			a->auth_key_len <= ASSOCIATION_KEY_MAX);
		for (unsigned int k = 0; k < model->n; k++)
			is_found |= model->set[k].a.spi == a->spi &&
				    ip6_eq(a->direction == API_SA_IN ? &model->set[k].dst
								     : &model->set[k].src,
					    agent);
		check(is_found);
	}
}

static void take(struct xfrm_table *table, struct model *model, const struct nlmsghdr *nlh)
{
	struct xfrm_policy policy;
	struct xfrm_sa_id id;
	struct xfrm_sa sa;
	const char *reason;
	bool is_gone;

	if (nlh->nlmsg_type == XFRM_MSG_NEWSA && xfrm_msg_sa(nlh, &sa, &reason) == 0) {
		remember(model, &sa);
		check(xfrm_table_set_sa(table, &sa) == 0);
	} else if (nlh->nlmsg_type == XFRM_MSG_NEWPOLICY) {
		if (xfrm_msg_policy(nlh, &policy, &reason) == 0)
			check(xfrm_table_add_policy(table, &policy) == 0);
	} else if (nlh->nlmsg_type == XFRM_MSG_FLUSHPOLICY) {
		xfrm_table_policies_begin(table);
		xfrm_table_policies_end(table);
	} else if (xfrm_msg_sa_end(nlh, &id, &is_gone) == 0 && is_gone) {
		forget(model, &id);
		xfrm_table_delete_sa(table, &id);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model *model = calloc(1, sizeof(*model));
	struct xfrm_table *table = model != NULL ? xfrm_table_new(on_changed, model) : NULL;

	for (size_t at = 0; table != NULL && size - at >= sizeof(struct nlmsghdr);) {
		struct nlmsghdr head, *nlh;
		size_t len;

		memcpy(&head, data + at, sizeof(head));
		len = head.nlmsg_len < sizeof(head) ? sizeof(head) : head.nlmsg_len;
		len = len > size - at ? size - at : len;
		nlh = calloc(1,
			(len + 3) & ~(size_t)3); // a buffer of the socket has room for the padding
		if (nlh == NULL)
			break;
		memcpy(nlh, data + at, len);
		nlh->nlmsg_len = (uint32_t)len;
		take(table, model, nlh);
		free(nlh);
		len = (len + 3) & ~(size_t)3;
		at = len > size - at ? size : at + len;
	}
	if (table != NULL) {
		xfrm_table_tell_all(table);
		xfrm_table_sas_begin(table);
		xfrm_table_sas_end(table);
		model->n = 0;
		xfrm_table_tell(table);
		check(xfrm_table_counts(table).n_sas == 0 &&
			xfrm_table_counts(table).n_mobiles == 0);
	}
	xfrm_table_free(table);
	free(model);
	return 0;
}
