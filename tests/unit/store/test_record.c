/* SPDX-License-Identifier: Apache-2.0 */
#include "store/local/record.h"
#include "support/test.h"

#include <errno.h>

static char random_text[300];

static struct slice some_bytes(uint64_t *seed)
{
    return slice_from(random_text, test_random(seed) % sizeof(random_text));
}

/* Numbers of every length, and of both signs. */
static int64_t some_number(uint64_t *seed)
{
    int64_t number = (int64_t)(test_random(seed) >> (test_random(seed) % 64));
    return test_random(seed) % 2 ? number : -number;
}

static unsigned some_note_kind(uint64_t *seed)
{
    bool is_free = test_random(seed) % 2;
    return is_free ? STORE_NOTE_FREE + (unsigned)(test_random(seed) % (STORE_NOTE_KIND_MAX - STORE_NOTE_FREE + 1))
                   : STORE_NOTE_EXPIRED + (unsigned)(test_random(seed) % STORE_NOTE_DELETED);
}

static struct record_entry some_entry(uint64_t *seed, enum record_type type)
{
    struct record_entry entry = {.type = type};
    switch (type) {
    case RECORD_COMMIT:
        entry.commit.revision = some_number(seed);
        entry.commit.wall_ms = some_number(seed);
        break;
    case RECORD_PUT:
    case RECORD_BASE:
        entry.kv = (struct store_kv){.key = some_bytes(seed),
                                     .value = some_bytes(seed),
                                     .create_revision = some_number(seed),
                                     .mod_revision = type == RECORD_BASE ? some_number(seed) : 0,
                                     .version = some_number(seed),
                                     .lease = some_number(seed)};
        break;
    case RECORD_DELETE:
        entry.kv.key = some_bytes(seed);
        break;
    case RECORD_LEASE:
        entry.lease.id = some_number(seed);
        entry.lease.ttl_ms = some_number(seed);
        break;
    case RECORD_LEASE_LEFT:
        entry.lease.id = some_number(seed);
        entry.lease.left_ms = some_number(seed);
        break;
    case RECORD_LEASE_GONE:
        entry.lease.id = some_number(seed);
        break;
    case RECORD_COMPACT:
        entry.compact_revision = some_number(seed);
        break;
    case RECORD_NOTE:
        entry.note = (struct store_note){.kind = some_note_kind(seed),
                                         .revision = some_number(seed),
                                         .wall_ms = some_number(seed),
                                         .lease = some_number(seed),
                                         .silence_ms = some_number(seed),
                                         .subject = some_bytes(seed),
                                         .actor = some_bytes(seed),
                                         .cause = some_bytes(seed)};
        break;
    case RECORD_STORE:
        entry.store.cluster_id = test_random(seed);
        entry.store.member_id = (uint64_t)some_number(seed);
        break;
    case RECORD_DOC:
        entry.kv = (struct store_kv){.key = some_bytes(seed), .value = some_bytes(seed), .version = some_number(seed)};
        break;
    case RECORD_DOC_GONE:
        entry.kv.key = some_bytes(seed);
        break;
    }
    return entry;
}

static void expect_same_kv(const struct store_kv *a, const struct store_kv *b)
{
    expect_bytes(a->key, b->key);
    expect_bytes(a->value, b->value);
    expect_int(a->create_revision, b->create_revision);
    expect_int(a->mod_revision, b->mod_revision);
    expect_int(a->version, b->version);
    expect_int(a->lease, b->lease);
}

static void expect_same(const struct record_entry *a, const struct record_entry *b)
{
    expect_int(a->type, b->type);
    switch (a->type) {
    case RECORD_COMMIT:
        expect_int(a->commit.revision, b->commit.revision);
        expect_int(a->commit.wall_ms, b->commit.wall_ms);
        break;
    case RECORD_PUT:
    case RECORD_BASE:
    case RECORD_DELETE:
    case RECORD_DOC:
    case RECORD_DOC_GONE:
        expect_same_kv(&a->kv, &b->kv);
        break;
    case RECORD_LEASE:
    case RECORD_LEASE_LEFT:
    case RECORD_LEASE_GONE:
        expect_int(a->lease.id, b->lease.id);
        expect_int(a->lease.ttl_ms, b->lease.ttl_ms);
        expect_int(a->lease.left_ms, b->lease.left_ms);
        break;
    case RECORD_COMPACT:
        expect_int(a->compact_revision, b->compact_revision);
        break;
    case RECORD_NOTE:
        expect_int(a->note.kind, b->note.kind);
        expect_int(a->note.revision, b->note.revision);
        expect_int(a->note.wall_ms, b->note.wall_ms);
        expect_int(a->note.lease, b->note.lease);
        expect_int(a->note.silence_ms, b->note.silence_ms);
        expect_bytes(a->note.subject, b->note.subject);
        expect_bytes(a->note.actor, b->note.actor);
        expect_bytes(a->note.cause, b->note.cause);
        break;
    case RECORD_STORE:
        expect_int(a->store.cluster_id, b->store.cluster_id);
        expect_int(a->store.member_id, b->store.member_id);
        break;
    }
}

