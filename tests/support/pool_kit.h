/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool over simulated streams, and users who make one call after another. The servers at the other ends are one HTTP
 * server of our own, so that client and server meet here too: it answers "hello\n", or when the test says so.
 *
 *     struct pool_kit *kit = pool_kit_new(NULL);
 *     expect_int(pool_user_call(&kit->users[0], 80), POOL_WAIT);
 *     pool_kit_settle(kit);
 *     expect_int(kit->users[0].status, 200);
 *     pool_kit_free(kit);
 */
#pragma once

#include "http/pool.h"
#include "http/server.h"
#include "support/sim.h"

enum { POOL_KIT_USERS = 8 };

struct pool_user {
    struct pool_kit *kit;
    struct pool_wait wait;
    struct client_call call;
    bool is_patient; /* the next request becomes kit->later */
    int n_done, n_reused, result;
    unsigned status;
    size_t n_body;
};

struct pool_kit {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct pool *pool;
    struct exchange *later;   /* the request of a patient user that is not answered yet */
    unsigned n_connects;      /* attempts so far */
    int connect_error;        /* what they come to */
    nsec_t connect_ns;        /* and when */
    unsigned n_open_max;      /* the descriptors that there are; 0: enough */
    struct stream *silent[4]; /* ends that are not given to the server */
    bool server_is_silent;
    struct pool_user users[POOL_KIT_USERS];
};

/* One at a time. options may be NULL; their connect is the kit's. */
struct pool_kit *pool_kit_new(const struct pool_options *options);
/* The same for a test of failing allocations: 0 or -errno, and what there is of it, to be freed; perhaps NULL. */
int pool_kit_try_new(const struct pool_options *options, struct pool_kit **ret_kit);
void pool_kit_free(struct pool_kit *kit);

/* All that can happen at once happens. */
void pool_kit_settle(struct pool_kit *kit);

struct pool_key pool_kit_key(unsigned port);
struct pool_stats pool_kit_stats(const struct pool_kit *kit);

/* Makes a call, now or when there is a connection. Gives what pool_get gave. */
int pool_user_call(struct pool_user *user, unsigned port);
/* By one that the test got. */
void pool_user_start(struct pool_user *user, struct client_connection *connection);
