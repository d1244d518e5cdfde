/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who must be told of what: the dependants of this protocol, by the services that they require, and what each such
 * service is known to have. Follows the catalogue on the scout's loop, and makes the answers to registrations there,
 * so that an answer and the notices behind it fit together without gap or repeat.
 */
#pragma once

#include "base/log.h"
#include "http/scout.h"
#include "keeper/curator.h"

struct hub_dispatch;

/* Joins the scout. 0 or -ENOMEM. */
int hub_dispatch_new(struct scout *scout, struct curator *curator, struct log *log, struct hub_dispatch **ret_dispatch);
/* When the scout has stopped. Accepts NULL. */
void hub_dispatch_free(struct hub_dispatch *dispatch);

/*
 * What a dependant that has just registered is to be answered. Owned by the caller until `done`, which comes once, on
 * `loop`; then hub_dispatch_answered takes the ask along, and `done` comes a second time, to free it.
 */
struct hub_ask;
typedef void (*hub_ask_fn)(struct hub_ask *ask);

struct hub_ask {
    /* the caller's */
    struct loop *loop;
    hub_ask_fn done;
    struct slice service, id;
    bool was_new; /* its own arrival is told, rather than answered */
    /* the answer: {"NAME":[{…}],…} */
    struct buf answer;
    int result; /* 0 or -ENOMEM */
    /* the dispatch's */
    struct hub_dispatch *dispatch;
    struct mail mail;
};

/* Any thread, once the catalogue shows the registration. */
void hub_dispatch_ask(struct hub_dispatch *dispatch, struct hub_ask *ask);
/* The answer was sent, or there is nobody to send it to: from now on the dependant is told what comes. */
void hub_dispatch_answered(struct hub_ask *ask);
