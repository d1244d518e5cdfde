/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches under everything at once: random changes, watches from any revision, clients that stop reading and go on,
 * that cancel or go away, compactions. Each answer is held against a list of all that happened: no watch may miss an
 * event, get one twice, or get half a revision.
 */
#include "support/etcd_kit.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 6000, CLIENTS = 6, WATCHES = 24, KEYS = 8, EVENTS_MAX = 3 * STEPS, VALUE_BYTES = 9000 };

struct event {
    int64_t revision;
    unsigned key;
    bool is_deletion;
};

struct watched {
    bool is_asked, is_created;
    int64_t id;
    unsigned first_key, end_key; /* of KEYS; [first, end) */
    int64_t start_revision;
    bool no_puts, no_deletes;
    size_t next; /* of model->events: all before were told or are not for it */
};

struct client {
    struct etcd_call *call; /* NULL: none open */
    struct watched watches[WATCHES];
    unsigned n_watches;
};

struct model {
    struct etcd_kit *kit;
    uint64_t random;
    char value[VALUE_BYTES + 1]; /* long enough that a burst holds but a few */
    struct event events[EVENTS_MAX];
    size_t n_events;
    bool exists[KEYS];
    int64_t revision, compacted;
    struct client clients[CLIENTS];
    size_t n_told, n_canceled, n_progress;
};

static unsigned random_below(struct model *model, unsigned bound)
{
    return (unsigned)(test_random(&model->random) % bound);
}

static const char *key_name(unsigned key)
{
    static const char *const names[KEYS + 1] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"};
    return names[key];
}

/* ------------------------------------------------------------------------------------------------ changes */

static void note(struct model *model, unsigned key, bool is_deletion)
{
    expect_true(model->n_events < EVENTS_MAX);
    model->events[model->n_events++] = (struct event){model->revision, key, is_deletion};
    model->exists[key] = !is_deletion;
}

static void change_one(struct model *model)
{
    unsigned key = random_below(model, KEYS);
    bool is_deletion = model->exists[key] && random_below(model, 3) == 0;
    model->revision++;
    note(model, key, is_deletion);
    int64_t revision = is_deletion ? fake_store_delete(model->kit->store, key_name(key))
                                   : fake_store_put(model->kit->store, key_name(key), model->value);
    expect_int(revision, model->revision);
}

/* Some keys in one revision. */
static void change_several(struct model *model)
{
    unsigned first = random_below(model, KEYS), end = first + 1 + random_below(model, KEYS - first);
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = etcd_bytes(key_name(first));
    request.range_end = etcd_bytes(key_name(end));
    bool any = false;
    for (unsigned key = first; key < end; key++)
        any = any || model->exists[key];
    model->revision += any;
    for (unsigned key = first; key < end; key++)
        if (model->exists[key])
            note(model, key, true);
    expect_int(etcd_ask(model->kit, "KV/DeleteRange", &request.base)->status, GRPC_OK);
}

static void compact(struct model *model)
{
    if (model->revision - model->compacted < 20)
        return;
    model->compacted += 1 + random_below(model, (unsigned)(model->revision - model->compacted));
    fake_store_compact(model->kit->store, model->compacted);
}

/* ------------------------------------------------------------------------------------------------ what is heard */

static bool is_for(const struct watched *watched, const struct event *event)
{
    return event->revision >= watched->start_revision && event->key >= watched->first_key &&
           event->key < watched->end_key && !(event->is_deletion ? watched->no_deletes : watched->no_puts);
}

/* The next event that the watch must be told; NULL: none yet. */
static const struct event *next_event(struct model *model, struct watched *watched)
{
    while (watched->next < model->n_events && !is_for(watched, &model->events[watched->next]))
        watched->next++;
    return watched->next < model->n_events ? &model->events[watched->next] : NULL;
}

static struct watched *find_watched(struct client *client, int64_t id)
{
    for (unsigned i = 0; i < client->n_watches; i++)
        if (client->watches[i].is_asked && client->watches[i].id == id)
            return &client->watches[i];
    return NULL;
}

static void check_events(struct model *model, struct watched *watched, const Etcdserverpb__WatchResponse *answer)
{
    for (size_t i = 0; i < answer->n_events; i++) {
        const struct event *expected = next_event(model, watched);
        expect_true(expected != NULL);
        expect_int(answer->events[i]->kv->mod_revision, expected->revision);
        expect_data(answer->events[i]->kv->key, key_name(expected->key));
        expect_int(answer->events[i]->type, expected->is_deletion);
        watched->next++;
        model->n_told++;
    }
    const struct event *expected = next_event(model, watched);
    /* What the header says was sent has been sent; a revision comes whole. */
    expect_true(!expected || expected->revision > answer->header->revision);
}

static void check_progress(struct model *model, struct client *client, const Etcdserverpb__WatchResponse *answer)
{
    expect_int(answer->n_events, 0);
    for (unsigned i = 0; i < client->n_watches; i++) {
        const struct event *expected = next_event(model, &client->watches[i]);
        if (client->watches[i].is_asked && client->watches[i].is_created)
            expect_true(!expected || expected->revision > answer->header->revision);
    }
    model->n_progress++;
}

static void check_answer(struct model *model, struct client *client, const Etcdserverpb__WatchResponse *answer)
{
    if (answer->watch_id == -1) {
        check_progress(model, client, answer);
        return;
    }
    struct watched *watched = find_watched(client, answer->watch_id);
    if (answer->created) {
        expect_true(watched && !watched->is_created && answer->n_events == 0);
        watched->is_created = true;
        if (watched->start_revision == 0)
            watched->start_revision = answer->header->revision + 1;
    } else if (answer->canceled) {
        expect_true(watched != NULL);
        const struct event *expected = next_event(model, watched);
        if (answer->compact_revision) /* then it could not be told all */
            expect_true(watched->start_revision < answer->compact_revision ||
                        (expected && expected->revision < answer->compact_revision));
        watched->is_asked = false;
        model->n_canceled++;
    } else {
        expect_true(watched && watched->is_created && answer->n_events > 0);
        check_events(model, watched, answer);
    }
}

