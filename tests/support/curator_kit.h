/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curator on a store without disk and threads, in virtual time: the store and who asks are on one loop, the curator
 * on another one that runs when the test says so. Requests are about instances of the service "web".
 */
#pragma once

#include "keeper/curator_priv.h"

struct curator_kit {
    struct rcu_domain rcu;
    struct sim *sim, *curator_sim;
    struct loop *loop, *curator_loop;
    struct store *store;
    struct projection *projection;
    struct curator *curator; /* NULL while it is stopped */
};

/* With the curator started. */
void curator_kit_init(struct curator_kit *kit);
void curator_kit_deinit(struct curator_kit *kit);
void curator_kit_start(struct curator_kit *kit);
void curator_kit_stop(struct curator_kit *kit);

/* All that can happen on both loops, until so much later; now. */
void curator_kit_run_for(struct curator_kit *kit, nsec_t duration_ns);
void curator_kit_run(struct curator_kit *kit);

/* What readers see; NULL: none. */
const struct instance *kit_find(const struct curator_kit *kit, const char *service, const char *id);

/* A request, and what came of it. It must not be moved once it is submitted. */
struct asked {
    struct curator_request request;
    struct instance_record record;
    struct curator_kit *kit;
    bool is_done, was_visible; /* in the catalogue, when it was answered */
};

struct asked curator_kit_request(struct curator_kit *kit, enum curator_request_type type, const char *id);
struct asked kit_registration(struct curator_kit *kit, const char *id, const char *address, int64_t ttl_ms);
void kit_submit(struct asked *asked);

/* Until it is answered, which takes no time. */
enum curator_outcome kit_ask(struct asked *asked);
enum curator_outcome kit_register(struct curator_kit *kit, const char *id, const char *address, int64_t ttl_ms);
enum curator_outcome kit_ask_for(struct curator_kit *kit, enum curator_request_type type, const char *id);

/* Of all that was noted: lines "SUBJECT KIND by ACTOR". */
void kit_expect_timeline(struct curator_kit *kit, const char *expected);

/* Somebody puts a key with a lease, by etcd's protocol. */
void kit_put_leased(struct curator_kit *kit, const char *key, const char *value);
