/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One version of one key: what a put or a delete made. Immutable for readers, but that compaction may cut the link to
 * the version before. Key and value lie behind the struct, in one allocation.
 */
#pragma once

#include "base/list.h"
#include "store/store.h"

#include <stdatomic.h>

struct version {
    struct store_kv kv;               /* first: readers hold pointers to it. kv.version 0: a tombstone */
    struct version *_Atomic older;    /* NULL: the first one, or what was before is compacted */
    union {                           /* the keeper's */
        struct version *newer;        /* whose `older` is this one */
        struct version *garbage_next; /* of one that is discarded: in a chain of versions to free */
    };
    struct list lease_link; /* the keeper's: among the keys of its lease, while it is current */
    char bytes[];
};

/* `kv` with copies of its key and value; NULL when out of memory. */
struct version *version_new(const struct store_kv *kv);
void version_free_chain(struct version *chain); /* linked by garbage_next */

static inline struct version *version_of(const struct store_kv *kv)
{
    return (struct version *)(uintptr_t)kv;
}

static inline bool version_is_tombstone(const struct version *version)
{
    return version->kv.version == 0;
}

/* Heap bytes of a version. */
static inline size_t version_bytes(const struct version *version)
{
    return sizeof(*version) + version->kv.key.len + version->kv.value.len;
}

/* Puts `version` on top of `older`. */
static inline void version_link(struct version *version, struct version *older)
{
    atomic_store_explicit(&version->older, older, memory_order_relaxed);
    if (older)
        older->newer = version;
}
