/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may touch which keys, for every front end. Users, roles and tokens are etcd's (fronts/etcd/auth.h); when its auth
 * is enabled, a front end that shows or changes the registry's data must not be a way around it. Before it does either
 * on behalf of a request, it asks with the keys that it is about to touch:
 *
 *     unsigned status = access_check(env->access, exchange, ACCESS_WRITE, key, (struct slice){0});
 *     if (status) {
 *         exchange_respond_text(exchange, status, "%s\n", access_text(status));
 *         return;
 *     }
 *
 * A request says who it is as with etcd's JSON: by a token in the field `authorization`, or by a client certificate
 * whose common name is a user. What is not about keys (health, metrics, the state of the process) is free.
 */
#pragma once

#include "http/exchange.h"

enum access_touch {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_ADMIN, /* what only root may: copies of the whole store, compaction; there are no keys to it */
};

/* Filled in by the front end that keeps the users, while it is created; afterwards it does not change. */
struct access {
    unsigned (*check)(void *ctx, const struct exchange *exchange, enum access_touch touch, struct slice key,
                      struct slice end);
    void *ctx;
    struct slice (*user)(void *ctx, const struct exchange *exchange);
    bool (*is_on)(void *ctx); /* auth is enabled: otherwise everything is free to everybody, and nobody is root */
};

/*
 * 0, or the status to answer with: 401 (no token, or one that is not good any more) or 403. Keys are as in store_range.
 * In on_request only, on any worker.
 */
static inline unsigned access_check(const struct access *access, const struct exchange *exchange,
                                    enum access_touch touch, struct slice key, struct slice end)
{
    return access && access->check ? access->check(access->ctx, exchange, touch, key, end) : 0;
}

/* The user who asks; "": nobody is, or auth is off. Valid until the end of the turn. As access_check. */
static inline struct slice access_user(const struct access *access, const struct exchange *exchange)
{
    return access && access->user ? access->user(access->ctx, exchange) : (struct slice){0};
}

/* Whether it is root who asks: whoever else owns something, root may change it. As access_check. */
static inline bool access_is_root(const struct access *access, const struct exchange *exchange)
{
    return access && access->is_on && access->is_on(access->ctx) &&
           access_check(access, exchange, ACCESS_ADMIN, (struct slice){0}, (struct slice){0}) == 0;
}

static inline const char *access_text(unsigned status)
{
    return status == 401 ? "this needs a user: a token from /v3/auth/authenticate as the field authorization, or a "
                           "client certificate with the user's name"
                         : "permission denied";
}
