/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of Watch: requests to structs, answers to bytes. Pure. */
#pragma once

#include "fronts/etcd/messages.h"

/* Above this an answer is cut, for clients that asked for it: together with its events they may take 4 MiB at most. */
#define WATCH_FRAGMENT_BYTES ((size_t)1536 * 1024)

struct watch_request {
    enum { WATCH_NOTHING, WATCH_CREATE, WATCH_CANCEL, WATCH_PROGRESS } type; /* NOTHING: of a kind nobody knows */
    int64_t id;                                                              /* create: 0: any; cancel: which */
    /* create */
    struct slice key, end; /* as they came */
    int64_t start_revision;
    bool wants_progress, wants_prev, wants_fragments;
    bool no_puts, no_deletes;
};

enum etcd_error watch_read_request(struct slice message, struct watch_request *ret_request);

/* What follows the header of an answer. */
void watch_add_created(struct buf *buf, int64_t id);
void watch_add_refused(struct buf *buf, const char *reason);
void watch_add_canceled(struct buf *buf, int64_t id);
void watch_add_compacted(struct buf *buf, int64_t id, int64_t compact_revision);
void watch_add_event(struct buf *buf, const struct store_event *event, bool with_prev);
void watch_add_id(struct buf *buf, int64_t id);
void watch_add_fragment(struct buf *buf, int64_t id, bool has_more);

/* What watch_add_id takes at most. */
#define WATCH_ID_BYTES_MAX (2 * PB_VARINT_MAX)

/* The id of answers that are about no watch in particular. */
#define WATCH_ID_NONE (-1)
