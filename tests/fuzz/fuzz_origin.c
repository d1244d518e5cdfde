/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as X-Forwarded-For from a proxy that is trusted: whoever is named is an address, or the proxy itself. */
#include "gateway/origin.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct addr_range trusted[] = {{AF_INET, 8, {10}}, {AF_INET6, 8, {0xfd}}};
    static struct http_fields fields = {.n = 1};
    const struct gateway_settings settings = {.trusted = trusted, .n_trusted = 2};
    const struct peer proxy = {AF_INET, 80, {10, 0, 0, 1}};
    struct peer origin;
    char room[ADDR_TEXT_MAX];
    fields.items[0] = (struct http_field){.id = HTTP_FIELD_X_FORWARDED_FOR, .value = slice_from(data, size)};
    origin_find(&settings, &proxy, &fields, &origin);
    if (origin.family != AF_INET && origin.family != AF_INET6)
        abort();
    if (peer_format_ip(&origin, room).len == 0)
        abort();
    return 0;
}
