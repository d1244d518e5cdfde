/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper under many threads: what each was told fits one order of all changes, which is that of the revisions, and
 * that order is the one the threads saw: what began after something else had ended comes behind it.
 */
#include "keeper/keeper_priv.h"

#include "support/keeper_kit.h"
#include "support/test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, DEEDS = 400, KEYS = 5, ALL = THREADS * DEEDS };

/* What a thread did and was told. Keys are told by the revision that put them, 0: there is none. */
struct deed {
    enum { PUT, SWAP, DELETE, READ } kind;
    unsigned key, other; /* SWAP puts both, if the first one is as expected */
    int64_t value;       /* used once */
    int64_t expected;    /* SWAP */
    bool has_changed;    /* made its revision */
    int64_t revision;    /* of the answer */
    int64_t seen[KEYS];  /* READ: all; a SWAP that failed: the first one */
    nsec_t start_ns, end_ns;
};

struct client {
    pthread_t thread;
    struct loop *loop;
    struct store *store;
    uint64_t random;
    int64_t first_value;
    int64_t seen[KEYS];
    struct deed deeds[DEEDS];
    /* the request in hand */
    struct store_request request;
    struct store_compare compare;
    struct store_op ops[2], failure;
    bool is_done;
};

static const char key_texts[KEYS][2] = {"a", "b", "c", "d", "e"};

static struct slice key_slice(unsigned key)
{
    return slice_from(key_texts[key], 1);
}

static nsec_t monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* ------------------------------------------------------------------------------------------------ the threads */

static void request_done(struct store_request *request)
{
    container_of(request, struct client, request)->is_done = true;
}

static struct store_op put_op(unsigned key, struct deed *deed)
{
    return (struct store_op){
        .type = STORE_OP_PUT,
        .put = {.key = key_slice(key), .value = slice_from((const char *)&deed->value, sizeof(deed->value))}};
}

static void make_request(struct client *client, struct deed *deed)
{
    struct store_request *request = &client->request;
    *request = (struct store_request){.type = STORE_TXN, .loop = client->loop, .done = request_done};
    request->origin = (struct store_origin){SLICE_LIT("a thread"), {0}};
    request->txn = (struct store_txn){.success = client->ops, .n_success = 1};
    client->ops[0] = put_op(deed->key, deed);
    if (deed->kind == DELETE)
        client->ops[0] = (struct store_op){.type = STORE_OP_DELETE, .del = {.key = key_slice(deed->key)}};
    if (deed->kind != SWAP)
        return;
    client->ops[1] = put_op(deed->other, deed);
    client->failure = (struct store_op){.type = STORE_OP_RANGE, .range = {.key = key_slice(deed->key)}};
    client->compare = (struct store_compare){
        .target = STORE_CMP_MOD, .test = STORE_CMP_EQUAL, .key = key_slice(deed->key), .number = deed->expected};
    request->txn = (struct store_txn){
        .compares = &client->compare,
        .n_compares = 1,
        .success = client->ops,
        .n_success = 2,
        .failure = &client->failure,
        .n_failure = 1,
    };
}

static void change(struct client *client, struct deed *deed)
{
    make_request(client, deed);
    client->is_done = false;
    store_submit(client->store, &client->request);
    while (!client->is_done)
        expect_int(loop_turn(client->loop, NSEC_NEVER), 0);
    const struct store_request *request = &client->request;
    expect_int(request->outcome, STORE_OK);
    deed->revision = request->revision;
    deed->has_changed = deed->kind == DELETE ? request->results[0].count == 1 : request->succeeded;
    if (deed->kind == SWAP && !request->succeeded && request->results[0].n_kvs)
        deed->seen[deed->key] = request->results[0].kvs[0].mod_revision;
    store_request_deinit(&client->request);
}

static bool see_pair(void *ctx, const struct store_kv *kv)
{
    ((int64_t *)ctx)[kv->key.ptr[0] - 'a'] = kv->mod_revision;
    return true;
}

