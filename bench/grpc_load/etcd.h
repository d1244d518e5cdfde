/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of etcd v3 as the modes need them: written onto the buf of a call, and looked into.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

#define PATH_RANGE     "/etcdserverpb.KV/Range"
#define PATH_PUT       "/etcdserverpb.KV/Put"
#define PATH_TXN       "/etcdserverpb.KV/Txn"
#define PATH_GRANT     "/etcdserverpb.Lease/LeaseGrant"
#define PATH_KEEPALIVE "/etcdserverpb.Lease/LeaseKeepAlive"
#define PATH_WATCH     "/etcdserverpb.Watch/Watch"

#define KEY_BYTES 40

/* A key as registries have them: a long common prefix and a number. All of one space lie side by side, in order. */
struct key {
    char text[KEY_BYTES];
};

enum key_space {
    SPACE_STORED = 'a',     /* loaded once, then read and written over */
    SPACE_REGISTERED = 'b', /* one for each registration */
    SPACE_EXPIRING = 'c',
    SPACE_WATCHED = 'd',
    SPACE_MISSING = 'e',
};

struct key key_of(enum key_space space, uint64_t number);
struct slice key_slice(const struct key *key);

/* The whole space, as key and range_end. */
struct slice space_begin(enum key_space space, struct key *scratch);
struct slice space_end(enum key_space space, struct key *scratch);

void add_put(struct buf *buf, struct slice key, struct slice value, int64_t lease);
void add_range(struct buf *buf, struct slice key, struct slice range_end);
void add_range_count(struct buf *buf, struct slice key, struct slice range_end);
void add_txn_put(struct buf *buf, struct slice key, struct slice value);
void add_grant(struct buf *buf, int64_t ttl);
void add_keepalive(struct buf *buf, int64_t lease);
void add_watch_create(struct buf *buf, struct slice key, struct slice range_end);

/* A number in the message, 0 when it is not there. Ends the program on what is no message, as all of these. */
uint64_t get_number(struct slice message, uint32_t number);
uint64_t count_elements(struct slice message, uint32_t number);

/* Numbers of fields in replies. */
enum {
    RANGE_REPLY_KVS = 2,
    RANGE_REPLY_COUNT = 4,
    GRANT_REPLY_ID = 2,
    KEEPALIVE_REPLY_TTL = 3,
    WATCH_REPLY_CREATED = 3,
    WATCH_REPLY_CANCELED = 4,
    WATCH_REPLY_EVENTS = 11,
};
