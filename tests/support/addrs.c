/* SPDX-License-Identifier: Apache-2.0 */
#include "support/addrs.h"

#include "support/test.h"

#include <errno.h>

struct peer peer_of(const char *text)
{
    struct addr addr;
    struct peer peer;
    struct err err;
    expect_int(addr_parse(slice_from_str(text), &addr, &err), 0);
    peer_from_addr(&addr, &peer);
    return peer;
}

int no_lookup(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max, unsigned *ret_n)
{
    (void)ctx, (void)name, (void)port, (void)ret_addrs, (void)max, (void)ret_n;
    return -ENOENT;
}
