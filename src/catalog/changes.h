/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last changes of the catalogue, by revision, for those who follow it: a ring that one thread fills and any RCU
 * reader reads without locks. Bounded by number and by bytes; the oldest goes first, whether anybody has read it or
 * not: who was too slow starts again from the directory.
 *
 * Revisions have no gaps: each change takes the next one. What was added is seen when it is published.
 */
#pragma once

#include "base/rcu.h"
#include "catalog/catalog.h"

#define CHANGES_MAX       ((size_t)32768) /* a power of two */
#define CHANGES_BYTES_MAX ((size_t)32 * 1024 * 1024)

struct changes;
struct changes_item;

/* `revision`: the last that was given before. 0 or -ENOMEM. */
int changes_new(struct rcu_domain *rcu, int64_t revision, struct changes **ret_changes);
/* No reader may be left. Accepts NULL. */
void changes_free(struct changes *changes);

/*
 * A change made ready to be added: texts are copied, the instances get references. Its revision is the next one of the
 * ring. The caller owns it until changes_add. 0 or -ENOMEM.
 */
int changes_prepare(const struct changes *changes, const struct catalog_change *model, struct changes_item **ret_item);
/* One that will not be added. Accepts NULL. */
void changes_drop(struct changes_item *item);

/* Takes the item over; it must be for the next revision. Never fails. */
void changes_add(struct changes *changes, struct changes_item *item);
/* Readers see what was added so far. */
void changes_publish(struct changes *changes);
/* Of the last change that was added. */
int64_t changes_revision(const struct changes *changes);

/* -------- any RCU reader */

/* NULL: not published yet, or forgotten. Good until the end of the turn. */
const struct catalog_change *changes_get(const struct changes *changes, int64_t revision);
/* The lowest revision that changes_get gives; one above the last when there is none. */
int64_t changes_oldest(const struct changes *changes);
/* The highest one that is published. */
int64_t changes_published(const struct changes *changes);
