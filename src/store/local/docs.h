/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents: named values with versions, no keys of any client. They live in a memory like that of the keys (mvcc.h),
 * another one, whose history is forgotten at once; so they are changed, sealed, published and read by the same rules,
 * on the same threads.
 *
 * A document is a struct store_kv of which name (key), value and version count; version 0: removed.
 */
#pragma once

#include "store/local/mvcc.h"

struct docs;

int docs_new(struct rcu_domain *rcu, struct docs **ret_docs);
void docs_free(struct docs *docs);

/* -------- keeper's thread */

/* The working state; NULL: there is none. */
const struct store_kv *docs_get(const struct docs *docs, struct slice name);
/* Whether all documents would still be small enough with this one. */
bool docs_has_room(const struct docs *docs, struct slice name, struct slice value);
/* 0 or -ENOMEM, then nothing has changed. The document stays until the batch after its own is published. */
int docs_put(struct docs *docs, struct slice name, struct slice value, const struct store_kv **ret_doc);
/* One that is there. As docs_put; gives what says that it is removed. */
int docs_remove(struct docs *docs, struct slice name, const struct store_kv **ret_doc);
/* For restart: a document of the snapshot, before any change. 0, -EEXIST, -ENOMEM. */
int docs_restore(struct docs *docs, const struct store_kv *doc);

/* Closes the batch; *ret_root is NULL when nothing has changed since the last one. 0 or -ENOMEM. */
int docs_seal(struct docs *docs, struct store_root **ret_root);
bool docs_reclaim(struct docs *docs);

/* -------- the thread that publishes */

void docs_publish(struct docs *docs, struct store_root *root);

/* -------- any thread that is an RCU reader */

/* Counted: to be released, by any thread. */
void docs_view(struct docs *docs, struct store_view *ret_view);
void docs_view_release(struct docs *docs, struct store_view *view);
/* Those whose names begin with `prefix`, in order. */
void docs_view_each(const struct store_view *view, struct slice prefix, store_kv_fn fn, void *ctx);

/* The same of what is published now. */
void docs_each(struct docs *docs, struct slice prefix, store_doc_fn fn, void *ctx);

/* Of all documents with their names, at most; the keeper's thread. */
uint64_t docs_bytes(const struct docs *docs);
