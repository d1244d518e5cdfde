/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a path and as a query. A path that was normalised is normal: it has no other spelling to be taken for,
 * and does not climb above the root.
 */
#include "wire/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segments(struct slice path)
{
    while (path.len > 0) {
        struct slice segment;
        path = slice_split(path, '/', &segment);
        if (slice_equal(segment, SLICE_LIT("..")) || slice_equal(segment, SLICE_LIT(".")))
            abort();
    }
}

static void check_path(struct slice path, enum uri_encoded encoded)
{
    struct buf scratch = {0}, more = {0};
    struct slice normal, again;
    if (uri_path_normalise(path, encoded, &scratch, &normal) == 0 && path.len > 0 && path.ptr[0] == '/') {
        if (normal.len == 0 || normal.len > path.len || normal.ptr[0] != '/')
            abort();
        check_segments(normal);
        if (uri_path_normalise(normal, encoded, &more, &again) < 0 || !slice_equal(normal, again))
            abort();
    }
    buf_deinit(&more);
    buf_deinit(&scratch);
}

static void check_query(struct slice query)
{
    struct buf out = {0};
    struct uri_param param;
    (void)uri_query_get(query, SLICE_LIT("name"), &out);
    while (uri_query_next(&query, &param)) {
        buf_reset(&out);
        if (uri_decode(param.value, &out) == 0 && out.len > param.value.len)
            abort();
    }
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);
    check_path(bytes, URI_ENCODED_REFUSE);
    check_path(bytes, URI_ENCODED_KEEP);
    check_query(bytes);
    return 0;
}
