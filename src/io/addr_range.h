/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of IP addresses, as they are written in lists of who is trusted: "10.0.0.0/8", "::1", "fd00::/8". */
#pragma once

#include "base/err.h"
#include "io/addr.h"

struct addr_range {
    uint16_t family;
    uint8_t n_bits;
    uint8_t ip[16];
};

/* 0, or -EINVAL with the reason in err. */
int addr_range_parse(struct slice text, struct addr_range *ret_range, struct err *err);

/* Unix sockets are in no range. */
bool addr_range_has(const struct addr_range *range, const struct peer *peer);
