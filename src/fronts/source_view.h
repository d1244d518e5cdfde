/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells front ends about a source, such as an engine whose containers become instances. Read-only; any
 * thread may ask, at any time.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct source_state {
    const char *name;            /* "docker"; static */
    struct slice place;          /* what it follows: "unix:///var/run/docker.sock"; as long as the source lives */
    const char *state;           /* "following", "waiting", …; static, for people */
    char trouble[ERR_TEXT_MAX];  /* why it cannot do its work now; "": nothing is wrong */
    int64_t success_ms, next_ms; /* wall clock: when it last went well, 0: never yet; the next try, 0: none is due */
    unsigned n_instances;        /* that it wants in the catalogue */
    uint64_t n_drifts;           /* what it had to mend that it had not been told of */
};

struct source_view {
    void *ctx;
    void (*get)(void *ctx, struct source_state *ret_state);
};

/* All there are. */
struct source_views {
    unsigned n;
    const struct source_view *list;
};
