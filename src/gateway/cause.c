/* SPDX-License-Identifier: Apache-2.0 */
/* See cause.h. */
#include "gateway/cause.h"

#include "base/assert.h"

#include <errno.h>

struct row {
    unsigned status;
    struct slice error, text, name;
};

static const struct row rows[CAUSES_] = {
#define X(id, status, error, text) {status, SLICE_LIT(error), SLICE_LIT(text), SLICE_LIT(#id)},
    CAUSES(X)
#undef X
};

static const struct row *row_of(enum cause cause)
{
    ASSERT(cause < CAUSES_);
    return &rows[cause];
}

unsigned cause_status(enum cause cause)
{
    return row_of(cause)->status;
}

struct slice cause_error(enum cause cause)
{
    return row_of(cause)->error;
}

struct slice cause_text(enum cause cause)
{
    return row_of(cause)->text;
}

struct slice cause_name(enum cause cause)
{
    return row_of(cause)->name;
}

bool cause_is_ours(enum cause cause)
{
    return cause == CAUSE_INTERNAL || cause == CAUSE_NO_DESCRIPTOR;
}

static enum cause before_open(int result)
{
    switch (result) {
    case -ECONNREFUSED:
    case -ENOENT: /* a Unix socket that is not there */
        return CAUSE_CONNECT_REFUSED;
    case -ETIMEDOUT:
        return CAUSE_CONNECT_TIMEOUT;
    case -EKEYREJECTED:
        return CAUSE_TLS_CERTIFICATE;
    case -EPROTO:
        return CAUSE_TLS_FAILED;
    case -EMFILE:
    case -ENFILE:
        return CAUSE_NO_DESCRIPTOR;
    case -ENOMEM:
    case -ENOBUFS:
    case -EBUSY:
    case -EADDRNOTAVAIL:
        return CAUSE_INTERNAL;
    default:
        return CAUSE_CONNECT_FAILED;
    }
}

enum cause cause_of_errno(int result, bool was_open)
{
    if (!was_open)
        return before_open(result);
    switch (result) {
    case -ETIMEDOUT:
        return CAUSE_RESPONSE_TIMEOUT;
    case -EBADMSG:
        return CAUSE_BAD_RESPONSE;
    case -ENOMEM:
    case -EINVAL:
        return CAUSE_INTERNAL;
    default:
        return CAUSE_TERMINATED;
    }
}