static void hear_all(struct model *model, struct client *client)
{
    if (!client->call)
        return;
    struct etcd_call *call = client->call;
    for (Etcdserverpb__WatchResponse *answer; (answer = etcd_hear(call, &etcdserverpb__watch_response__descriptor));) {
        check_answer(model, client, answer);
        protobuf_c_message_free_unpacked(call->heard_messages[--call->n_heard], NULL);
    }
}

/* ------------------------------------------------------------------------------------------------ what clients do */

static void ask(struct etcd_call *call, Etcdserverpb__WatchRequest__RequestUnionCase kind, void *request)
{
    Etcdserverpb__WatchRequest outer = ETCDSERVERPB__WATCH_REQUEST__INIT;
    outer.request_union_case = kind;
    outer.create_request = request; /* a union of pointers */
    etcd_say(call, &outer.base);
}

static void create(struct model *model, struct client *client)
{
    if (!client->call) {
        client->call = etcd_call_new(model->kit, "Watch/Watch");
        client->n_watches = 0;
    }
    if (client->n_watches == WATCHES)
        return;
    struct watched *watched = &client->watches[client->n_watches];
    *watched = (struct watched){.is_asked = true, .id = 100 + client->n_watches};
    client->n_watches++;
    watched->first_key = random_below(model, KEYS);
    watched->end_key = watched->first_key + 1 + random_below(model, KEYS - watched->first_key);
    switch (random_below(model, 4)) {
    case 0:
        watched->start_revision = model->revision + random_below(model, 30);
        break;
    case 1:
        watched->start_revision =
            model->compacted + random_below(model, (unsigned)(model->revision - model->compacted) + 1);
        break;
    case 2:
        watched->start_revision = 1 + random_below(model, (unsigned)model->revision);
        break;
    default: /* from now on */
        break;
    }
    Etcdserverpb__WatchCreateRequest request = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    Etcdserverpb__WatchCreateRequest__FilterType filter = random_below(model, 2);
    request.watch_id = watched->id;
    request.key = etcd_bytes(key_name(watched->first_key));
    if (watched->end_key > watched->first_key + 1)
        request.range_end = etcd_bytes(key_name(watched->end_key));
    request.start_revision = watched->start_revision;
    request.prev_kv = random_below(model, 2);
    request.fragment = random_below(model, 2);
    request.filters = &filter;
    request.n_filters = random_below(model, 4) == 0;
    watched->no_puts = request.n_filters && filter == 0;
    watched->no_deletes = request.n_filters && filter == 1;
    ask(client->call, ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST, &request);
}

static void cancel(struct model *model, struct client *client)
{
    if (!client->call || client->n_watches == 0)
        return;
    Etcdserverpb__WatchCancelRequest request = ETCDSERVERPB__WATCH_CANCEL_REQUEST__INIT;
    request.watch_id = client->watches[random_below(model, client->n_watches)].id;
    ask(client->call, ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CANCEL_REQUEST, &request);
}

static void ask_progress(struct client *client)
{
    Etcdserverpb__WatchProgressRequest request = ETCDSERVERPB__WATCH_PROGRESS_REQUEST__INIT;
    if (client->call)
        ask(client->call, ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST, &request);
}

static void go_away(struct client *client)
{
    if (client->call)
        etcd_abort(client->call);
    client->call = NULL;
}

static void step(struct model *model)
{
    struct client *client = &model->clients[random_below(model, CLIENTS)];
    unsigned choice = random_below(model, 100);
    if (choice < 45)
        change_one(model);
    else if (choice < 50)
        change_several(model);
    else if (choice < 52)
        compact(model);
    else if (choice < 65)
        create(model, client);
    else if (choice < 68)
        cancel(model, client);
    else if (choice < 72)
        ask_progress(client);
    else if (choice < 80 && client->call)
        client->call->is_full = true;
    else if (choice < 90 && client->call && client->call->is_full)
        etcd_drain(client->call);
    else if (choice < 91)
        go_away(client);
    else
        etcd_kit_run(model->kit);
    hear_all(model, client);
}

static void nothing_is_missed_and_nothing_comes_twice(void)
{
    struct model *model = calloc(1, sizeof(*model));
    expect_true(model != NULL);
    model->random = test_seed();
    memset(model->value, 'v', VALUE_BYTES);
    model->kit = etcd_kit_new();
    model->revision = model->compacted = 1;
    for (unsigned i = 0; i < STEPS; i++)
        step(model);

    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &model->clients[i];
        for (unsigned k = 0; client->call && k < 10 * WATCHES; k++)
            etcd_drain(client->call);
        hear_all(model, client);
        for (unsigned k = 0; client->call && k < client->n_watches; k++)
            if (client->watches[k].is_asked)
                expect_true(client->watches[k].is_created && !next_event(model, &client->watches[k]));
    }
    printf("# %zu events, %zu told, %zu watches canceled, %zu reports\n", model->n_events, model->n_told,
           model->n_canceled, model->n_progress);
    expect_true(model->n_told > model->n_events && model->n_canceled > 20 && model->n_progress > 20);
    etcd_kit_free(model->kit);
    free(model);
}

static const struct test_case cases[] = {
    {"no watch misses an event or gets one twice", nothing_is_missed_and_nothing_comes_twice},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
