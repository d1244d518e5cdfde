/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address has an entry as long as it has a connection, so there are never more entries than connections, whose
 * number is limited, and each entry is small beside them.
 *
 * Workers meet here only when connections come and go. So locks will do, one for each part of the table, by the hash:
 * they are held for a look into a chain.
 *
 * Addresses are told apart by 64 bits of a keyed hash. Two that have the same would share a count, which nobody can
 * bring about.
 */
#include "gateway/guests.h"

#include "base/assert.h"
#include "base/htab.h"
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define PARTS 16

struct guest {
    struct htab_node node;
    unsigned n; /* connections, never 0 */
};

struct part {
    pthread_mutex_t lock;
    struct htab guests;
};

struct guests {
    struct hash_key key;
    struct part parts[PARTS];
};

int guests_new(const struct hash_key *key, struct guests **ret_guests)
{
    struct guests *guests = calloc(1, sizeof(*guests));
    if (!guests)
        return -ENOMEM;
    guests->key = *key;
    for (unsigned i = 0; i < PARTS; i++)
        pthread_mutex_init(&guests->parts[i].lock, NULL);
    *ret_guests = guests;
    return 0;
}

void guests_free(struct guests *guests)
{
    for (unsigned i = 0; guests && i < PARTS; i++) {
        htab_deinit(&guests->parts[i].guests);
        pthread_mutex_destroy(&guests->parts[i].lock);
    }
    free(guests);
}

/* Chains go by the low bits. */
static struct part *part_of(struct guests *guests, uint64_t hash)
{
    return &guests->parts[(hash >> 32) % PARTS];
}

static struct guest *find(const struct part *part, uint64_t hash)
{
    struct htab_node *node = htab_match_first(&part->guests, hash);
    return node ? container_of(node, struct guest, node) : NULL;
}

static int enter_first(struct part *part, uint64_t hash)
{
    struct guest *guest = malloc(sizeof(*guest));
    if (!guest)
        return -ENOMEM;
    guest->n = 1;
    int r = htab_insert(&part->guests, &guest->node, hash);
    if (r < 0)
        free(guest);
    return r;
}

static int enter(struct part *part, uint64_t hash, unsigned n_max)
{
    struct guest *guest = find(part, hash);
    if (!guest)
        return enter_first(part, hash);
    if (n_max > 0 && guest->n >= n_max)
        return GUESTS_FULL;
    guest->n++;
    return 0;
}

int guests_enter(struct guests *guests, const struct peer *peer, unsigned n_max)
{
    struct slice client = peer_client(peer);
    if (client.len == 0)
        return 0;
    uint64_t hash = hash_bytes(&guests->key, client);
    struct part *part = part_of(guests, hash);
    pthread_mutex_lock(&part->lock);
    int r = enter(part, hash, n_max);
    pthread_mutex_unlock(&part->lock);
    return r;
}

static void leave(struct part *part, uint64_t hash)
{
    struct guest *guest = find(part, hash);
    ASSERT(guest);
    if (--guest->n > 0)
        return;
    htab_remove(&part->guests, &guest->node);
    free(guest);
}

void guests_leave(struct guests *guests, const struct peer *peer)
{
    struct slice client = peer_client(peer);
    if (client.len == 0)
        return;
    uint64_t hash = hash_bytes(&guests->key, client);
    struct part *part = part_of(guests, hash);
    pthread_mutex_lock(&part->lock);
    leave(part, hash);
    pthread_mutex_unlock(&part->lock);
}
