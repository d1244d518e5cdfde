/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one stream by which a client is told of all services that it follows: /api/v1/watch, resumed by Last-Event-ID.
 * When it breaks, or says nothing for longer than a server that lives would, it is made again; until then, and for ever
 * if need be, the copies stay as they are.
 *
 * Under the client's lock.
 */
#pragma once

#include "base/list.h"
#include "base/time.h"

#include <stdbool.h>

struct cache;
struct follow;
struct muster_client;

/* NULL: out of memory. */
struct follow *follow_new(struct muster_client *client);
/* Without caches; NULL is fine. */
void follow_free(struct follow *follow);

/* The copy of that name; NULL: there is none. */
struct cache *follow_find(struct follow *follow, const char *name);
/* The cache stays the caller's. */
void follow_add(struct follow *follow, struct cache *cache);
void follow_remove(struct follow *follow, struct cache *cache);

/* The last moment in which all copies were known to be as they are at the registry; -1: never. */
nsec_t follow_confirmed_ns(const struct follow *follow);
