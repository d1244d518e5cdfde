/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: revisioned keys, leases and their changes, whatever engine keeps them.
 *
 * Three things, and a stream:
 *   - a synchronous read view: pinned at one revision, lock-free, on any thread that is an RCU reader;
 *   - store_submit: every change, asynchronous: a request that the caller owns, one completion, in the caller's loop;
 *   - store_lease_touch: a heartbeat, synchronous and lock-free: it never reaches the keeper;
 *   - the commit stream (store_subscribe): each commit published once, in order, for watchers and the catalogue.
 *
 * Beside the keys, as durable as they are but without revisions of their own and unseen by clients of keys:
 *   - notes: what happened, for people: why a key is gone, and the timelines that others write (STORE_NOTES);
 *   - documents: named values, such as users and drains (STORE_DOC).
 *
 * Semantics are etcd's (revision, create and mod revision, version, lease; transactions with compares; compaction).
 * TTLs are milliseconds. Every request carries who asks (actor) and why (cause); removals remember both.
 *
 * An engine fills struct store_engine. `local` (memory, log, snapshot) is the embedded one. Wrappers stand in front of
 * any engine as engines of their own: fault/ (lets things go wrong, for tests) and trace/ (writes down what passes).
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/time.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_KEY_MAX          (64 * 1024)
#define STORE_VALUE_MAX        (1536 * 1024)
#define STORE_TXN_OPS_MAX      128
#define STORE_LEASE_TTL_MAX_MS (9000000000 * 1000)
#define STORE_NOTES_MAX        1024 /* of one request */
#define STORE_NOTE_TEXT_MAX    255  /* what is kept of an actor's and of a cause's words */
#define STORE_DOC_NAME_MAX     1024
#define STORE_DOCS_BYTES_MAX   (64 * 1024 * 1024) /* all documents, with what holds them */

/* How a request can end other than well: positive, for the front end to put into its protocol's words. */
enum store_outcome {
    STORE_OK = 0,
    STORE_COMPACTED,       /* the revision asked for is below the compacted one (ret: which) */
    STORE_FUTURE_REVISION, /* … above the current one */
    STORE_NO_LEASE,        /* the lease does not exist */
    STORE_LEASE_EXISTS,
    STORE_TTL_TOO_LARGE,
    STORE_NO_KEY,        /* ignore_value or ignore_lease on a key that does not exist */
    STORE_DUPLICATE_KEY, /* one transaction writes a key twice */
    STORE_TOO_MANY_OPS,
    STORE_TOO_LARGE, /* a document's name or value, a note's subject */
    STORE_DOCS_FULL, /* all documents together would be too large */
    STORE_CONFLICT,  /* the document has another version than expected */
    STORE_FORBIDDEN, /* by the request's guard */
    STORE_NO_SPACE,  /* the disk is full: reads and heartbeats go on */
    STORE_READ_ONLY, /* a sync failed and there was nowhere to go on: see the log */
    STORE_OUT_OF_MEMORY,
    STORE_BACKUP_FAILED, /* its file could not be written: see the log */
    STORE_STOPPED,
};

/* "ok", "compacted", …: for logs; of an -errno "failed". */
const char *store_outcome_name(int outcome);

struct store_kv {
    struct slice key, value;
    int64_t create_revision, mod_revision, version; /* version 0: a tombstone */
    int64_t lease;
};

/* ------------------------------------------------------------------------------------------------ reading */

enum store_sort_by { STORE_BY_KEY, STORE_BY_VERSION, STORE_BY_CREATE, STORE_BY_MOD, STORE_BY_VALUE };
enum store_sort_order { STORE_UNSORTED, STORE_ASCENDING, STORE_DESCENDING };

/*
 * Keys: `end` empty means just `key`; end "\0" (one zero byte) means all keys from `key` on; else [key, end).
 * A filter of 0 is none.
 */
struct store_range {
    struct slice key, end;
    int64_t revision; /* 0 or less: the view's */
    int64_t limit;    /* 0: none */
    enum store_sort_order order;
    enum store_sort_by by;
    bool keys_only, count_only;
    int64_t min_mod_revision, max_mod_revision, min_create_revision, max_create_revision;
    /*
     * 0, or: only a part of a walk in key order, without filters. It ends after so many keys, whether they existed then
     * or not, or when on_kv says so; the result's `next` is the key to go on from.
     */
    size_t part;
};

/* Called for each key in the order asked for. Slices are valid while the view is. false ends the walk. */
typedef bool (*store_kv_fn)(void *ctx, const struct store_kv *kv);

/* The end that means "all keys from here on". */
static inline bool store_range_is_open(struct slice end)
{
    return end.len == 1 && end.ptr[0] == 0;
}

