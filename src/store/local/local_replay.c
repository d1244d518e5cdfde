/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restart: entries of a snapshot and of the log become memory again, by the same calls that made them. What does not
 * fit (a revision out of order, a version that is not the next one, an unknown lease) is damage that checksums cannot
 * see: it is refused with words.
 */
#include "store/local/local_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static int close_commit(struct replay *replay, struct err *err)
{
    struct local *local = replay->local;
    if (!replay->in_commit)
        return 0;
    replay->in_commit = false;
    const struct store_commit *commit = mvcc_commit(local->mvcc, replay->wall_ms);
    if (!commit)
        return err_set(err, -EBADMSG, "revision %" PRId64 " has no changes", replay->revision);
    local_link_leases(local, commit);
    return 0;
}

static int begin_commit(struct replay *replay, const struct record_entry *entry, struct err *err)
{
    int64_t next = mvcc_revision(replay->local->mvcc) + 1;
    if (entry->commit.revision != next || replay->newest_base >= next)
        return err_set(err, -EBADMSG, "revision %" PRId64 " where %" PRId64 " must come", entry->commit.revision, next);
    mvcc_begin(replay->local->mvcc, false, NULL);
    replay->in_commit = true;
    replay->revision = entry->commit.revision;
    replay->wall_ms = entry->commit.wall_ms;
    return 0;
}

static int replay_put(struct replay *replay, const struct store_kv *kv, struct err *err)
{
    const struct store_kv *prev = NULL;
    int result = -EEXIST;
    if (replay->in_commit)
        result = mvcc_put(replay->local->mvcc, kv->key, kv->value, kv->lease, &prev);
    if (result == -EEXIST || (result == 0 && kv->version != (prev ? prev->version : 0) + 1))
        return err_set(err, -EBADMSG, "a put at revision %" PRId64 " does not follow from what was before",
                       replay->revision);
    return result < 0 ? err_set_errno(err, result, "reading the store") : 0;
}

static int replay_delete(struct replay *replay, struct slice key, struct err *err)
{
    const struct store_kv *prev = mvcc_get(replay->local->mvcc, key);
    if (!replay->in_commit || !prev || prev->mod_revision == replay->revision)
        return err_set(err, -EBADMSG, "a deletion at revision %" PRId64 " of a key that was not there",
                       replay->revision);
    int result = mvcc_delete(replay->local->mvcc, key, &prev);
    return result < 0 ? err_set_errno(err, result, "reading the store") : 0;
}

static int replay_grant(struct local *local, const struct record_entry *entry, struct err *err)
{
    struct lease *lease;
    int result = STORE_NO_LEASE;
    if (entry->lease.id != 0 && entry->lease.ttl_ms > 0)
        result = lease_grant(local->leases, entry->lease.id, entry->lease.ttl_ms, 0, &lease);
    if (result < 0)
        return err_set_errno(err, result, "reading the store");
    if (result != STORE_OK)
        return err_set(err, -EBADMSG, "lease %" PRIx64 " was granted twice or is not possible", entry->lease.id);
    return 0;
}

static int replay_gone(struct local *local, int64_t id, struct err *err)
{
    struct lease *lease = lease_find(local->leases, id);
    struct slice *keys = NULL;
    size_t n_keys = 0;
    if (lease && lease_keys(lease, &keys, &n_keys) < 0)
        return err_set_errno(err, -ENOMEM, "reading the store");
    free(keys);
    if (!lease || n_keys > 0)
        return err_set(err, -EBADMSG, "lease %" PRIx64 " ended that was not there or still had keys", id);
    lease_kill(lease);
    lease_remove(local->leases, lease);
    return 0;
}

/* Nothing but keys of the snapshot so far. */
static bool is_before_revisions(const struct mvcc *mvcc)
{
    return mvcc_revision(mvcc) == 1 && mvcc_compacted(mvcc) == 0;
}

static int replay_base(struct replay *replay, const struct store_kv *kv, struct err *err)
{
    struct local *local = replay->local;
    bool comes_first = replay->is_snapshot && is_before_revisions(local->mvcc);
    if (!comes_first || kv->version < 1 || kv->create_revision < 2 || kv->mod_revision < kv->create_revision)
        return err_set(err, -EBADMSG, "a key as it was at revision %" PRId64 " that is not possible", kv->mod_revision);
    if (kv->mod_revision > replay->newest_base)
        replay->newest_base = kv->mod_revision;
    int result = mvcc_restore_kv(local->mvcc, kv);
    if (result < 0)
        return err_set_errno(err, result == -EEXIST ? -EBADMSG : result, "a key of the snapshot");
    struct lease *lease = kv->lease ? lease_find(local->leases, kv->lease) : NULL;
    if (lease)
        lease_attach(lease, version_of(mvcc_get(local->mvcc, kv->key)));
    return 0;
}

