/* SPDX-License-Identifier: Apache-2.0 */
#include "base/host_port.h"

#include "base/assert.h"
#include "base/util.h"

#include <stdio.h>

struct slice host_port_write(struct slice host, unsigned port, size_t size, char *ret_text)
{
    bool is_v6 = slice_find(host, ':') < host.len;
    int n = snprintf(ret_text, size, is_v6 ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(host), port);
    ASSERT(n > 0 && size > 0);
    return slice_from(ret_text, min_size((size_t)n, size - 1));
}
