/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stores that stand in front of another one are made of: an engine whose every function hands on, for those that a
 * wrapper has nothing to say about, and requests that come back through the wrapper.
 */
#pragma once

#include "store/store.h"

struct wrapper {
    struct store store; /* first */
    struct store *inner;
};

static inline struct wrapper *wrapper_of(struct store *store)
{
    return (struct wrapper *)store;
}

/* Each does what the inner store does. */
void wrapper_view(struct store *store, bool counted, struct store_view *ret_view);
void wrapper_release(struct store *store, struct store_view *view);
int wrapper_range(struct store *store, const struct store_view *view, const struct store_range *range,
                  store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result);
int64_t wrapper_lease_touch(struct store *store, int64_t lease, nsec_t now_ns);
const struct store_commit *wrapper_commit(struct store *store, const struct store_view *view, int64_t revision);
void wrapper_subscribe(struct store *store, struct store_subscriber *subscriber);
void wrapper_unsubscribe(struct store *store, struct store_subscriber *subscriber);
void wrapper_identify(struct store *store, struct store_identity *ret_identity);
void wrapper_measure(struct store *store, struct store_size *ret_size);
enum store_outcome wrapper_refusal(struct store *store);
void wrapper_notes(struct store *store, store_note_fn fn, void *ctx);
int wrapper_docs(struct store *store, struct slice prefix, store_doc_fn fn, void *ctx);

/*
 * A request on its way: a copy of it is what the inner store gets, so that its answer comes to the wrapper first. The
 * wrapper embeds this in what it allocates for a request.
 */
struct wrapper_call {
    struct store_request request; /* the copy */
    struct store_request *asked;  /* the caller's */
};

/* Submits the copy; on_answer gets &call->request, on the loop of the asker. */
void wrapper_submit(struct wrapper *wrapper, struct wrapper_call *call, struct store_request *asked,
                    store_done_fn on_answer);
/* The answer into the request that was asked, which is given: the wrapper frees the call, then calls its done. */
struct store_request *wrapper_take_answer(struct wrapper_call *call);

/* Answers a request that goes no further. */
void wrapper_refuse(struct store_request *asked, enum store_outcome outcome);
