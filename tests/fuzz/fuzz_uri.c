/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a query. */
#include "wire/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    check_query(bytes);
    return 0;
}
