/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store without a keeper, a log or a thread: the embedded engine's memory, in which each request is done and
 * published at once, and answered by mail. For tests of what stands on a store, on a simulated loop.
 */
#pragma once

#include "store/store.h"

struct rcu_domain;

/* 0 or -ENOMEM. The loop is the one whose clock leases run by. */
int fake_store_new(struct loop *loop, struct rcu_domain *rcu, struct store **ret_store);
/* No view may be held, no request under way. */
void fake_store_free(struct store *store);

/* Requests are answered with this from now on; STORE_OK: they are done again. */
void fake_store_refuse(struct store *store, enum store_outcome outcome);

/* Backups have so many bytes, each the low byte of its offset. */
void fake_store_set_backup(struct store *store, size_t n_bytes);

/* How often a subscriber was sent news. */
unsigned fake_store_n_news(const struct store *store);

/* While it is held, requests wait; then all of them are done as one batch. */
void fake_store_hold(struct store *store, bool held);

/* Removes the leases that ran out. How many. */
unsigned fake_store_expire(struct store *store);

/* One put or deletion from outside any front end; gives the revision it made. */
int64_t fake_store_put(struct store *store, const char *key, const char *value);
int64_t fake_store_delete(struct store *store, const char *key);
int64_t fake_store_compact(struct store *store, int64_t revision);
