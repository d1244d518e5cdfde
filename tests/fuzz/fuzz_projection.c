/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three lines of any bytes: a rule, a key, and its value. What is projected has names that an instance may have.
 */
#include "catalog/projection.h"

#include "base/assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct projection *projection, struct store_kv *kv)
{
    struct arena arena = {0};
    struct projected projected;
    if (projection_apply(projection, kv, &arena, &projected) == 0) {
        ASSERT(instance_record_check_names(projected.service, projected.id, NULL) == 0);
        ASSERT(projected.record.address.len > 0);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct projection *projection;
    struct projection_rule rule;
    struct err err = {""};
    struct store_kv kv = {.version = 1, .lease = 1};
    struct slice first, rest = slice_split(slice_from(data, size), '\n', &first);
    kv.value = slice_split(rest, '\n', &kv.key);
    int r = projection_parse_rule(first, &rule, &err);
    if (r == 0)
        r = projection_new(&rule, 1, false, &projection, &err);
    ASSERT(r == 0 || err.text[0] != '\0');
    if (r == 0) {
        check(projection, &kv);
        projection_free(projection);
    }
    if (kv.key.len == 0 || projection_new(NULL, 0, true, &projection, NULL) < 0)
        return 0; /* the store has no empty key */
    check(projection, &kv);
    projection_free(projection);
    return 0;
}