static void look(struct client *client, struct deed *deed)
{
    struct store_view view;
    struct store_range all = {.key = SLICE_LIT("\0"), .end = SLICE_LIT("\0")};
    struct store_range_result result;
    store_view(client->store, true, &view);
    deed->revision = view.revision;
    expect_int(store_range(client->store, &view, &all, see_pair, deed->seen, &result), STORE_OK);
    store_release(client->store, &view);
    memcpy(client->seen, deed->seen, sizeof(client->seen));
}

static void *work(void *arg)
{
    struct client *client = arg;
    for (int i = 0; i < DEEDS; i++) {
        struct deed *deed = &client->deeds[i];
        unsigned luck = (unsigned)(test_random(&client->random) % 10);
        deed->kind = luck < 3 ? PUT : luck < 6 ? SWAP : luck < 7 ? DELETE : READ;
        deed->key = (unsigned)(test_random(&client->random) % KEYS);
        deed->other = (deed->key + 1) % KEYS;
        deed->value = client->first_value + i;
        deed->expected = client->seen[deed->key];
        deed->start_ns = monotonic_now();
        if (deed->kind == READ)
            look(client, deed);
        else
            change(client, deed);
        deed->end_ns = monotonic_now();
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ the check */

struct history {
    int64_t revision;
    int64_t mods[ALL + 2][KEYS]; /* by revision */
    bool is_claimed[ALL + 2];
};

static void expect_event(const struct store_event *event, const struct deed *deed, unsigned key)
{
    expect_true(slice_equal(event->kv->key, key_slice(key)));
    expect_int(event->kv->version == 0, deed->kind == DELETE);
    if (deed->kind != DELETE)
        expect_bytes(event->kv->value, slice_from((const char *)&deed->value, sizeof(deed->value)));
}

/* It made its revision, alone. */
static void check_change(struct history *history, const struct store_commit *commit, const struct deed *deed)
{
    const int64_t *before = history->mods[deed->revision - 1];
    expect_false(history->is_claimed[deed->revision]);
    history->is_claimed[deed->revision] = true;
    expect_int(commit->n_events, deed->kind == SWAP ? 2 : 1);
    expect_event(&commit->events[0], deed, deed->key);
    if (deed->kind == SWAP) {
        expect_event(&commit->events[1], deed, deed->other);
        expect_int(before[deed->key], deed->expected);
    }
    if (deed->kind == DELETE)
        expect_true(before[deed->key] != 0);
}

/* It is what was to be seen at its revision. */
static void check_sight(const struct history *history, const struct deed *deed)
{
    const int64_t *mods = history->mods[deed->revision];
    expect_true(deed->kind != PUT);
    if (deed->kind == READ)
        expect_true(memcmp(mods, deed->seen, sizeof(deed->seen)) == 0);
    else if (deed->kind == DELETE)
        expect_int(mods[deed->key], 0);
    else
        expect_true(mods[deed->key] == deed->seen[deed->key] && mods[deed->key] != deed->expected);
}

static void read_history(struct store *store, const struct store_view *view, struct history *history)
{
    history->revision = view->revision;
    expect_true(view->revision <= ALL + 1);
    for (int64_t revision = 2; revision <= view->revision; revision++) {
        int64_t *mods = history->mods[revision];
        const struct store_commit *commit = store_commit(store, view, revision);
        memcpy(mods, history->mods[revision - 1], sizeof(history->mods[0]));
        for (unsigned i = 0; i < commit->n_events; i++) {
            const struct store_kv *kv = commit->events[i].kv;
            mods[kv->key.ptr[0] - 'a'] = kv->version ? revision : 0;
        }
    }
}

static int by_start(const void *a, const void *b)
{
    nsec_t x = (*(struct deed *const *)a)->start_ns, y = (*(struct deed *const *)b)->start_ns;
    return x < y ? -1 : x > y;
}

static int by_end(const void *a, const void *b)
{
    nsec_t x = (*(struct deed *const *)a)->end_ns, y = (*(struct deed *const *)b)->end_ns;
    return x < y ? -1 : x > y;
}

static void check_real_time(struct deed **deeds)
{
    static struct deed *ended[ALL];
    memcpy(ended, deeds, sizeof(ended));
    qsort(deeds, ALL, sizeof(*deeds), by_start);
    qsort(ended, ALL, sizeof(*ended), by_end);
    int64_t latest = 0;
    size_t n = 0;
    for (size_t i = 0; i < ALL; i++) {
        while (ended[n]->end_ns < deeds[i]->start_ns) {
            latest = ended[n]->revision > latest ? ended[n]->revision : latest;
            n++;
        }
        expect_true(deeds[i]->revision >= latest + deeds[i]->has_changed);
    }
}

static void check_all(struct store *store, struct client *clients)
{
    static struct history history;
    static struct deed *deeds[ALL];
    struct store_view view;
    store_view(store, true, &view);
    read_history(store, &view, &history);
    for (size_t i = 0; i < ALL; i++) {
        struct deed *deed = deeds[i] = &clients[i / DEEDS].deeds[i % DEEDS];
        if (deed->has_changed)
            check_change(&history, store_commit(store, &view, deed->revision), deed);
        else
            check_sight(&history, deed);
    }
    for (int64_t revision = 2; revision <= history.revision; revision++)
        expect_true(history.is_claimed[revision]);
    store_release(store, &view);
    check_real_time(deeds);
}

static void what_threads_are_told_is_one_order(void)
{
    static struct client clients[THREADS];
    uint64_t seed = test_seed();
    char folder[] = "/tmp/muster-keeper-XXXXXX", command[64];
    expect_true(mkdtemp(folder) != NULL);
    struct rcu_domain rcu;
    struct keeper_options options = {.folder = folder, .rcu = &rcu};
    struct keeper *keeper;
    struct loop *loops[THREADS];
    rcu_init(&rcu);
    local_options_init(&options.local);
    expect_int(keeper_new(&options, &keeper, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        expect_int(loop_new(&rcu, &loops[i]), 0);
    expect_int(keeper_start(keeper, loops, THREADS, NULL), 0);

    for (int i = 0; i < THREADS; i++) {
        clients[i] = (struct client){.loop = loops[i],
                                     .store = keeper_store(keeper),
                                     .random = test_random(&seed),
                                     .first_value = (int64_t)i * DEEDS};
        expect_int(pthread_create(&clients[i].thread, NULL, work, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        expect_int(pthread_join(clients[i].thread, NULL), 0);
    check_all(keeper_store(keeper), clients);

    keeper_stop(keeper);
    keeper_free(keeper);
    for (int i = 0; i < THREADS; i++)
        loop_free(loops[i]);
    rcu_deinit(&rcu);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    expect_int(system(command), 0);
}

static void *stop_keeper(void *arg)
{
    keeper_stop(arg);
    return NULL;
}

/* A thread that saw the keeper run, was held up, and hands its request over when the keeper has stopped. */
static void who_submits_meanwhile_is_answered(void)
{
    struct keeper_kit kit;
    struct rcu_reader reader;
    pthread_t thread;
    keeper_kit_init(&kit);
    struct client client = {.loop = kit.loop};
    make_request(&client, &(struct deed){.kind = PUT});
    client.request.mail.deliver = keeper_receive;
    client.request.engine = kit.keeper;

    rcu_register(&kit.rcu, &reader);
    rcu_online(&reader);
    expect_int(pthread_create(&thread, NULL, stop_keeper, kit.keeper), 0);
    while (!atomic_load(&kit.keeper->is_stopped))
        sched_yield();
    for (int i = 0; i < 1000; i++)
        sched_yield();
    loop_post(kit.keeper->loop, &client.request.mail);
    rcu_offline(&reader);
    rcu_unregister(&reader);
    expect_int(pthread_join(thread, NULL), 0);
    loop_settle(kit.loop);
    expect_true(client.is_done);
    expect_int(client.request.outcome, STORE_STOPPED);
    keeper_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"what threads are told fits one order, the one they saw", what_threads_are_told_is_one_order},
    {"who submits while the keeper stops is answered", who_submits_meanwhile_is_answered},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
