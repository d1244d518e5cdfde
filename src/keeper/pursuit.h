/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the catalogue and misses nothing: each change is taken once, in order. When changes were forgotten before
 * they were seen, or one could not be taken, its owner compares all it has with the directory instead, and again after
 * a while for as long as that fails.
 *
 * Embedded in its owner, and touched on the owner's loop only.
 */
#pragma once

#include "keeper/curator.h"

struct pursuit;

struct pursuit_events {
    /* 0, or negative: the change could not be taken. */
    int (*on_change)(struct pursuit *pursuit, const struct catalog_change *change);
    /* Changes were missed: everything is to be compared. 0, or negative: later again. */
    int (*on_gap)(struct pursuit *pursuit);
};

struct pursuit {
    const struct pursuit_events *events;
    struct curator *curator;
    struct loop *loop;
    struct curator_follower follower;
    int64_t seen; /* the catalogue's revision */
    bool is_behind;
    struct timer again;
};

/*
 * Tells what changes from now on; what there is by now the owner looks at itself, after this. The owner calls
 * pursuit_stop before it goes. 0 or -ENOMEM: not started.
 */
int pursuit_start(struct pursuit *pursuit, const struct pursuit_events *events, struct curator *curator,
                  struct loop *loop);
void pursuit_stop(struct pursuit *pursuit);

/* Tells all that was published before this call, without waiting for the news of it. */
void pursuit_catch_up(struct pursuit *pursuit);
