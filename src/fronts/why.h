/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "When and why did it go, and who changed it last?": asked of the store about a key or a lease, for those who tell it
 * to people.
 */
#pragma once

#include "store/store.h"

/* Of more notes than this only the newest are told. */
#define WHY_NOTES_MAX 100

struct why_question {
    struct slice key; /* empty: it is about the lease, and the keys that went with it */
    int64_t lease;
};

/* The notes, oldest first, at most WHY_NOTES_MAX. On a thread that is an RCU reader. */
void why_tell(struct store *store, const struct why_question *question, store_note_fn fn, void *ctx);

/* Whether the key exists now. As why_tell. */
bool why_exists(struct store *store, struct slice key);

/* "changed", "expired", "revoked", "deleted". */
const char *why_word(unsigned kind);

/* A lease as etcd's tools write it: 1 to 16 hexadecimal digits, not 0. 0 or -EINVAL. */
int why_parse_lease(struct slice text, int64_t *ret_lease);
