/* SPDX-License-Identifier: Apache-2.0 */
/* Changes and entries of the timeline, read from JSON. */
#pragma once

#include "muster.h"

#include <jansson.h>
#include <stdbool.h>

/* The texts are the tree's. False: it is none that a muster gives. */
bool event_read(const json_t *tree, struct muster_event *ret_event);

/* Reads a list; the items are the caller's to free. 0, -EINVAL, -ENOMEM. */
int event_read_list(const json_t *list, struct muster_event **ret_items, size_t *ret_n);
