/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curator: the thread that keeps the catalogue. It follows the store's commits, steps the catalogue, publishes it,
 * carries out its updates, and tells followers. Floor 8 reads the directory directly (catalog_directory, under RCU),
 * writes through requests, and reports what it has seen.
 *
 * A request is answered when readers of the catalogue see its effect.
 */
#pragma once

#include "catalog/catalog.h"
#include "store/store.h"

struct curator;

struct curator_options {
    struct store *store;
    struct rcu_domain *rcu;
    struct log *log;
    struct catalog_options catalog;
};

/* 0 or -ENOMEM. */
int curator_new(const struct curator_options *options, struct curator **ret_curator);
/* Stopped, or never started. */
void curator_free(struct curator *curator);
/* Reads the store as it is (keys, documents, timeline), publishes, then follows. When it returns the directory is whole. */
int curator_start(struct curator *curator, struct err *err);
void curator_stop(struct curator *curator);

const struct catalog *curator_catalog(const struct curator *curator);

/* -------- writing */

enum curator_outcome {
    CURATOR_OK = 0,
    CURATOR_NOT_FOUND,
    CURATOR_NOT_OWNER,
    CURATOR_INVALID, /* names or record: words in `err` */
    CURATOR_FOREIGN, /* drain and deregistration of what another party's key stands for is allowed; a register is not */
    CURATOR_REFUSED, /* the store's outcome says why: no space, read-only, stopped */
};

struct curator_request;
typedef void (*curator_done_fn)(struct curator_request *request);

/* Owned by the caller, untouched from curator_submit until `done`, which comes exactly once, on `loop`. */
struct curator_request {
    /* the caller's */
    enum {
        CURATOR_REGISTER, /* record, ttl_ms; renews when nothing else changed */
        CURATOR_RENEW,    /* a heartbeat by name */
        CURATOR_DEREGISTER,
        CURATOR_DRAIN, /* order; since_ms 0: ends it. id "": the whole service */
        CURATOR_MAINTAIN,
    } type;
    struct loop *loop;
    curator_done_fn done;
    struct store_origin origin;
    struct slice identity; /* who asks, authenticated; "": nobody known */
    bool is_admin;         /* may change what others own */
    struct slice service, id;
    const struct instance_record *record;
    int64_t ttl_ms; /* 0: never expires */
    struct instance_order order;
    /* the answer */
    enum curator_outcome outcome;
    enum store_outcome store_outcome;
    bool was_new;     /* REGISTER: it was not there, or another incarnation was */
    int64_t revision; /* the catalogue's in which the effect is visible */
    int64_t ttl_left_ms;
    struct err err;
    /* the curator's */
    struct store_request store;
    struct arena arena;
    struct mail mail;
    struct curator *curator;
    struct curator_request *next;
    unsigned state;
};

/* Any thread that has a loop and is an RCU reader. A renewal of what is there is answered from inside. */
void curator_submit(struct curator *curator, struct curator_request *request);
void curator_request_deinit(struct curator_request *request);

/*
 * What somebody has seen (CATALOG_CHECK, PROBE, SUSPECT, SESSION, SOURCE). Copied. Any thread. -ENOMEM: lost, say it
 * again.
 */
int curator_report(struct curator *curator, const struct catalog_event *event);

/* -------- following */

/* Called on the follower's loop after something was published, at most once per burst: then catalog_change gives it. */
struct curator_follower;
typedef void (*curator_news_fn)(struct curator_follower *follower);
struct curator_follower {
    struct loop *loop;
    curator_news_fn on_news;
    /* the curator's */
    struct list link;
    struct mail mail;
    _Atomic bool posted;
};
/* On the follower's loop; unfollowing delivers what mail of the loop is under way. */
void curator_follow(struct curator *curator, struct curator_follower *follower);
void curator_unfollow(struct curator *curator, struct curator_follower *follower);
