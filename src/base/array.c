/* SPDX-License-Identifier: Apache-2.0 */
/* The room is doubled, so that an item is moved about once, however many there are. */
#include "base/array.h"

#include "base/assert.h"

#include <stdlib.h>

#define ROOM_FIRST 16

void *array_grow(void *items, size_t n, size_t *room, size_t item_bytes)
{
    ASSERT(n <= *room);
    if (n < *room)
        return items;
    size_t bigger = n > 0 ? n * 2 : ROOM_FIRST;
    void *moved = realloc(items, bigger * item_bytes);
    if (moved)
        *room = bigger;
    return moved;
}
