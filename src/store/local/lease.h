/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases of the embedded engine.
 *
 * A lease's deadline and its being dead are one atomic word. A worker renews by compare-and-swap (lease_touch), the
 * keeper kills by compare-and-swap (lease_expire), so whichever comes first wins and the other sees it: an answered
 * renewal is never followed by an expiry that it should have prevented, a dead lease answers 0.
 *
 * The keeper keeps the leases on a timer wheel by the deadline it last saw; a lease that was renewed since is put back
 * when its slot comes up, so a heartbeat touches nothing but the word. Workers find leases by id in a table that they
 * read without locks (RCU); only the keeper changes it.
 *
 * Expiry is judged by arrival: lease_expire kills only what is due at `read_until_ns`, the moment up to which every
 * worker has read all its input. A stall or suspend of the process therefore extends every deadline by itself.
 */
#pragma once

#include "base/rcu.h"
#include "store/local/version.h"

struct lease_table;
struct lease;

int lease_table_new(struct rcu_domain *rcu, nsec_t now_ns, struct lease_table **ret_table);
void lease_table_free(struct lease_table *table);

/* -------- any RCU reader */

int64_t lease_touch(struct lease_table *table, int64_t id, nsec_t now_ns);

/* -------- the keeper's thread */

/*
 * STORE_OK, STORE_LEASE_EXISTS, STORE_TTL_TOO_LARGE, or -ENOMEM. id 0: picks a free positive one. Workers that touch it
 * find it dead until lease_show, when its grant is durable; from then on its time runs: all of its TTL, or what
 * lease_set_left said before (a restart may find less left of a long one).
 */
int lease_grant(struct lease_table *table, int64_t id, int64_t ttl_ms, nsec_t now_ns, struct lease **ret_lease);
void lease_set_left(struct lease *lease, int64_t left_ms);
void lease_show(struct lease *lease, nsec_t now_ns); /* also by the thread that publishes */
struct lease *lease_find(struct lease_table *table, int64_t id);
int64_t lease_id(const struct lease *lease);
int64_t lease_ttl_ms(const struct lease *lease);
int64_t lease_left_ms(const struct lease *lease, nsec_t now_ns);
size_t lease_table_size(const struct lease_table *table);
void lease_each(struct lease_table *table, void (*fn)(void *ctx, struct lease *lease), void *ctx);

/*
 * Keys under a lease: the current versions that name it. Attaching needs no memory, the version has the link in it.
 * Detaching one that is attached nowhere is harmless.
 */
void lease_attach(struct lease *lease, struct version *version);
void lease_detach(struct version *version);
/* All its keys in key order, in an array that the caller frees; they stay good until the next change. 0 or -ENOMEM. */
int lease_keys(const struct lease *lease, struct slice **ret_keys, size_t *ret_n);

/* Kills it now (revoked); false when it is dead already. Its keys are the caller's to delete, then lease_remove. */
bool lease_kill(struct lease *lease);
void lease_remove(struct lease_table *table, struct lease *lease); /* no keys left; freed after a grace period */

/* Kills up to `max` leases that are due at read_until_ns and gives them, those that are due the longest first. */
unsigned lease_expire(struct lease_table *table, nsec_t now_ns, nsec_t read_until_ns, struct lease **ret_dead,
                      unsigned max);
/* How long ago its last heartbeat (or its grant) was. */
int64_t lease_silence_ms(const struct lease *lease, nsec_t now_ns);
/* No later than the next lease can be due; NSEC_NEVER when there is none. */
nsec_t lease_next(const struct lease_table *table);
