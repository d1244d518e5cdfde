/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this front end share. */
#pragma once

#include "fronts/front.h"

/* One for the process. */
struct admin {
    struct store *store;
    const struct access *access;
    _Atomic unsigned n_backups;
};

/* snapshot.c, compaction.c, why.c; with a store */
void admin_on_snapshot(struct admin *admin, struct exchange *exchange);
void admin_on_compaction(struct admin *admin, struct exchange *exchange);
void admin_on_why(struct admin *admin, struct exchange *exchange);

/* Answers with a JSON text, or with 503 when there was no memory for it; the buf is freed. */
void admin_respond_json(struct exchange *exchange, struct buf *body);

/* Answers with the status and the words for what the store would not do. */
void admin_refuse(struct exchange *exchange, enum store_outcome outcome);
