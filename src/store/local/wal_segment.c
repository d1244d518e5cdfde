/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and reading of heads stand side by side; the offsets are those of docs/store-format.md. A head's checksum
 * covers all of it, reserved bytes too, so a reader need not wonder about them.
 */
#include "store/local/wal_segment.h"

#include "base/crc32c.h"
#include "base/le.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define MAGIC "muster-l"

enum {
    HEAD_VERSION = 8,
    HEAD_SEQUENCE = 16,
    HEAD_RANDOM = 24,
    HEAD_FIRST_NUMBER = 32,
    HEAD_BEFORE_END = 40,
    HEAD_CRC = 60,
};

enum {
    RECORD_CRC = 0,
    RECORD_PAYLOAD_CRC = 4,
    RECORD_LENGTH = 8,
    RECORD_KIND = 12,
    RECORD_NUMBER = 16,
    RECORD_DURABLE_END = 24,
};

void segment_head_write(const struct segment_head *head, char ret_bytes[SEGMENT_HEAD_BYTES])
{
    memset(ret_bytes, 0, SEGMENT_HEAD_BYTES);
    memcpy(ret_bytes, MAGIC, strlen(MAGIC));
    put_le32(ret_bytes + HEAD_VERSION, SEGMENT_VERSION);
    put_le64(ret_bytes + HEAD_SEQUENCE, head->sequence);
    put_le64(ret_bytes + HEAD_RANDOM, head->random);
    put_le64(ret_bytes + HEAD_FIRST_NUMBER, head->first_number);
    put_le64(ret_bytes + HEAD_BEFORE_END, head->before_end);
    put_le32(ret_bytes + HEAD_CRC, crc32c(0, slice_from(ret_bytes, HEAD_CRC)));
}

int segment_head_read(const char bytes[SEGMENT_HEAD_BYTES], struct segment_head *ret_head)
{
    if (memcmp(bytes, MAGIC, strlen(MAGIC)) != 0 ||
        get_le32(bytes + HEAD_CRC) != crc32c(0, slice_from(bytes, HEAD_CRC)))
        return -EBADMSG;
    uint32_t version = get_le32(bytes + HEAD_VERSION);
    if (version < SEGMENT_VERSION_OLDEST || version > SEGMENT_VERSION)
        return -ENOTSUP;
    *ret_head = (struct segment_head){
        .sequence = get_le64(bytes + HEAD_SEQUENCE),
        .random = get_le64(bytes + HEAD_RANDOM),
        .first_number = get_le64(bytes + HEAD_FIRST_NUMBER),
        .before_end = get_le64(bytes + HEAD_BEFORE_END),
    };
    return 0;
}

uint32_t segment_salt(const struct segment_head *head)
{
    char bytes[16];
    put_le64(bytes, head->sequence);
    put_le64(bytes + 8, head->random);
    return crc32c(0, slice_from(bytes, sizeof(bytes)));
}

/* Of a record head: all but the checksum itself. */
static uint32_t record_crc(uint32_t salt, const char *bytes)
{
    return crc32c(salt, slice_from(bytes + RECORD_PAYLOAD_CRC, SEGMENT_RECORD_HEAD_BYTES - RECORD_PAYLOAD_CRC));
}

void segment_record_write(uint32_t salt, const struct segment_record *record, char ret_bytes[SEGMENT_RECORD_HEAD_BYTES])
{
    put_le32(ret_bytes + RECORD_PAYLOAD_CRC, record->payload_crc);
    put_le32(ret_bytes + RECORD_LENGTH, record->length);
    put_le32(ret_bytes + RECORD_KIND, record->kind);
    put_le64(ret_bytes + RECORD_NUMBER, record->number);
    put_le64(ret_bytes + RECORD_DURABLE_END, record->durable_end);
    put_le32(ret_bytes + RECORD_CRC, record_crc(salt, ret_bytes));
}

bool segment_record_read(uint32_t salt, const char bytes[SEGMENT_RECORD_HEAD_BYTES], struct segment_record *ret_record)
{
    uint32_t kind = get_le32(bytes + RECORD_KIND);
    if ((kind != SEGMENT_RECORD && kind != SEGMENT_END) || get_le32(bytes + RECORD_CRC) != record_crc(salt, bytes))
        return false;
    *ret_record = (struct segment_record){
        .kind = (enum segment_record_kind)kind,
        .length = get_le32(bytes + RECORD_LENGTH),
        .payload_crc = get_le32(bytes + RECORD_PAYLOAD_CRC),
        .number = get_le64(bytes + RECORD_NUMBER),
        .durable_end = get_le64(bytes + RECORD_DURABLE_END),
    };
    return true;
}

uint64_t segment_record_move(uint32_t salt, uint64_t durable_end, char *bytes)
{
    uint32_t length = get_le32(bytes + RECORD_LENGTH);
    struct slice payload = slice_from(bytes + SEGMENT_RECORD_HEAD_BYTES, length);
    put_le32(bytes + RECORD_PAYLOAD_CRC, crc32c(salt, payload));
    put_le64(bytes + RECORD_DURABLE_END, durable_end);
    put_le32(bytes + RECORD_CRC, record_crc(salt, bytes));
    return segment_record_bytes(length);
}

void segment_name(uint64_t sequence, const char *suffix, char ret_name[SEGMENT_NAME_MAX])
{
    snprintf(ret_name, SEGMENT_NAME_MAX, "%016" PRIx64 ".%s", sequence, suffix);
}

bool segment_name_parse(const char *name, const char *suffix, uint64_t *ret_sequence)
{
    uint64_t sequence = 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        sequence = sequence << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (name[16] != '.' || strcmp(name + 17, suffix) != 0)
        return false;
    *ret_sequence = sequence;
    return true;
}
