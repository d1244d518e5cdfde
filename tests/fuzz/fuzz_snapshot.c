/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the only snapshot of a store: refused, or all of it is given. The first byte says whether the checksums
 * are put right first.
 */
#include "base/assert.h"
#include "base/le.h"
#include "store/local/snapshot_format.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int write_again(void *ctx, const struct record_entry *entry, struct err *err)
{
    (void)err;
    struct buf *buf = ctx;
    buf_reset(buf);
    record_write(buf, entry);
    return buf_error(buf);
}

static void put_right(char *bytes, size_t size)
{
    if (size < SNAPSHOT_HEAD_BYTES)
        return;
    struct snapshot_head head = {get_le64(bytes + 16), (int64_t)get_le64(bytes + 24), (int64_t)get_le64(bytes + 32),
                                 (int64_t)get_le64(bytes + 40)};
    uint32_t salt = snapshot_head_write(&head, get_le64(bytes + 48), bytes);
    for (size_t at = SNAPSHOT_HEAD_BYTES; size - at >= SNAPSHOT_FRAME_HEAD_BYTES;) {
        struct snapshot_frame frame;
        char *frame_head = bytes + at;
        at += SNAPSHOT_FRAME_HEAD_BYTES;
        if (!snapshot_frame_read(frame_head, &frame) || frame.length > size - at)
            return;
        snapshot_frame_write(salt, &frame, slice_from(bytes + at, frame.length), frame_head);
        at += frame.length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *bytes = malloc(size);
    if (!bytes)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        put_right(bytes, size - 1);
    struct sim_disk *disk = sim_disk_new(1);
    sim_disk_put(disk, "0000000000000001.snapshot", slice_from(bytes, size - 1));
    free(bytes);

    struct buf buf = {0};
    struct snapshot_head head;
    unsigned n_skipped;
    int result = snapshot_load(sim_disk_files(disk), write_again, &buf, &head, &n_skipped, NULL);
    ASSERT(result == 0 || result == -EBADMSG || result == -ENOTSUP);
    buf_deinit(&buf);
    sim_disk_free(disk);
    return 0;
}
