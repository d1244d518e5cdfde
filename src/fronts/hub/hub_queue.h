/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notices for one dependant, delivered one after the other: POST when an instance came, DELETE when it went.
 *
 * The dependants of this protocol neither drop duplicates nor survive disorder. So a notice is sent again only when
 * nothing of it had left (they register before they listen, so a refused connection is usual), and where it is unsure
 * whether a POST arrived, DELETE, DELETE, POST leaves exactly one entry: the first takes back what may have arrived.
 * A DELETE may be repeated. Any answer counts as delivered, whatever its status.
 *
 * Lives on the scout's loop.
 */
#pragma once

#include "http/errand.h"

/* The object of an instance as JSON, shared by all dependants' notices. */
struct hub_text {
    unsigned refs;
    size_t len;
    char text[];
};

/* A copy with one reference; NULL when out of memory. */
struct hub_text *hub_text_new(struct slice text);
struct hub_text *hub_text_ref(struct hub_text *text);
void hub_text_unref(struct hub_text *text);

enum hub_step {
    HUB_TELL,        /* POST or DELETE, nothing has left yet */
    HUB_TAKE_BACK,   /* a POST may have arrived: the first DELETE … */
    HUB_TAKE_BACK_2, /* … the second … */
    HUB_TELL_ANEW,   /* … and the POST again */
};

struct hub_queue {
    struct errand_office *office;
    struct slice host; /* in memory of the queue's owner */
    uint16_t port;
    struct list notices; /* the oldest in front; while the errand runs, it is about that one */
    unsigned n_notices;
    enum hub_step step; /* of the first notice */
    struct errand errand;
    struct timer again; /* after a failure */
    nsec_t pause_ns;
    bool is_held; /* nothing is sent yet */
    bool is_closing;
    void (*on_closed)(struct hub_queue *queue);
};

/* Held at first. on_closed: after hub_queue_close, when nothing is under way any more. */
void hub_queue_init(struct hub_queue *queue, struct errand_office *office, struct slice host, uint16_t port,
                    void (*on_closed)(struct hub_queue *queue));

/* Takes a reference of the text. -ENOMEM: the notice is lost. */
int hub_queue_add(struct hub_queue *queue, bool is_arrival, struct hub_text *text);

/* The dependant is about to be answered with all there is: what waits is forgotten, and what comes waits. */
void hub_queue_hold(struct hub_queue *queue);
/* It was answered. */
void hub_queue_release(struct hub_queue *queue);

/* Forgets what waits and ends what is under way. */
void hub_queue_close(struct hub_queue *queue);
