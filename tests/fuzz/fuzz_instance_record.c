/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a record, an address and a key: what is read is written back equal.
 */
#include "catalog/instance_record.h"

#include "base/assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(struct slice bytes)
{
    struct arena arena = {0};
    struct instance_record record, strict, again;
    struct buf out = {0};
    struct err err = {""};
    int r = instance_record_parse(bytes, INSTANCE_RECORD_LENIENT, &arena, &record, &err);
    ASSERT(r == 0 || err.text[0] != '\0');
    if (r == 0) {
        instance_record_write(&out, &record);
        ASSERT(instance_record_parse(buf_slice(&out), INSTANCE_RECORD_LENIENT, &arena, &again, &err) == 0);
        ASSERT(instance_record_equal(&record, &again));
    }
    if (instance_record_parse(bytes, INSTANCE_RECORD_STRICT, &arena, &strict, &err) == 0)
        ASSERT(r == 0 && instance_record_equal(&record, &strict));
    buf_deinit(&out);
    arena_deinit(&arena);
}

static void check_key(struct slice bytes)
{
    struct arena arena = {0};
    struct buf key = {0}, again = {0};
    struct slice service, id;
    buf_append(&key, INSTANCE_RECORD_PREFIX);
    buf_append(&key, bytes);
    if (instance_record_split_key(buf_slice(&key), &arena, &service, &id) == 0) {
        instance_record_key(&again, service, id);
        ASSERT(slice_equal(buf_slice(&key), buf_slice(&again)));
    }
    buf_deinit(&key);
    buf_deinit(&again);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);
    struct instance_record record = {0};
    check_record(bytes);
    check_key(bytes);
    if (instance_record_set_address(&record, bytes))
        ASSERT(record.host.len > 0 || slice_equal_nocase(record.protocol, SLICE_LIT("unix")));
    return 0;
}
