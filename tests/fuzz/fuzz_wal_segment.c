/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the only segment of a log. It is refused, or it opens; then what was found in it is found again, and so
 * is what is appended. The first byte says whether the checksums are put right first, and whether the log is repaired.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/le.h"
#include "store/local/wal.h"
#include "store/local/wal_segment.h"
#include "support/sim_disk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PUT_RIGHT = 1, REPAIR = 2 };

struct found {
    uint64_t n;
    uint32_t crc; /* of all payloads */
};

static int add_record(void *ctx, uint64_t number, struct slice bytes, struct err *err)
{
    struct found *found = ctx;
    (void)number;
    (void)err;
    found->n++;
    found->crc = crc32c(found->crc, bytes);
    return 0;
}

static void put_records_right(char *bytes, size_t size, uint32_t salt)
{
    for (size_t at = SEGMENT_HEAD_BYTES; size - at >= SEGMENT_RECORD_HEAD_BYTES;) {
        char *head = bytes + at;
        struct segment_record record = {
            .length = get_le32(head + 8),
            .kind = (enum segment_record_kind)get_le32(head + 12),
            .number = get_le64(head + 16),
            .durable_end = get_le64(head + 24),
        };
        uint64_t record_bytes = segment_record_bytes(record.length);
        if (record_bytes <= size - at)
            record.payload_crc = crc32c(salt, slice_from(head + SEGMENT_RECORD_HEAD_BYTES, record.length));
        segment_record_write(salt, &record, head);
        if (record_bytes > size - at)
            break;
        at += record_bytes;
    }
}

static void put_right(char *bytes, size_t size)
{
    if (size < SEGMENT_HEAD_BYTES)
        return;
    struct segment_head head = {1, get_le64(bytes + 24), get_le64(bytes + 32), get_le64(bytes + 40)};
    segment_head_write(&head, bytes);
    put_records_right(bytes, size, segment_salt(&head));
}

static bool open_log(struct sim_disk *disk, const struct wal_options *options, struct wal **ret_wal,
                     struct found *ret_found)
{
    struct err err;
    uint64_t torn_bytes;
    *ret_found = (struct found){0};
    return wal_open(sim_disk_files(disk), options, 1, add_record, ret_found, ret_wal, &torn_bytes, &err) == 0;
}

static void use(struct sim_disk *disk, bool repair)
{
    struct wal_options options = {.segment_bytes = 64 * 1024, .repair = repair};
    struct wal *wal;
    struct found found, again;
    if (!open_log(disk, &options, &wal, &found))
        return;
    struct iovec iov = {(char[]){"more"}, 4};
    bool is_appended = wal_append(wal, &iov, 1, NULL) == 0;
    wal_close(wal);
    ASSERT(is_appended);
    options.repair = false;
    bool is_open = open_log(disk, &options, &wal, &again);
    ASSERT(is_open && again.n == found.n + 1 && again.crc == crc32c(found.crc, SLICE_LIT("more")));
    wal_close(wal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *bytes = malloc(size);
    if (!bytes)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & PUT_RIGHT)
        put_right(bytes, size - 1);
    struct sim_disk *disk = sim_disk_new(1);
    sim_disk_put(disk, "0000000000000001.log", slice_from(bytes, size - 1));
    free(bytes);
    use(disk, data[0] & REPAIR);
    sim_disk_free(disk);
    return 0;
}
