/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway of this process tells front ends about itself. Read-only; any thread may ask, at any time while the
 * workers run.
 */
#pragma once

#include "base/slice.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* -- who holds an instance: the requests that are under way there -- */

/*
 * A question, asked of all workers, since what is under way is known to them alone. From the call on until `done` it
 * belongs to the gateway.
 */
struct gateway_holders {
    /* the asker's */
    struct slice service, id; /* id "": of all instances of the service; valid until `done` */
    struct loop *loop;        /* where `done` is called, never from inside the call */
    void (*done)(struct gateway_holders *holders);

    /* the answer */
    bool is_picked;       /* it still gets requests */
    uint64_t n_in_flight; /* all of them */
    struct slice json;    /* a thousand of them at most, as an array; valid during `done`; NULL: out of memory */
};

/* -- what it tells as JSON, on a thread that is an RCU reader; front ends decide who may see it, and pass it on -- */

struct json_writer;

/* Requests that fit all of it: the newest, at most `limit`. */
struct gateway_query {
    struct slice id, service;        /* "": any */
    unsigned status_min, status_max; /* 0: a client that got no answer */
    int64_t since_ms;                /* since 1970 */
    unsigned limit;
};

/* -- */

struct gateway_view {
    void *ctx; /* NULL: this process has no gateway, and nothing below is called */
    /* 0 or -ENOMEM: then `done` does not come. */
    int (*ask_holders)(void *ctx, struct gateway_holders *holders);
    /* Each writes one value. */
    void (*write_requests)(void *ctx, const struct gateway_query *query, struct json_writer *json);
    void (*write_traffic)(void *ctx, struct slice service, struct json_writer *json); /* service "": all */
    void (*write_calls)(void *ctx, struct json_writer *json);
};
