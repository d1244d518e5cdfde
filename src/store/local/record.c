/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries to bytes and back. Writing and reading an entry stand side by side, field for field, in the order of
 * docs/store-format.md. Numbers are LEB128 varints; signed ones are zigzag-coded, since ids of leases may be negative.
 */
#include "store/local/record.h"

#include <errno.h>

static void write_u64(struct buf *buf, uint64_t value)
{
    char bytes[10];
    size_t n = 0;
    while (value >= 0x80) {
        bytes[n++] = (char)(value | 0x80);
        value >>= 7;
    }
    bytes[n++] = (char)value;
    buf_append(buf, slice_from(bytes, n));
}

static void write_i64(struct buf *buf, int64_t value)
{
    write_u64(buf, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static void write_bytes(struct buf *buf, struct slice bytes)
{
    write_u64(buf, bytes.len);
    buf_append(buf, bytes);
}

static bool read_u64(struct slice *from, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < from->len && i < 10; i++) {
        uint64_t seven = (unsigned char)from->ptr[i] & 0x7f;
        if (i == 9 && seven > 1)
            return false;
        value |= seven << (7 * i);
        if (!((unsigned char)from->ptr[i] & 0x80)) {
            *from = slice_skip(*from, i + 1);
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool read_i64(struct slice *from, int64_t *ret_value)
{
    uint64_t value;
    if (!read_u64(from, &value))
        return false;
    *ret_value = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    return true;
}

static bool read_bytes(struct slice *from, struct slice *ret_bytes)
{
    uint64_t len;
    if (!read_u64(from, &len) || len > from->len)
        return false;
    *ret_bytes = slice_from(from->ptr, len);
    *from = slice_skip(*from, len);
    return true;
}

static void write_note(struct buf *buf, const struct store_note *note)
{
    buf_append_char(buf, (char)note->kind);
    write_i64(buf, note->revision);
    write_i64(buf, note->wall_ms);
    write_i64(buf, note->lease);
    write_i64(buf, note->silence_ms);
    write_bytes(buf, note->subject);
    write_bytes(buf, note->actor);
    write_bytes(buf, note->cause);
}

static bool read_note(struct slice *from, struct store_note *ret_note)
{
    unsigned kind = from->len ? (unsigned char)from->ptr[0] : STORE_NOTE_CHANGED;
    if (kind == STORE_NOTE_CHANGED || (kind > STORE_NOTE_DELETED && kind < STORE_NOTE_FREE))
        return false;
    ret_note->kind = kind;
    *from = slice_skip(*from, 1);
    return read_i64(from, &ret_note->revision) && read_i64(from, &ret_note->wall_ms) &&
           read_i64(from, &ret_note->lease) && read_i64(from, &ret_note->silence_ms) &&
           read_bytes(from, &ret_note->subject) && read_bytes(from, &ret_note->actor) &&
           read_bytes(from, &ret_note->cause);
}

static void write_kv(struct buf *buf, const struct store_kv *kv)
{
    write_bytes(buf, kv->key);
    write_bytes(buf, kv->value);
    write_i64(buf, kv->lease);
    write_i64(buf, kv->create_revision);
    write_i64(buf, kv->version);
}

static bool read_kv(struct slice *from, struct store_kv *ret_kv)
{
    return read_bytes(from, &ret_kv->key) && read_bytes(from, &ret_kv->value) && read_i64(from, &ret_kv->lease) &&
           read_i64(from, &ret_kv->create_revision) && read_i64(from, &ret_kv->version);
}

void record_write(struct buf *buf, const struct record_entry *entry)
{
    buf_append_char(buf, (char)entry->type);
    switch (entry->type) {
    case RECORD_COMMIT:
        write_i64(buf, entry->commit.revision);
        write_i64(buf, entry->commit.wall_ms);
        break;
    case RECORD_PUT:
        write_kv(buf, &entry->kv);
        break;
    case RECORD_BASE:
        write_kv(buf, &entry->kv);
        write_i64(buf, entry->kv.mod_revision);
        break;
    case RECORD_DELETE:
        write_bytes(buf, entry->kv.key);
        break;
    case RECORD_LEASE:
        write_i64(buf, entry->lease.id);
        write_i64(buf, entry->lease.ttl_ms);
        break;
    case RECORD_LEASE_LEFT:
        write_i64(buf, entry->lease.id);
        write_i64(buf, entry->lease.left_ms);
        break;
    case RECORD_LEASE_GONE:
        write_i64(buf, entry->lease.id);
        break;
    case RECORD_COMPACT:
        write_i64(buf, entry->compact_revision);
        break;
    case RECORD_NOTE:
        write_note(buf, &entry->note);
        break;
    case RECORD_STORE:
        write_u64(buf, entry->store.cluster_id);
        write_u64(buf, entry->store.member_id);
        break;
    case RECORD_DOC:
        write_bytes(buf, entry->kv.key);
        write_bytes(buf, entry->kv.value);
        write_i64(buf, entry->kv.version);
        break;
    case RECORD_DOC_GONE:
        write_bytes(buf, entry->kv.key);
        break;
    }
}

int record_read(struct slice *bytes, struct record_entry *ret_entry)
{
    struct slice from = *bytes;
    if (from.len == 0)
        return -EBADMSG;
    *ret_entry = (struct record_entry){.type = (enum record_type)(unsigned char)from.ptr[0]};
    from = slice_skip(from, 1);

    bool whole = false;
    switch (ret_entry->type) {
    case RECORD_COMMIT:
        whole = read_i64(&from, &ret_entry->commit.revision) && read_i64(&from, &ret_entry->commit.wall_ms);
        break;
    case RECORD_PUT:
        whole = read_kv(&from, &ret_entry->kv);
        break;
    case RECORD_BASE:
        whole = read_kv(&from, &ret_entry->kv) && read_i64(&from, &ret_entry->kv.mod_revision);
        break;
    case RECORD_DELETE:
        whole = read_bytes(&from, &ret_entry->kv.key);
        break;
    case RECORD_LEASE:
        whole = read_i64(&from, &ret_entry->lease.id) && read_i64(&from, &ret_entry->lease.ttl_ms);
        break;
    case RECORD_LEASE_LEFT:
        whole = read_i64(&from, &ret_entry->lease.id) && read_i64(&from, &ret_entry->lease.left_ms);
        break;
    case RECORD_LEASE_GONE:
        whole = read_i64(&from, &ret_entry->lease.id);
        break;
    case RECORD_COMPACT:
        whole = read_i64(&from, &ret_entry->compact_revision);
        break;
    case RECORD_NOTE:
        whole = read_note(&from, &ret_entry->note);
        break;
    case RECORD_STORE:
        whole = read_u64(&from, &ret_entry->store.cluster_id) && read_u64(&from, &ret_entry->store.member_id);
        break;
    case RECORD_DOC:
        whole = read_bytes(&from, &ret_entry->kv.key) && read_bytes(&from, &ret_entry->kv.value) &&
                read_i64(&from, &ret_entry->kv.version);
        break;
    case RECORD_DOC_GONE:
        whole = read_bytes(&from, &ret_entry->kv.key);
        break;
    }
    if (!whole)
        return -EBADMSG;
    *bytes = from;
    return 0;
}
