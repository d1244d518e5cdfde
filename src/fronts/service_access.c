/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/service_access.h"

#include "catalog/instance_record.h"

/* A key's range as etcd writes prefixes: [key, key with its last byte one higher). */
static unsigned check_prefix(const struct access *access, const struct exchange *exchange, enum access_touch touch,
                             const struct buf *prefix)
{
    struct buf end = {0};
    buf_append(&end, buf_slice(prefix));
    unsigned status = 503;
    if (buf_error(&end) == 0) {
        end.ptr[end.len - 1]++;
        status = access_check(access, exchange, touch, buf_slice(prefix), buf_slice(&end));
    }
    buf_deinit(&end);
    return status;
}

unsigned service_access_check(const struct access *access, const struct exchange *exchange, enum access_touch touch,
                              struct slice service)
{
    struct buf prefix = {0};
    if (!access || !access->check)
        return 0;
    if (slice_is_empty(service)) {
        buf_append(&prefix, INSTANCE_RECORD_PREFIX);
    } else {
        instance_record_key(&prefix, service, (struct slice){0});
        buf_append_char(&prefix, '/');
    }
    unsigned status = buf_error(&prefix) == 0 ? check_prefix(access, exchange, touch, &prefix) : 503;
    buf_deinit(&prefix);
    return status;
}
