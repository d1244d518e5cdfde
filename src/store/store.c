/* SPDX-License-Identifier: Apache-2.0 */
/* What all engines share: the order of keys and the meaning of ranges. */
#include "store/store.h"

int store_key_compare(struct slice a, struct slice b)
{
    size_t n = min_size(a.len, b.len);
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool store_range_has(struct slice begin, struct slice end, struct slice key)
{
    if (slice_is_empty(end))
        return slice_equal(begin, key);
    if (store_key_compare(key, begin) < 0)
        return false;
    return store_range_is_open(end) || store_key_compare(key, end) < 0;
}
