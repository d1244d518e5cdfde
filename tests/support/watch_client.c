/* SPDX-License-Identifier: Apache-2.0 */
#include "support/watch_client.h"

Etcdserverpb__WatchResponse *watch_hear(struct etcd_call *call)
{
    return etcd_hear(call, &etcdserverpb__watch_response__descriptor);
}

Etcdserverpb__WatchCreateRequest watch_request(const char *key, const char *end)
{
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    create.key = etcd_bytes(key);
    create.range_end = etcd_bytes(end);
    return create;
}

void watch_say_create(struct etcd_call *call, Etcdserverpb__WatchCreateRequest *create)
{
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = create;
    etcd_say(call, &request.base);
}

void watch_say_cancel(struct etcd_call *call, int64_t id)
{
    Etcdserverpb__WatchCancelRequest cancel = ETCDSERVERPB__WATCH_CANCEL_REQUEST__INIT;
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    cancel.watch_id = id;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CANCEL_REQUEST;
    request.cancel_request = &cancel;
    etcd_say(call, &request.base);
}

void watch_say_progress(struct etcd_call *call)
{
    Etcdserverpb__WatchProgressRequest progress = ETCDSERVERPB__WATCH_PROGRESS_REQUEST__INIT;
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST;
    request.progress_request = &progress;
    etcd_say(call, &request.base);
}

struct etcd_call *watch_open(struct etcd_kit *kit, Etcdserverpb__WatchCreateRequest *create)
{
    struct etcd_call *call = etcd_call_new(kit, "Watch/Watch");
    watch_say_create(call, create);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_true(answer && answer->created && !answer->canceled);
    return call;
}

struct etcd_call *watch_open_range(struct etcd_kit *kit, const char *key, const char *end)
{
    Etcdserverpb__WatchCreateRequest create = watch_request(key, end);
    return watch_open(kit, &create);
}

int64_t etcd_put(struct etcd_kit *kit, const char *key, const char *value)
{
    int64_t revision = fake_store_put(kit->store, key, value);
    etcd_kit_run(kit);
    return revision;
}

int64_t etcd_delete(struct etcd_kit *kit, const char *key)
{
    int64_t revision = fake_store_delete(kit->store, key);
    etcd_kit_run(kit);
    return revision;
}

void watch_expect_event(struct etcd_call *call, int64_t id, const char *key, const char *value, int64_t revision)
{
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_true(answer != NULL);
    expect_int(answer->watch_id, id);
    expect_int(answer->n_events, 1);
    const Mvccpb__Event *event = answer->events[0];
    expect_int(event->type, value ? MVCCPB__EVENT__EVENT_TYPE__PUT : MVCCPB__EVENT__EVENT_TYPE__DELETE);
    expect_data(event->kv->key, key);
    expect_data(event->kv->value, value ? value : "");
    expect_int(event->kv->mod_revision, revision);
    expect_true(answer->header->revision >= revision);
}