/* Whether `key` is in the range that begin and end mean (see store_range). */
bool store_range_has(struct slice begin, struct slice end, struct slice key);

struct store_range_result {
    int64_t count; /* keys in the range, before filters and limit */
    bool more;
    struct slice next; /* of a part: valid as long as the view; empty: the walk is at its end */
};

struct store_root; /* the engine's */

/*
 * A moment of the store. A brief view (counted = false) is valid inside the current loop turn of an RCU reader and
 * costs nothing; a counted one may be kept over turns and handed to other threads, and must be released.
 */
struct store_view {
    const struct store_root *root;
    int64_t revision;  /* current at that moment */
    int64_t compacted; /* the lowest revision that can be read */
    bool counted;
};

/* ------------------------------------------------------------------------------------------------ changing */

struct store_compare {
    enum {
        STORE_CMP_VERSION,
        STORE_CMP_CREATE,
        STORE_CMP_MOD,
        STORE_CMP_VALUE,
        STORE_CMP_LEASE,
        STORE_CMP_NOTHING, /* is equal */
    } target;
    enum {
        STORE_CMP_EQUAL,
        STORE_CMP_GREATER,
        STORE_CMP_LESS,
        STORE_CMP_NOT_EQUAL,
        STORE_CMP_ANY, /* holds, but of the value of a missing key */
    } test;
    struct slice key, end;
    int64_t number;
    struct slice value;
};

struct store_put {
    struct slice key, value;
    int64_t lease;
    bool want_prev, keep_value, keep_lease;
};

struct store_delete {
    struct slice key, end;
    bool want_prev;
};

struct store_txn;

struct store_op {
    enum { STORE_OP_RANGE, STORE_OP_PUT, STORE_OP_DELETE, STORE_OP_TXN } type;
    union {
        struct store_range range;
        struct store_put put;
        struct store_delete del;
        struct store_txn *txn;
    };
};

struct store_txn {
    struct store_compare *compares;
    struct store_op *success, *failure;
    unsigned n_compares, n_success, n_failure;
};

/* What one operation gave. Key-value pairs live in the request's arena. */
struct store_op_result {
    struct store_kv *kvs; /* a range's, or the previous ones of a put or delete */
    size_t n_kvs;
    int64_t count; /* range: see store_range_result; delete: how many went */
    bool more;
    bool succeeded; /* nested transaction: which branch */
    struct store_op_result *results;
    unsigned n_results;
};

/* Who and why, in words: kept with the commit, and in the notes about what it removed. */
struct store_origin {
    struct slice actor; /* "etcd 10.0.0.7:51334", "user root", "docker" */
    struct slice cause; /* "", or what the change is about */
};

enum store_note_kind {
    STORE_NOTE_CHANGED,   /* a client's write: only ever a commit's (store_commit_why) */
    STORE_NOTE_EXPIRED,   /* removed: its lease was silent for too long */
    STORE_NOTE_REVOKED,   /* … its lease was revoked */
    STORE_NOTE_DELETED,   /* … a client's write */
    STORE_NOTE_FREE = 16, /* from here on: whatever their writers mean */
    STORE_NOTE_KIND_MAX = 255,
};

/* Something that happened. The store itself writes one for every key and every lease that is removed. */
struct store_note {
    unsigned kind;        /* enum store_note_kind */
    int64_t revision;     /* of the change; of the store, where it was none */
    int64_t wall_ms;      /* milliseconds since 1970, UTC */
    int64_t lease;        /* EXPIRED, REVOKED: which */
    int64_t silence_ms;   /* EXPIRED: since its last heartbeat */
    struct slice subject; /* a key; empty: the lease itself. From FREE on: what it is about */
    struct slice actor, cause;
};

/*
 * Asked, on a thread that is an RCU reader, about each key of a lease before a request revokes that or puts another key
 * on it: whoever can take a lease away takes its keys along. False: STORE_FORBIDDEN, and nothing is done.
 */
struct store_guard {
    bool (*allows)(const struct store_guard *guard, struct slice key);
};

struct store_request;
typedef void (*store_done_fn)(struct store_request *request);

/*
 * Owned by the caller, untouched by it from store_submit until `done`, which comes exactly once, on `loop`, perhaps
 * from inside store_submit. What slices point to must stay until then too.
 */
