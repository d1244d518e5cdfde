/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a commit keeps who made it and why (store_commit_why): in its own allocation, behind its events, in as few bytes
 * as it takes, since there is one of these for every change in the history.
 */
#pragma once

#include "store/store.h"

/* The bytes needed behind the events; `why` NULL: none. */
size_t commit_why_bytes(const struct store_note *why);
/* When all events are in place. NULL: nobody knows. */
void commit_why_set(struct store_commit *commit, const struct store_note *why);
