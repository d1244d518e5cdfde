/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and reading stand side by side; the offsets are those of docs/store-format.md. The frames' checksums begin
 * with that of the head, which holds a random number, so no frame of one snapshot passes for one of another.
 */
#include "store/local/snapshot_format.h"

#include "base/crc32c.h"
#include "base/le.h"

#include <errno.h>

#define MAGIC "muster-s"

enum {
    HEAD_VERSION = 8,
    HEAD_NEXT_RECORD = 16,
    HEAD_REVISION = 24,
    HEAD_COMPACTED = 32,
    HEAD_WALL_MS = 40,
    HEAD_RANDOM = 48,
    HEAD_CRC = 60,
};

enum {
    FRAME_CRC = 0,
    FRAME_LENGTH = 4,
    FRAME_KIND = 8,
    FRAME_N_ENTRIES = 12,
    FRAME_INDEX = 16,
};

uint32_t snapshot_head_write(const struct snapshot_head *head, uint64_t random, char ret_bytes[SNAPSHOT_HEAD_BYTES])
{
    memset(ret_bytes, 0, SNAPSHOT_HEAD_BYTES);
    memcpy(ret_bytes, MAGIC, strlen(MAGIC));
    put_le32(ret_bytes + HEAD_VERSION, SNAPSHOT_VERSION);
    put_le64(ret_bytes + HEAD_NEXT_RECORD, head->next_record);
    put_le64(ret_bytes + HEAD_REVISION, (uint64_t)head->revision);
    put_le64(ret_bytes + HEAD_COMPACTED, (uint64_t)head->compacted);
    put_le64(ret_bytes + HEAD_WALL_MS, (uint64_t)head->wall_ms);
    put_le64(ret_bytes + HEAD_RANDOM, random);
    uint32_t crc = crc32c(0, slice_from(ret_bytes, HEAD_CRC));
    put_le32(ret_bytes + HEAD_CRC, crc);
    return crc;
}

int snapshot_head_read(const char bytes[SNAPSHOT_HEAD_BYTES], struct snapshot_head *ret_head, uint32_t *ret_salt)
{
    uint32_t crc = get_le32(bytes + HEAD_CRC);
    if (memcmp(bytes, MAGIC, strlen(MAGIC)) != 0 || crc != crc32c(0, slice_from(bytes, HEAD_CRC)))
        return -EBADMSG;
    uint32_t version = get_le32(bytes + HEAD_VERSION);
    if (version < SNAPSHOT_VERSION_OLDEST || version > SNAPSHOT_VERSION)
        return -ENOTSUP;
    *ret_head = (struct snapshot_head){
        .next_record = get_le64(bytes + HEAD_NEXT_RECORD),
        .revision = (int64_t)get_le64(bytes + HEAD_REVISION),
        .compacted = (int64_t)get_le64(bytes + HEAD_COMPACTED),
        .wall_ms = (int64_t)get_le64(bytes + HEAD_WALL_MS),
    };
    *ret_salt = crc;
    return 0;
}

uint32_t snapshot_frame_crc(uint32_t salt, const char bytes[SNAPSHOT_FRAME_HEAD_BYTES], struct slice payload)
{
    uint32_t crc = crc32c(salt, slice_from(bytes + FRAME_LENGTH, SNAPSHOT_FRAME_HEAD_BYTES - FRAME_LENGTH));
    return crc32c(crc, payload);
}

void snapshot_frame_write(uint32_t salt, const struct snapshot_frame *frame, struct slice payload,
                          char ret_bytes[SNAPSHOT_FRAME_HEAD_BYTES])
{
    put_le32(ret_bytes + FRAME_LENGTH, frame->length);
    put_le32(ret_bytes + FRAME_KIND, frame->kind);
    put_le32(ret_bytes + FRAME_N_ENTRIES, frame->n_entries);
    put_le64(ret_bytes + FRAME_INDEX, frame->index);
    put_le32(ret_bytes + FRAME_CRC, snapshot_frame_crc(salt, ret_bytes, payload));
}

bool snapshot_frame_read(const char bytes[SNAPSHOT_FRAME_HEAD_BYTES], struct snapshot_frame *ret_frame)
{
    uint32_t kind = get_le32(bytes + FRAME_KIND), length = get_le32(bytes + FRAME_LENGTH);
    if ((kind != SNAPSHOT_ENTRIES && kind != SNAPSHOT_END) || length > SNAPSHOT_FRAME_BYTES_MAX ||
        (kind == SNAPSHOT_END && length != SNAPSHOT_END_BYTES))
        return false;
    *ret_frame = (struct snapshot_frame){
        .kind = (enum snapshot_frame_kind)kind,
        .length = length,
        .n_entries = get_le32(bytes + FRAME_N_ENTRIES),
        .index = get_le64(bytes + FRAME_INDEX),
        .crc = get_le32(bytes + FRAME_CRC),
    };
    return true;
}

void snapshot_end_write(uint64_t n_entries, uint64_t n_frames, char ret_bytes[SNAPSHOT_END_BYTES])
{
    put_le64(ret_bytes, n_entries);
    put_le64(ret_bytes + 8, n_frames);
}

void snapshot_end_read(const char bytes[SNAPSHOT_END_BYTES], uint64_t *ret_entries, uint64_t *ret_frames)
{
    *ret_entries = get_le64(bytes);
    *ret_frames = get_le64(bytes + 8);
}
