/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See rest.h.
 */
#include "io/rest.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

static size_t memory_of(const struct rest *rest)
{
    return rest ? sizeof(*rest) + rest->end : 0;
}

int rest_add(struct rest **rest, struct slice bytes, struct backlog *backlog)
{
    struct slice old = rest_bytes(*rest);
    struct rest *both = malloc(sizeof(*both) + old.len + bytes.len);
    if (!both)
        return -ENOMEM;
    *both = (struct rest){.end = old.len + bytes.len};
    char *at = both->bytes;
    (void)slice_put(old, &at);
    (void)slice_put(bytes, &at);
    rest_drop(rest, backlog);
    backlog_note(backlog, 0, memory_of(both));
    *rest = both;
    return 0;
}

void rest_skip(struct rest **rest, size_t n, struct backlog *backlog)
{
    ASSERT(*rest && n <= (*rest)->end - (*rest)->begin);
    (*rest)->begin += n;
    if ((*rest)->begin == (*rest)->end)
        rest_drop(rest, backlog);
}

void rest_drop(struct rest **rest, struct backlog *backlog)
{
    backlog_note(backlog, memory_of(*rest), 0);
    free(*rest);
    *rest = NULL;
}
