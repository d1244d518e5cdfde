/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the curator share. Its thread, unless said otherwise. */
#pragma once

#include "keeper/curator.h"

#include <pthread.h>

/* Notes that wait while the store refuses, at most; beyond, the timeline has a gap, which is logged. */
#define CURATOR_NOTES_MAX 65536

struct curator_metric {
    struct curator *curator;
    enum instance_reason status;
};

/* A write of our own accord. */
struct curator_write;

struct curator {
    struct store *store;
    struct rcu_domain *rcu;
    struct log *log;
    int64_t min_ttl_ms;
    struct catalog *catalog;
    int64_t first_revision; /* the catalogue's, of this start */
    struct store_request first_request;
    bool is_first_remembered;
    struct loop *loop;
    bool owns_loop;
    pthread_t thread;
    bool has_thread;

    /* the curator's thread */
    struct loop_task tick;
    struct timer timer;
    struct store_subscriber subscriber;
    int64_t passed;           /* the last commit that is contained */
    unsigned n_events_passed; /* of the next one */
    nsec_t rest_until_ns;     /* commits by others are not looked at before this */
    bool has_lost;            /* commits were compacted before they were seen: the store is read anew */
    bool is_short;            /* of memory, or refused by the store: tried again soon */
    struct catalog_updates updates;
    unsigned n_writes_done;       /* of updates */
    struct catalog_updates noted; /* being appended by note_request */
    struct store_request note_request;
    bool is_noting;
    nsec_t note_at_ns;            /* when the notes in updates are to be appended; NSEC_NEVER: there are none */
    unsigned n_writing;           /* writes with the store */
    struct curator_write *failed; /* to be tried again */
    struct curator_request *first_written, **last_written; /* the store has answered */
    struct list reports;
    struct mail load_mail, stop_mail;
    int load_result;
    bool is_stopping;
    bool has_ended; /* what comes now has no effect */

    /* between threads */
    _Atomic bool is_stopped;      /* requests are turned away */
    _Atomic unsigned n_under_way; /* requests whose answer will come */
    pthread_mutex_t followers_lock;
    struct list followers;

    struct curator_metric metrics[INSTANCE_UP + 1];
};

/* -------- curator.c */

/* As curator_new, on a loop of the caller's, whose thread then is the curator's: for tests. */
int curator_new_on(const struct curator_options *options, struct loop *loop, struct curator **ret_curator);
/* What the thread begins and ends with. Nothing may be under way at the end. */
void curator_begin(struct curator *curator);
void curator_end(struct curator *curator);

/* Steps the catalogue, now. 0 or -ENOMEM. */
int curator_step(struct curator *curator, const struct catalog_event *event);
static inline void curator_wake(struct curator *curator)
{
    loop_defer(curator->loop, &curator->tick);
}

/* -------- curator_first.c: the catalogue's first revision, above all that were ever shown */

/* 0, -ENOMEM. */
int curator_first_find(struct store *store, int64_t *ret_first);
/* On disk before anybody is shown a revision. On the thread that starts, before the curator's own runs. */
void curator_first_remember(struct curator *curator);

/* -------- curator_load.c: 0 or -ENOMEM, and then it is done again */

int curator_load_orders(struct curator *curator);
/* The keys as they are now. Not initial: what is gone departs, what is unchanged stays as it is. */
int curator_load_keys(struct curator *curator, bool is_initial);

/* -------- curator_recall.c: entries that the timeline lacks */

/* Once, when the keys are loaded and published: whoever came or went without being told is. 0, -ENOMEM or -errno. */
int curator_recall(struct curator *curator);

/* -------- curator_request.c */

enum curator_settled {
    CURATOR_SETTLED, /* to be answered once this tick has published */
    CURATOR_WAITS,   /* for the catalogue to pass the commit, or for memory */
    CURATOR_AGAIN,   /* went to the store again */
};

/* The store has answered: does what else belongs to the request. */
enum curator_settled curator_request_settle(struct curator_request *request);
void curator_request_answer(struct curator_request *request);

/* -------- curator_order.c: orders as documents */

/* Writes name and value of the document into the request's bufs and its store request. */
void curator_order_write(struct curator_request *request);
/* The event that a document means. 0; -EINVAL: none; -ENOMEM. Its slices are in the arena. */
int curator_order_read(struct slice name, struct slice value, struct arena *arena, struct catalog_event *ret_event);
/* Where the documents of such an order begin. */
struct slice curator_order_prefix(enum catalog_event_type type);

/* -------- curator_write.c */

/* Carries out what the steps gave. 0 or -ENOMEM. */
int curator_carry_out(struct curator *curator);
/* Removes a lease of ours whose key has another one now; if not now, it expires. */
void curator_write_revoke(struct curator *curator, int64_t lease);
/* Whether something is to be tried again. */
bool curator_write_is_refused(const struct curator *curator);
void curator_write_retry(struct curator *curator);
void curator_write_drop(struct curator *curator);

/* -------- curator_follow.c */

void curator_tell(struct curator *curator);
/* 0 or -ENOMEM: those that are left wait. */
int curator_step_reports(struct curator *curator);
void curator_drop_reports(struct curator *curator);
