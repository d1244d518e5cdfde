/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the text of a route, of the configuration and of metadata; what is accepted makes a table. */
#include "base/assert.h"
#include "gateway/route.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct slice text, bool is_metadata)
{
    struct arena arena = {0};
    struct err err = {""};
    struct route route;
    struct route_table *table = NULL;
    int r = route_parse(text, is_metadata, &arena, &route, &err);
    if (r < 0 && !*err.text)
        abort();
    if (r == 0) {
        if (route.host.len > ROUTE_HOST_MAX || route.prefix.len > ROUTE_PREFIX_MAX || *err.text)
            abort();
        if (route_table_new(&route, 1, &table) < 0)
            abort();
    }
    route_table_free(table);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(slice_from(data, size), false);
    check(slice_from(data, size), true);
    return 0;
}
