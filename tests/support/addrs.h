/* SPDX-License-Identifier: Apache-2.0 */
/* Who is where: peers of a test's choice, and names that lead nowhere. */
#pragma once

#include "io/addr.h"

/* "192.0.2.1:80"; a text that is no address fails the test. */
struct peer peer_of(const char *text);

/* A resolver's lookup (resolver.h) that knows no name: nothing is asked of the machine's. */
int no_lookup(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max, unsigned *ret_n);
