/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a log record and a snapshot are made of: entries, one after the other, each a type byte and its fields (numbers
 * as varints, bytes with their length in front). docs/store-format.md lists them; a reader refuses types it does not
 * know. Pure: it can be fuzzed and is.
 */
#pragma once

#include "base/buf.h"
#include "store/store.h"

#define RECORD_ENTRIES(X)                                                                                              \
    X(COMMIT, 1)     /* revision, wall_ms: the puts and deletes that follow belong to it */                            \
    X(PUT, 2)        /* key, value, lease, create_revision, version */                                                 \
    X(DELETE, 3)     /* key */                                                                                         \
    X(LEASE, 4)      /* id, ttl_ms: granted */                                                                         \
    X(LEASE_LEFT, 5) /* id, left_ms: checkpoint, each minute and at a clean stop */                                    \
    X(LEASE_GONE, 6) /* id */                                                                                          \
    X(COMPACT, 7)    /* revision */                                                                                    \
    X(NOTE, 8)       /* kind, revision, wall_ms, lease, silence_ms, subject, actor, cause: what happened */            \
    X(STORE, 9)      /* cluster_id, member_id: once, at the beginning */                                               \
    X(BASE, 10)      /* snapshots: a key as it was at the compacted revision, mod_revision too */                      \
    X(DOC, 11)       /* name, value, version: a document as it is from now on */                                       \
    X(DOC_GONE, 12)  /* name */

enum record_type {
#define X(name, number) RECORD_##name = number,
    RECORD_ENTRIES(X)
#undef X
};

struct record_entry {
    enum record_type type;
    union {
        struct {
            int64_t revision, wall_ms;
        } commit;
        struct store_kv kv; /* PUT (mod_revision is the commit's), BASE, DOC; DELETE, DOC_GONE (key only) */
        struct {
            int64_t id, ttl_ms, left_ms;
        } lease;
        int64_t compact_revision;
        struct store_note note;
        struct {
            uint64_t cluster_id, member_id;
        } store;
    };
};

/* Appends one entry; the buf's error is sticky. */
void record_write(struct buf *buf, const struct record_entry *entry);

/*
 * Takes the first entry off *bytes. 0; -EBADMSG when it is damaged or of an unknown type. Slices point into the bytes.
 */
int record_read(struct slice *bytes, struct record_entry *ret_entry);