static int replay_left(struct local *local, const struct record_entry *entry)
{
    struct lease *lease = lease_find(local->leases, entry->lease.id);
    int64_t left_ms = entry->lease.left_ms > 0 ? entry->lease.left_ms : 0;
    if (!lease || lease_ttl_ms(lease) <= LOCAL_FULL_TTL_MS)
        return 0;
    /* A heartbeat may have been a moment ahead of the clock that the checkpoint was made by. */
    lease_set_left(lease, left_ms < lease_ttl_ms(lease) ? left_ms : lease_ttl_ms(lease));
    return 0;
}

static int replay_compact(struct replay *replay, int64_t revision, struct err *err)
{
    struct local *local = replay->local;
    if (replay->is_snapshot) {
        bool is_first = is_before_revisions(local->mvcc) && revision >= 1 && revision >= replay->newest_base;
        int result = is_first ? mvcc_restore_revision(local->mvcc, revision) : -EBADMSG;
        return result < 0 ? err_set_errno(err, result, "the revision of the snapshot's keys") : 0;
    }
    if (revision <= mvcc_compacted(local->mvcc) || revision > mvcc_revision(local->mvcc))
        return err_set(err, -EBADMSG, "a compaction to revision %" PRId64 " that is not possible", revision);
    mvcc_compact(local->mvcc, revision);
    mvcc_compact_step(local->mvcc, SIZE_MAX); /* what is left for want of memory, the keeper trims */
    return 0;
}

static int replay_doc(struct replay *replay, const struct store_kv *doc, struct err *err)
{
    struct docs *docs = replay->local->docs;
    const struct store_kv *prev = docs_get(docs, doc->key), *made;
    int64_t before = prev ? prev->version : 0;
    bool follows = replay->is_snapshot ? !prev && doc->version > 0 : doc->version == before + 1;
    if (slice_is_empty(doc->key) || !follows)
        return err_set(err, -EBADMSG, "version %" PRId64 " of a document after version %" PRId64, doc->version, before);
    int result = replay->is_snapshot ? docs_restore(docs, doc) : docs_put(docs, doc->key, doc->value, &made);
    return result < 0 ? err_set_errno(err, result, "reading the store") : 0;
}

static int replay_doc_gone(struct replay *replay, struct slice name, struct err *err)
{
    struct docs *docs = replay->local->docs;
    const struct store_kv *made;
    if (replay->is_snapshot || !docs_get(docs, name))
        return err_set(err, -EBADMSG, "the removal of a document that was not there");
    int result = docs_remove(docs, name, &made);
    return result < 0 ? err_set_errno(err, result, "reading the store") : 0;
}

int local_replay_end(struct replay *replay, struct err *err)
{
    if (replay->newest_base > mvcc_revision(replay->local->mvcc))
        return err_set(err, -EBADMSG, "the revision of the snapshot's keys is missing");
    return close_commit(replay, err);
}

int local_replay_entry(struct replay *replay, const struct record_entry *entry, struct err *err)
{
    struct local *local = replay->local;
    if (entry->type == RECORD_PUT)
        return replay_put(replay, &entry->kv, err);
    if (entry->type == RECORD_DELETE)
        return replay_delete(replay, entry->kv.key, err);
    if (entry->type == RECORD_NOTE) { /* beside the changes, no part of them */
        notes_add(local->notes, &entry->note);
        return 0;
    }

    int result = close_commit(replay, err);
    if (result < 0)
        return result;
    switch (entry->type) {
    case RECORD_COMMIT:
        return begin_commit(replay, entry, err);
    case RECORD_LEASE:
        return replay_grant(local, entry, err);
    case RECORD_LEASE_LEFT:
        return replay_left(local, entry);
    case RECORD_LEASE_GONE:
        return replay_gone(local, entry->lease.id, err);
    case RECORD_COMPACT:
        return replay_compact(replay, entry->compact_revision, err);
    case RECORD_BASE:
        return replay_base(replay, &entry->kv, err);
    case RECORD_DOC:
        return replay_doc(replay, &entry->kv, err);
    case RECORD_DOC_GONE:
        return replay_doc_gone(replay, entry->kv.key, err);
    case RECORD_STORE:
        local->cluster_id = entry->store.cluster_id;
        local->member_id = entry->store.member_id;
        return 0;
    default:
        return err_set(err, -EBADMSG, "an entry of unknown type %d", (int)entry->type);
    }
}
