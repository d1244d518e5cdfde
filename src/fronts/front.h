/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a front end is: a protocol spoken on the registry's listeners.
 *
 * A front end registers one static const description; the daemon lists it in one line (src/daemon/fronts.c), makes one
 * instance of it per process, and the router sends it the requests whose path it claims. Adding one touches its folder,
 * that line, its tests and docs.
 *
 * Threads: create and destroy run on the main thread, before the workers start and after they stopped; on_request runs
 * on every worker at the same time, so an instance's own state is read-only or atomic.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fronts/access.h"
#include "fronts/settings.h"
#include "http/exchange.h"
#include "http/scout.h"
#include "http/talkers.h"
#include "keeper/curator.h"
#include "store/store.h"

enum front_match {
    FRONT_EXACT,  /* the path is this */
    FRONT_PREFIX, /* the path begins with this, which ends in '/' */
};

#define FRONT_METHOD(method) (1U << (method))
#define FRONT_GET            (FRONT_METHOD(HTTP_METHOD_GET) | FRONT_METHOD(HTTP_METHOD_HEAD))

/* One path and who answers it. Others' methods get 405, so a handler sees only those that it listed. */
struct front_path {
    struct slice path;
    enum front_match match;
    unsigned methods; /* FRONT_METHOD bits */
    void (*on_request)(void *instance, struct exchange *exchange);
};

/* How etcd's auth runs. */
struct front_auth {
    bool is_ignored;      /* nobody is asked for a token, though auth is enabled */
    unsigned bcrypt_cost; /* of new passwords */
};

/* What a front end is given. What it must show of the daemon comes through small read-only vtables. */
struct front_env {
    struct log *log;
    struct metrics *metrics;
    const struct system_view *system;   /* fronts/system_view.h: what the daemon tells of itself */
    const struct source_views *sources; /* fronts/source_view.h: and of its sources */
    struct talkers *talkers;            /* http/talkers.h: who asks how much */
    const struct gateway_view *gateway; /* fronts/gateway_view.h: and of its gateway; NULL: nothing is known of one */
    struct store *store;                /* NULL in a process that keeps none */
    struct curator *curator;            /* the same */
    struct scout *scout;                /* the same; for what a front end does by itself */
    const struct front_settings *settings;
    struct rcu_domain *rcu; /* of which the workers are readers */
    struct access *access;  /* whom to ask before data is shown or changed */
    struct front_auth auth;
};

struct front {
    const char *name;   /* "ops"; also the name of its folder */
    const char *speaks; /* for people: "health, version and metrics over HTTP" */
    const struct front_path *paths;
    unsigned n_paths;
    int (*create)(const struct front_env *env, void **ret_instance, struct err *err);
    /*
     * The server is about to stop and the workers still run: calls that would last for ever are ended. Main thread, at
     * most once. May be NULL.
     */
    void (*stop)(void *instance);
    void (*destroy)(void *instance);
};