struct store_request {
    /* the caller's */
    enum {
        STORE_TXN,
        STORE_COMPACT,
        STORE_LEASE_GRANT,
        STORE_LEASE_REVOKE,
        STORE_LEASE_INFO, /* left time, and the attached keys in results[0] */
        STORE_LEASE_LIST, /* results[0].kvs[].lease */
        STORE_BACKUP,     /* all there is, with its history, at one revision, in a file */
        STORE_NOTES,      /* appends notes */
        STORE_DOC,        /* makes, changes or removes one document */
    } type;
    struct loop *loop;
    store_done_fn done;
    struct store_origin origin;
    const struct store_guard *guard; /* NULL: none */
    union {
        struct store_txn txn; /* a lone put is a transaction of one operation */
        int64_t compact_revision;
        struct {
            int64_t id, ttl_ms; /* grant: id 0 lets the store pick one */
        } lease;
        struct {
            const struct store_note *all; /* kinds from FREE on; a revision or wall_ms of 0 is filled in by the store */
            unsigned n;
        } notes;
        struct {
            struct slice name, value;
            bool remove;              /* one that is not there: nothing changes, STORE_OK */
            int64_t expected_version; /* 0: it must not be there; -1: whatever it is */
        } doc;
    };
    /* the answer */
    enum store_outcome outcome;
    int64_t revision; /* the store's, after this request */
    bool succeeded;
    struct store_op_result *results;
    unsigned n_results;
    int64_t lease_id, lease_ttl_ms;
    int64_t lease_left_ms; /* -1: there is no such lease */
    int backup_fd;         /* STORE_OK: the caller's to close; has no name, is read from its beginning by pread */
    uint64_t backup_bytes; /* its length */
    int64_t doc_version;   /* what the document has now, with STORE_CONFLICT too; 0: it is not there */
    /* the engine's */
    struct arena arena; /* holds the results; freed by store_request_deinit */
    void *engine;
    struct mail mail;
    struct store_request *next;
};

/* ------------------------------------------------------------------------------------------------ commits */

struct store_event {
    const struct store_kv *kv;   /* version 0: deleted, then only key and mod_revision are set */
    const struct store_kv *prev; /* NULL: the key was not there before */
};

/*
 * All events of one revision, in the order of the operations. Immutable once published. Every revision above 1 has
 * exactly one. Readable as long as the view is that it was got from.
 */
struct store_commit {
    int64_t revision;
    int64_t wall_ms;
    struct store_commit *garbage_next; /* the engine's */
    unsigned n_events;
    unsigned char why_kind, actor_len, cause_len; /* of store_commit_why; the rest of it is behind the events */
    struct store_event events[];
};

/*
 * Who made the commit and why: CHANGED (actor and cause of the request), EXPIRED (lease, silence_ms) or REVOKED (lease,
 * actor, cause); subject empty. Not remembered over a restart: then CHANGED, by nobody. Valid as long as the commit.
 */
void store_commit_why(const struct store_commit *commit, struct store_note *ret_note);

/* Called on the subscriber's loop after new commits were published, at most once per burst. */
struct store_subscriber;
typedef void (*store_news_fn)(struct store_subscriber *subscriber);

struct store_subscriber {
    struct loop *loop;
    store_news_fn on_news;
    bool is_muted; /* see store_mute */
    /* the engine's */
    struct list link;
    struct mail mail;
    _Atomic bool posted;
};

/*
 * On the subscriber's loop: no news for now, so that commits do not wake a loop on which nobody waits for them. Some
 * may still come (the next one is the time to say it again). What was missed is seen in a view taken after unmuting.
 */
static inline void store_mute(struct store_subscriber *subscriber, bool muted)
{
    if (muted && !subscriber->is_muted) {
        /* Who finds that news are posted posts none. When they really are, they come, and reset it. */
        subscriber->is_muted = !atomic_exchange_explicit(&subscriber->posted, true, memory_order_acq_rel);
    } else if (!muted && subscriber->is_muted) {
        (void)atomic_exchange_explicit(&subscriber->posted, false, memory_order_acq_rel);
        subscriber->is_muted = false;
    }
}

/* ------------------------------------------------------------------------------------------------ beside the keys */

/* Slices are valid during the call. false ends the walk. */
typedef bool (*store_note_fn)(void *ctx, const struct store_note *note);

/* A document's version is 1 at first, and one more with each change. As store_note_fn. */
typedef bool (*store_doc_fn)(void *ctx, struct slice name, struct slice value, int64_t version);

/* ------------------------------------------------------------------------------------------------ the engine */

struct store;

/* How much there is. */
struct store_size {
    uint64_t disk_bytes; /* files of the engine */
    uint64_t data_bytes; /* the pairs that exist now */
};

/* Which store this is; made with it, never 0. */
struct store_identity {
    uint64_t cluster_id, member_id;
};

