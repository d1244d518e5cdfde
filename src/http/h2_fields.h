/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header block kept for a while: names and values one after another in one buffer, each pair with its lengths in
 * front. One allocation holds a whole block; its limit is the buffer's.
 */
#pragma once

#include "base/buf.h"

/* 0, -ENOMEM, -EMSGSIZE (the buffer's limit). All or nothing. */
int h2_fields_append(struct buf *block, struct slice name, struct slice value);

/* Takes the next pair off the front of *rest, which began as the buffer's slice. False when there is none left. */
bool h2_fields_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value);
