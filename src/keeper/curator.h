/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curator: the thread that keeps the catalogue. It follows the store's commits, steps the catalogue, publishes it,
 * carries out its updates, and tells followers. Floor 8 reads the directory directly (catalog_directory, under RCU),
 * writes through requests, and reports what it has seen.
 *
 * A request is answered when readers of the catalogue see its effect.
 *
 * Leases that it grants have ids of its own (CURATOR_LEASE_MARK); each belongs to one key and goes with it.
 */
#pragma once

#include "base/log.h"
#include "base/metrics.h"
#include "catalog/catalog.h"
#include "store/store.h"

/* What the upper 16 bits of such an id are: "mu". */
#define CURATOR_LEASE_MARK 0x6d75

/* Texts of an order, at most. */
#define CURATOR_TEXT_MAX 1024

struct curator;

struct curator_options {
    struct store *store;
    struct rcu_domain *rcu;
    struct log *log;
    struct catalog_options catalog; /* the projection outlives the curator */
    int64_t min_ttl_ms;             /* as the store's: shorter ones are granted this long */
};

/*
 * Reads the store as it is (timeline, documents, keys) and publishes: the directory is whole from then on. 0, -ENOMEM,
 * or the -errno of a system call.
 */
int curator_new(const struct curator_options *options, struct curator **ret_curator);
/* Stopped, or never started, and the store's keeper has stopped as well. Accepts NULL. */
void curator_free(struct curator *curator);
/* Starts its thread, which goes on from what was read. */
int curator_start(struct curator *curator, struct err *err);
/* Answers what is under way. The store's keeper and the loops of requests and followers must run still. */
void curator_stop(struct curator *curator);

/* Any thread, from curator_new on. */
struct catalog *curator_catalog(const struct curator *curator);

/* muster_services, muster_instances{status}, muster_catalog_lag_revisions. 0 or the registry's error. */
int curator_register_metrics(struct curator *curator, struct metrics *metrics);

/* -------- writing */

enum curator_outcome {
    CURATOR_OK = 0,
    CURATOR_NOT_FOUND,
    CURATOR_NOT_OWNER,
    CURATOR_INVALID, /* names or record: words in `err` */
    CURATOR_FOREIGN, /* drain and deregistration of what another party's key stands for is allowed; a register is not */
    CURATOR_REFUSED, /* store_outcome says why: no space, read-only, out of memory, stopped */
};

enum curator_request_type {
    CURATOR_REGISTER, /* record, ttl_ms; renews when nothing else changed */
    CURATOR_RENEW,    /* a heartbeat by name */
    CURATOR_DEREGISTER,
    CURATOR_DRAIN,    /* order; since_ms 0: ends it. id "": the whole service */
    CURATOR_MAINTAIN, /* the same */
};

struct curator_request;
typedef void (*curator_done_fn)(struct curator_request *request);

/*
 * Owned by the caller, untouched from curator_submit until `done`, which comes exactly once, on `loop`, perhaps from
 * inside curator_submit. What slices and `record` point to must stay until then too. Zeroed but for the caller's.
 */
struct curator_request {
    /* the caller's */
    enum curator_request_type type;
    struct loop *loop; /* the calling thread's */
    curator_done_fn done;
    struct store_origin origin;
    struct slice identity; /* who asks, authenticated: becomes the owner; "": nobody known */
    bool is_admin;         /* may change what others own, and leaves it theirs */
    struct slice service, id;
    const struct instance_record *record; /* its `owner` is not looked at */
    int64_t ttl_ms;                       /* 0: never expires */
    struct instance_order order;
    /* the answer */
    enum curator_outcome outcome;
    enum store_outcome store_outcome;
    bool was_new;        /* REGISTER: it was not there, or another incarnation was */
    int64_t revision;    /* the catalogue's in which the effect is visible */
    int64_t ttl_left_ms; /* REGISTER, RENEW: as granted; 0: never expires */
    struct err err;
    /* the curator's */
    struct store_request store, grant;
    struct store_op op;
    struct buf key, value;
    struct mail mail;
    struct curator *curator;
    struct curator_request *next;
    unsigned state, n_parts, n_tries;
    int64_t lease, old_lease;
    uint64_t incarnation;
};

/* Any thread that is an RCU reader. A renewal of what is there, and what is refused, is answered from inside. */
void curator_submit(struct curator *curator, struct curator_request *request);
/* After it was answered. */
void curator_request_deinit(struct curator_request *request);
/* Whether the instance is nobody's or belongs to who asks, or he is an administrator. */
bool curator_may_change(const struct curator_request *request, const struct instance *instance);

/*
 * What somebody has seen (CATALOG_CHECK, PROBE, SUSPECT, SESSION, SOURCE). Copied. Any thread. -ENOMEM: lost, say it
 * again. After curator_stop it has no effect.
 */
int curator_report(struct curator *curator, const struct catalog_event *event);

/* -------- following */

/* Called on the follower's loop after changes were published, at most once per burst: catalog_change gives them. */
struct curator_follower;
typedef void (*curator_news_fn)(struct curator_follower *follower);
struct curator_follower {
    struct loop *loop;
    curator_news_fn on_news;
    struct curator_following *following; /* the curator's */
};

/* On the follower's loop, at any time. 0 or -ENOMEM. */
int curator_follow(struct curator *curator, struct curator_follower *follower);
/* No news comes from then on. The loop must still turn once: what is under way is freed when it arrives. */
void curator_unfollow(struct curator *curator, struct curator_follower *follower);