struct store_engine {
    const char *name;
    void (*view)(struct store *store, bool counted, struct store_view *ret_view);
    void (*release)(struct store *store, struct store_view *view);
    int (*range)(struct store *store, const struct store_view *view, const struct store_range *range, store_kv_fn on_kv,
                 void *ctx, struct store_range_result *ret_result);
    void (*submit)(struct store *store, struct store_request *request);
    int64_t (*lease_touch)(struct store *store, int64_t lease, nsec_t now_ns);
    const struct store_commit *(*commit)(struct store *store, const struct store_view *view, int64_t revision);
    void (*subscribe)(struct store *store, struct store_subscriber *subscriber);
    void (*unsubscribe)(struct store *store, struct store_subscriber *subscriber);
    void (*identify)(struct store *store, struct store_identity *ret_identity);
    void (*measure)(struct store *store, struct store_size *ret_size);
    enum store_outcome (*refusal)(struct store *store);
    void (*notes)(struct store *store, store_note_fn fn, void *ctx);
    int (*docs)(struct store *store, struct slice prefix, store_doc_fn fn, void *ctx);
};

struct store {
    const struct store_engine *engine;
};

/* Any thread that is an RCU reader (brief) or any thread (counted). */
static inline void store_view(struct store *store, bool counted, struct store_view *ret_view)
{
    store->engine->view(store, counted, ret_view);
}

static inline void store_release(struct store *store, struct store_view *view)
{
    store->engine->release(store, view);
}

/*
 * STORE_OK, STORE_COMPACTED or STORE_FUTURE_REVISION, -ENOMEM (sorting). A compaction that overtakes a read of an old
 * revision ends it with STORE_COMPACTED after some keys were given: they are then to be thrown away.
 */
static inline int store_range(struct store *store, const struct store_view *view, const struct store_range *range,
                              store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    return store->engine->range(store, view, range, on_kv, ctx, ret_result);
}

/* Any thread that has a loop. */
static inline void store_submit(struct store *store, struct store_request *request)
{
    store->engine->submit(store, request);
}

/* Frees the results. The request may be used again. */
static inline void store_request_deinit(struct store_request *request)
{
    arena_deinit(&request->arena);
    request->results = NULL;
    request->n_results = 0;
}

/*
 * A heartbeat that arrived at now_ns: the granted TTL in ms, or 0 when the lease is dead or was never there. One
 * compare-and-swap; an answered renewal is never followed by an expiry it should have prevented.
 */
static inline int64_t store_lease_touch(struct store *store, int64_t lease, nsec_t now_ns)
{
    return store->engine->lease_touch(store, lease, now_ns);
}

/* The commit that made `revision`; NULL when it is compacted or above the view. */
static inline const struct store_commit *store_commit(struct store *store, const struct store_view *view,
                                                      int64_t revision)
{
    return store->engine->commit(store, view, revision);
}

/* On the subscriber's loop, at any time; unsubscribing delivers what mail of the loop is under way. */
static inline void store_subscribe(struct store *store, struct store_subscriber *subscriber)
{
    store->engine->subscribe(store, subscriber);
}

static inline void store_unsubscribe(struct store *store, struct store_subscriber *subscriber)
{
    store->engine->unsubscribe(store, subscriber);
}

static inline void store_identify(struct store *store, struct store_identity *ret_identity)
{
    store->engine->identify(store, ret_identity);
}

/* Any thread that is an RCU reader. */
static inline void store_measure(struct store *store, struct store_size *ret_size)
{
    store->engine->measure(store, ret_size);
}

/* What every change is answered with at the moment: STORE_OK, or why not. Any thread. */
static inline enum store_outcome store_refusal(struct store *store)
{
    return store->engine->refusal(store);
}

/*
 * All notes that are remembered: first those about removals, oldest first, then the others, oldest first. Each of the
 * two has room of its own and forgets its oldest, so neither can push the other out. Any thread; no lock is held.
 */
static inline void store_notes(struct store *store, store_note_fn fn, void *ctx)
{
    store->engine->notes(store, fn, ctx);
}

/*
 * What is remembered about a key: the notes about its removals, oldest first, then, when it is there and history still
 * has its last change, who made that (subject: the key). On a thread that is an RCU reader.
 */
void store_why(struct store *store, struct slice key, store_note_fn fn, void *ctx);

/*
 * The documents whose names begin with `prefix`, as they were at one moment, in the order of their names. 0, or -errno:
 * then not all of them were given (local: never). On a thread that is an RCU reader.
 */
static inline int store_docs(struct store *store, struct slice prefix, store_doc_fn fn, void *ctx)
{
    return store->engine->docs(store, prefix, fn, ctx);
}