static void entries_come_back_as_they_were_written(void)
{
    uint64_t seed = test_seed();
    for (size_t i = 0; i < sizeof(random_text); i++)
        random_text[i] = (char)test_random(&seed);
    for (int round = 0; round < 2000; round++) {
        struct record_entry entries[10];
        struct buf buf = {0};
        for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
            entries[i] = some_entry(&seed, (enum record_type)(1 + test_random(&seed) % RECORD_DOC_GONE));
            record_write(&buf, &entries[i]);
        }
        expect_int(buf_error(&buf), 0);
        struct slice rest = buf_slice(&buf);
        for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
            struct record_entry entry;
            expect_int(record_read(&rest, &entry), 0);
            expect_same(&entry, &entries[i]);
        }
        expect_int(rest.len, 0);
        buf_deinit(&buf);
    }
}

static void the_bytes_are_those_of_the_document(void)
{
    struct buf buf = {0};
    record_write(&buf, &(struct record_entry){.type = RECORD_COMMIT, .commit = {.revision = 2, .wall_ms = 1000}});
    record_write(
        &buf,
        &(struct record_entry){
            .type = RECORD_PUT,
            .kv = {.key = SLICE_LIT("k"), .value = SLICE_LIT("val"), .lease = -1, .create_revision = 2, .version = 1}});
    record_write(&buf, &(struct record_entry){.type = RECORD_STORE, .store = {.cluster_id = 300, .member_id = 1}});
    record_write(&buf, &(struct record_entry){.type = RECORD_NOTE,
                                              .note = {.kind = STORE_NOTE_EXPIRED,
                                                       .revision = 2,
                                                       .wall_ms = 1000,
                                                       .lease = 7,
                                                       .silence_ms = 5,
                                                       .subject = SLICE_LIT("k"),
                                                       .cause = SLICE_LIT("?")}});
    record_write(&buf, &(struct record_entry){.type = RECORD_DOC,
                                              .kv = {.key = SLICE_LIT("n"), .value = SLICE_LIT("va"), .version = 3}});
    record_write(&buf, &(struct record_entry){.type = RECORD_DOC_GONE, .kv.key = SLICE_LIT("n")});
    expect_bytes(buf_slice(&buf), SLICE_LIT("\x01\x04\xd0\x0f"
                                            "\x02\x01k\x03val\x01\x04\x02"
                                            "\x09\xac\x02\x01"
                                            "\x08\x01\x04\xd0\x0f\x0e\x0a\x01k\x00\x01?"
                                            "\x0b\x01n\x02va\x06"
                                            "\x0c\x01n"));
    buf_deinit(&buf);
}

static void every_prefix_is_refused(void)
{
    uint64_t seed = test_seed();
    for (int round = 0; round < 300; round++) {
        struct record_entry entry = some_entry(&seed, (enum record_type)(1 + test_random(&seed) % RECORD_DOC_GONE));
        struct buf buf = {0};
        record_write(&buf, &entry);
        for (size_t len = 0; len < buf.len; len++) {
            struct slice rest = slice_from(buf.ptr, len);
            expect_int(record_read(&rest, &entry), -EBADMSG);
            expect_int(rest.len, len);
        }
        buf_deinit(&buf);
    }
}

static void expect_refused(struct slice bytes)
{
    struct record_entry entry;
    expect_int(record_read(&bytes, &entry), -EBADMSG);
}

static void what_was_never_written_is_refused(void)
{
    expect_refused(SLICE_LIT(""));
    expect_refused(SLICE_LIT("\x00\x01\x01"));
    expect_refused(SLICE_LIT("\x0d\x01\x01"));
    expect_refused(SLICE_LIT("\xff\x01\x01"));
    /* A note of no known kind. */
    expect_refused(SLICE_LIT("\x08\x00\0\0\0\0\0\0\0"));
    expect_refused(SLICE_LIT("\x08\x04\0\0\0\0\0\0\0"));
    expect_refused(SLICE_LIT("\x08\x0f\0\0\0\0\0\0\0"));
    /* A number of more than 64 bits, a key longer than the bytes, and as long as memory. */
    expect_refused(SLICE_LIT("\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    expect_refused(SLICE_LIT("\x07\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
    expect_refused(SLICE_LIT("\x03\x05key"));
    expect_refused(SLICE_LIT("\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01key"));
}

static const struct test_case cases[] = {
    {"entries come back as they were written", entries_come_back_as_they_were_written},
    {"the bytes are those of the document", the_bytes_are_those_of_the_document},
    {"every prefix of an entry is refused", every_prefix_is_refused},
    {"what was never written is refused", what_was_never_written_is_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
