/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One address from the list that a client was given.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum address_scheme { ADDRESS_HTTP, ADDRESS_HTTPS, ADDRESS_TCP, ADDRESS_UNIX };

#define ADDRESS_HOST_MAX 256

struct address {
    enum address_scheme scheme;
    char host[ADDRESS_HOST_MAX]; /* name or IP without brackets; for ADDRESS_UNIX the path */
    char port[6];
};

/*
 * "http://HOST[:PORT]", "https://HOST[:PORT]", "unix:/PATH"; without a scheme it is http. The port defaults to 2379, an
 * IPv6 address stands in brackets, one '/' may end it. 0, or -EINVAL with the reason in err.
 */
int address_parse(struct slice text, struct address *ret_address, struct err *err);

/* The same of what stands behind a scheme, "HOST[:PORT]" or "/PATH"; the words do not repeat it. */
int address_parse_place(struct slice text, enum address_scheme scheme, struct address *ret_address, struct err *err);
