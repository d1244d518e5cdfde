/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds an instance: the requests that are under way there. They are known to their workers alone, so the question
 * goes from one worker to the next, and at the end back to who asked. That is no snapshot of one moment, but nobody is
 * missed at an instance that gets nothing any more: whether it is picked is found out first.
 */
#pragma once

#include "gateway/gateway.h"
#include "wire/json_writer.h"

/* More are counted, not told. */
#define HOLDERS_MAX 1000

struct holders {
    /* The asker's. */
    struct slice service, id; /* id "": all instances of the service; valid until `done` */
    struct loop *loop;        /* on which `done` is called, never from inside holders_ask */
    void (*done)(struct holders *holders);

    /* The answer; deinit by holders_deinit. */
    bool is_picked;  /* the plan offers it to requests, if only as the last resort */
    uint64_t n;      /* under way */
    struct buf json; /* of at most HOLDERS_MAX of them, an array (docs/openapi.yaml) */
    int result;      /* 0, or -ENOMEM: then json is not whole */

    /* The gateway's. */
    struct gateway *gateway;
    unsigned worker;
    struct mail mail;
    struct json_writer writer;
};

/* Until `done` it belongs to the gateway. Any thread, while the workers run. */
void holders_ask(struct gateway *gateway, struct holders *holders);
void holders_deinit(struct holders *holders);
