/* SPDX-License-Identifier: Apache-2.0 */
/* See addr_range.h. */
#include "io/addr_range.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static int refuse(struct slice text, struct err *err)
{
    return err_set(err, -EINVAL, "\"%.*s\" is no range of addresses: expected an IP address, perhaps with /BITS",
                   SLICE_ARG(text));
}

int addr_range_parse(struct slice text, struct addr_range *ret_range, struct err *err)
{
    struct addr_range range = {0};
    struct slice ip, bits = slice_split(text, '/', &ip);
    char ip_text[INET6_ADDRSTRLEN];
    uint64_t n_bits;
    if (ip.len >= sizeof(ip_text))
        return refuse(text, err);
    memcpy(ip_text, ip.ptr, ip.len);
    ip_text[ip.len] = 0;
    if (inet_pton(AF_INET, ip_text, range.ip) == 1)
        range.family = AF_INET;
    else if (inet_pton(AF_INET6, ip_text, range.ip) == 1)
        range.family = AF_INET6;
    else
        return refuse(text, err);

    unsigned n_bits_max = range.family == AF_INET ? 32 : 128;
    if (ip.len == text.len)
        n_bits = n_bits_max;
    else if (slice_parse_u64(bits, &n_bits) < 0 || n_bits > n_bits_max)
        return refuse(text, err);
    range.n_bits = (uint8_t)n_bits;
    *ret_range = range;
    return 0;
}

bool addr_range_has(const struct addr_range *range, const struct peer *peer)
{
    size_t n_whole = range->n_bits / 8;
    unsigned n_rest = range->n_bits % 8;
    if (peer->family != range->family || memcmp(peer->ip, range->ip, n_whole) != 0)
        return false;
    return n_rest == 0 || (peer->ip[n_whole] ^ range->ip[n_whole]) >> (8 - n_rest) == 0;
}
