/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in front of another one that tells what passes: each request when it is answered, and on demand each read and
 * each heartbeat. Values are never told. A store that is not to be traced has none of this in front of it.
 */
#pragma once

#include "store/store.h"

struct trace_event {
    const char *what;      /* "put", "delete", "range", "txn", "compact", "lease grant", …, "touch" */
    struct slice key, end; /* of the (first) operation; a document's name, a note's subject */
    int64_t lease;         /* 0: none */
    struct slice actor, cause;
    int outcome;      /* enum store_outcome, or of a range -errno */
    int64_t revision; /* a request: the store's after it; a range: the one that was read */
    int64_t count;    /* operations of a transaction, keys of a range, notes */
    nsec_t took_ns;
};

/* On the thread of who asked, before that one gets its answer. Slices are valid during the call. */
typedef void (*trace_fn)(void *ctx, const struct trace_event *event);

struct trace_options {
    trace_fn fn;
    void *ctx;
    bool reads; /* ranges and heartbeats too */
};

/* 0 or -ENOMEM. The inner store stays the caller's and outlives it. */
int trace_store_new(struct store *inner, const struct trace_options *options, struct store **ret_store);
/* No request may be under way. */
void trace_store_free(struct store *store);
