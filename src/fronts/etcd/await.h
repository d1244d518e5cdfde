/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a change in the store: for calls that can go on once a key is gone, or something is new in a range. What
 * changed is not told; who waits looks again. Belongs to one loop, like all that waits on it.
 */
#pragma once

#include "fronts/etcd/etcd_impl.h"
#include "fronts/etcd/watch_index.h"

struct await;
typedef void (*await_fn)(struct await *await);

/* Embedded in what waits. Zero-initialised is not waiting. */
struct await {
    struct await_hub *hub; /* NULL: not waiting */
    struct watch_node node;
    struct list link;    /* hub->all */
    struct list touched; /* hub->touched */
    await_fn on_change;
};

/*
 * From now on on_change is called after changes of these keys (as store_range has them; copied), at least once for any
 * number of them. To miss none, look at the store after this call. on_change may end any waiting. 0 or -errno.
 */
int await_begin(struct etcd_worker *worker, struct await *await, struct slice key, struct slice end,
                await_fn on_change);
/* Harmless when it is not waiting. */
void await_end(struct await *await);

/* Nobody waits any more. Accepts NULL. */
void await_hub_free(struct await_hub *hub);
