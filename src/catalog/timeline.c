/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/timeline.h"

struct slice timeline_text(unsigned kind)
{
    switch (kind) {
#define X(name, number, text)                                                                                          \
    case number:                                                                                                       \
        return SLICE_LIT(text);
        TIMELINE_KINDS(X)
#undef X
    default:
        return (struct slice){0};
    }
}

bool timeline_is_arrival(unsigned kind)
{
    return kind == TIMELINE_REGISTERED || kind == TIMELINE_REPLACED || kind == TIMELINE_HELD;
}

bool timeline_is_departure(unsigned kind)
{
    return kind == TIMELINE_DEREGISTERED || kind == TIMELINE_EXPIRED || kind == TIMELINE_CONN_LOST ||
           kind == TIMELINE_CHECK_REMOVED || kind == TIMELINE_RELEASED;
}
