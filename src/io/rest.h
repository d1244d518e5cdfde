/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that could not go where they belong yet and are kept meanwhile: little, seldom, and in front of all that comes
 * after them. Their memory is counted in a backlog. A rest is NULL while there is none.
 */
#pragma once

#include "base/slice.h"
#include "io/backlog.h"

struct rest {
    size_t begin, end; /* bytes[begin .. end) are there still */
    char bytes[];
};

/* Valid until the rest is changed; empty without one. */
static inline struct slice rest_bytes(const struct rest *rest)
{
    return rest ? slice_from(rest->bytes + rest->begin, rest->end - rest->begin) : (struct slice){0};
}

/* Behind what there is. 0, or -ENOMEM and nothing has changed. */
int rest_add(struct rest **rest, struct slice bytes, struct backlog *backlog);

/* The first n bytes have gone; with the last one the rest is NULL again. */
void rest_skip(struct rest **rest, size_t n, struct backlog *backlog);

void rest_drop(struct rest **rest, struct backlog *backlog);
