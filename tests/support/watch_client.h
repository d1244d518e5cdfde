/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the service Watch, on the calls of etcd_kit.h. */
#pragma once

#include "support/etcd_kit.h"

Etcdserverpb__WatchResponse *watch_hear(struct etcd_call *call);
Etcdserverpb__WatchCreateRequest watch_request(const char *key, const char *end);
void watch_say_create(struct etcd_call *call, Etcdserverpb__WatchCreateRequest *create);
void watch_say_cancel(struct etcd_call *call, int64_t id);
void watch_say_progress(struct etcd_call *call);
/* A stream with one watch; its created answer is heard. */
struct etcd_call *watch_open(struct etcd_kit *kit, Etcdserverpb__WatchCreateRequest *create);
struct etcd_call *watch_open_range(struct etcd_kit *kit, const char *key, const char *end);
int64_t etcd_put(struct etcd_kit *kit, const char *key, const char *value);
int64_t etcd_delete(struct etcd_kit *kit, const char *key);
/* The next answer has this one event; value NULL: a deletion. */
void watch_expect_event(struct etcd_call *call, int64_t id, const char *key, const char *value, int64_t revision);
