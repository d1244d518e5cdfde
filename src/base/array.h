/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heap array that grows by one item at a time: its owner keeps the items, how many there are, and the room for them,
 * all zero at first; free() releases it.
 *
 *     struct thing *things = array_grow(box->things, box->n, &box->room, sizeof(*things));
 *     if (!things)
 *         return -ENOMEM;
 *     box->things = things;
 *     box->things[box->n++] = thing;
 */
#pragma once

#include <stddef.h>

/* The items, moved when they had to be, with room for one more behind the n. NULL: out of memory, all is as it was. */
void *array_grow(void *items, size_t n, size_t *room, size_t item_bytes);
