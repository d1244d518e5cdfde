/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole store, from store.h down to files in a folder of its own, and a loop that asks it.
 *
 *     struct keeper_kit kit;
 *     keeper_kit_init(&kit);
 *     expect_int(keeper_kit_put(&kit, "key", "value", 0), 2);
 *     keeper_kit_deinit(&kit);
 */
#pragma once

#include "keeper/keeper.h"
#include "support/test.h"

struct keeper_kit {
    char folder[64];
    struct rcu_domain rcu;
    struct loop *loop;
    struct keeper *keeper;
    struct store *store;
    struct keeper_options options; /* for the next opening */
    unsigned n_done;
};

/* A request with what it refers to, so that many can be under way. */
struct keeper_asked {
    struct store_request request;
    struct store_op op;
    struct keeper_kit *kit;
    bool is_done;
    char key[32], value[32];
    struct store_note note;
    int64_t expected_version; /* of the document that it changes */
};

/* With an empty store, open. */
void keeper_kit_init(struct keeper_kit *kit);
void keeper_kit_deinit(struct keeper_kit *kit);
void keeper_kit_reopen(struct keeper_kit *kit);

void keeper_kit_submit(struct keeper_kit *kit, struct keeper_asked *asked);
void keeper_kit_await(struct keeper_kit *kit, struct keeper_asked *asked);
/* Both. */
enum store_outcome keeper_kit_ask(struct keeper_kit *kit, struct keeper_asked *asked);

/* Makes asked->request a put, or a deletion when value is NULL, of asked->op alone. */
void keeper_kit_lone_op(struct keeper_asked *asked, const char *key, const char *value, int64_t lease);

/* A put and a grant that go well: the revision, the lease. */
int64_t keeper_kit_put(struct keeper_kit *kit, const char *key, const char *value, int64_t lease);
int64_t keeper_kit_grant(struct keeper_kit *kit, int64_t id, int64_t ttl_ms);
/*
 * Both, on a lease that soon runs out: no sooner than the put, however slow the disk is, as nothing expires before the
 * loop has turned.
 */
void keeper_kit_put_brief(struct keeper_kit *kit, const char *key, const char *value, int64_t lease, int64_t ttl_ms);

/* What is published now. */
int64_t keeper_kit_revision(struct keeper_kit *kit);
