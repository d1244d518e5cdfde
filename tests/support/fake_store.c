/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_store.h"

#include "base/assert.h"
#include "store/local/local_priv.h"
#include "store/request_check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct fake_store {
    struct store store; /* first */
    struct local local; /* without files and log */
    struct loop *loop;
    struct list subscribers;
    enum store_outcome refusal;
    size_t backup_bytes;
    unsigned n_news;
    bool is_held;
    struct store_request *first_held, **last_held;
};

static struct fake_store *fake_of(struct store *store)
{
    return container_of(store, struct fake_store, store);
}

static int64_t wall_ms(struct fake_store *fake)
{
    return loop_wall_now(fake->loop) / NSEC_PER_MSEC;
}

static void deliver_answer(struct mail *mail)
{
    struct store_request *request = container_of(mail, struct store_request, mail);
    request->done(request);
}

static void answer(struct store_request *request)
{
    request->mail.deliver = deliver_answer;
    loop_post(request->loop, &request->mail);
}

static void deliver_news(struct mail *mail)
{
    struct store_subscriber *subscriber = container_of(mail, struct store_subscriber, mail);
    atomic_store(&subscriber->posted, false);
    subscriber->on_news(subscriber);
}

static void tell_subscribers(struct fake_store *fake)
{
    list_for_each (link, &fake->subscribers) {
        struct store_subscriber *subscriber = container_of(link, struct store_subscriber, link);
        if (atomic_exchange(&subscriber->posted, true))
            continue;
        subscriber->mail.deliver = deliver_news;
        fake->n_news++;
        loop_post(subscriber->loop, &subscriber->mail);
    }
}

/* Publishes what was applied, and answers. */
static void publish(struct fake_store *fake)
{
    while (local_trim(&fake->local, 0))
        ;
    struct local_batch *batch = local_seal(&fake->local);
    if (!batch)
        batch = local_seal(&fake->local); /* nothing to close, or an allocation that a test let fail: try again */
    if (!batch)
        return;
    bool has_news = local_publish(&fake->local, batch, loop_now(fake->loop));
    struct store_request *request = local_batch_free(batch);
    while (request) {
        struct store_request *next = request->next;
        answer(request);
        request = next;
    }
    if (has_news)
        tell_subscribers(fake);
    local_reclaim(&fake->local);
}

static void back_up(struct fake_store *fake, struct store_request *request)
{
    request->outcome = fake->refusal;
    request->revision = mvcc_revision(fake->local.mvcc);
    request->backup_bytes = fake->backup_bytes;
    request->backup_fd = fake->refusal == STORE_OK ? memfd_create("backup", MFD_CLOEXEC) : -1;
    for (size_t i = 0; request->backup_fd >= 0 && i < fake->backup_bytes; i++) {
        char c = (char)i;
        ASSERT(write(request->backup_fd, &c, 1) == 1);
    }
    answer(request);
}

static void apply(struct fake_store *fake, struct store_request *request)
{
    if (request->type == STORE_BACKUP) {
        back_up(fake, request);
        return;
    }
    enum store_outcome outcome = store_request_check(request);
    if (fake->refusal != STORE_OK)
        outcome = fake->refusal;
    request->outcome = outcome;
    if (outcome == STORE_OK && local_apply(&fake->local, request, loop_now(fake->loop), wall_ms(fake)) < 0)
        request->outcome = outcome = STORE_OUT_OF_MEMORY;
    if (outcome != STORE_OK)
        answer(request);
}

static void engine_submit(struct store *store, struct store_request *request)
{
    struct fake_store *fake = fake_of(store);
    request->results = NULL;
    request->n_results = 0;
    if (fake->is_held) {
        request->next = NULL;
        *fake->last_held = request;
        fake->last_held = &request->next;
        return;
    }
    apply(fake, request);
    publish(fake);
}

static void engine_view(struct store *store, bool counted, struct store_view *ret_view)
{
    mvcc_view(fake_of(store)->local.mvcc, counted, ret_view);
}

static void engine_release(struct store *store, struct store_view *view)
{
    mvcc_release(fake_of(store)->local.mvcc, view);
}

static int engine_range(struct store *store, const struct store_view *view, const struct store_range *range,
                        store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    (void)store;
    return mvcc_view_range(view, range, on_kv, ctx, ret_result);
}

static const struct store_commit *engine_commit(struct store *store, const struct store_view *view, int64_t revision)
{
    (void)store;
    return mvcc_view_commit(view, revision);
}

static int64_t engine_lease_touch(struct store *store, int64_t lease, nsec_t now_ns)
{
    return lease_touch(fake_of(store)->local.leases, lease, now_ns);
}

static void engine_subscribe(struct store *store, struct store_subscriber *subscriber)
{
    atomic_init(&subscriber->posted, false);
    list_init(&subscriber->link);
    list_push_back(&fake_of(store)->subscribers, &subscriber->link);
}

static void engine_unsubscribe(struct store *store, struct store_subscriber *subscriber)
{
    (void)store;
    list_remove(&subscriber->link);
    loop_settle(subscriber->loop);
}

static void engine_identify(struct store *store, struct store_identity *ret_identity)
{
    (void)store;
    *ret_identity = (struct store_identity){.cluster_id = 0x1234, .member_id = 0x5678};
}

static void engine_measure(struct store *store, struct store_size *ret_size)
{
    struct store_view view;
    mvcc_view(fake_of(store)->local.mvcc, false, &view);
    *ret_size = (struct store_size){.disk_bytes = 123456, .data_bytes = mvcc_view_live_bytes(&view)};
}

static enum store_outcome engine_refusal(struct store *store)
{
    return fake_of(store)->refusal;
}

static void engine_notes(struct store *store, store_note_fn fn, void *ctx)
{
    notes_each(fake_of(store)->local.notes, fn, ctx);
}

static int engine_docs(struct store *store, struct slice prefix, store_doc_fn fn, void *ctx)
{
    docs_each(fake_of(store)->local.docs, prefix, fn, ctx);
    return 0;
}

static const struct store_engine engine = {
    .name = "fake",
    .view = engine_view,
    .release = engine_release,
    .range = engine_range,
    .submit = engine_submit,
    .lease_touch = engine_lease_touch,
    .commit = engine_commit,
    .subscribe = engine_subscribe,
    .unsubscribe = engine_unsubscribe,
    .identify = engine_identify,
    .measure = engine_measure,
    .refusal = engine_refusal,
    .notes = engine_notes,
    .docs = engine_docs,
};

int fake_store_new(struct loop *loop, struct rcu_domain *rcu, struct store **ret_store)
{
    struct fake_store *fake = calloc(1, sizeof(*fake));
    if (!fake)
        return -ENOMEM;
    fake->store.engine = &engine;
    fake->loop = loop;
    list_init(&fake->subscribers);
    fake->last_held = &fake->first_held;
    local_options_init(&fake->local.options);
    /* So that the memory of what is over is bounded soon. */
    fake->local.options.notes_bytes = fake->local.options.timeline_bytes = 65536;
    fake->local.rcu = rcu;
    if (local_parts_new(&fake->local, loop_now(loop)) < 0) {
        fake_store_free(&fake->store);
        return -ENOMEM;
    }
    *ret_store = &fake->store;
    return 0;
}

void fake_store_free(struct store *store)
{
    struct fake_store *fake = fake_of(store);
    ASSERT(list_is_empty(&fake->subscribers));
    struct local_batch *batch = local_seal(&fake->local);
    if (batch)
        (void)local_batch_free(batch);
    local_parts_free(&fake->local);
    free(fake);
}

void fake_store_refuse(struct store *store, enum store_outcome outcome)
{
    fake_of(store)->refusal = outcome;
}

void fake_store_set_backup(struct store *store, size_t n_bytes)
{
    fake_of(store)->backup_bytes = n_bytes;
}

unsigned fake_store_n_news(const struct store *store)
{
    return container_of((uintptr_t)store, struct fake_store, store)->n_news;
}

void fake_store_hold(struct store *store, bool held)
{
    struct fake_store *fake = fake_of(store);
    fake->is_held = held;
    while (!held && fake->first_held) {
        struct store_request *request = fake->first_held;
        fake->first_held = request->next;
        apply(fake, request);
    }
    if (!held)
        fake->last_held = &fake->first_held;
    publish(fake);
}

unsigned fake_store_expire(struct store *store)
{
    struct fake_store *fake = fake_of(store);
    unsigned n =
        local_expire(&fake->local, loop_now(fake->loop), loop_now(fake->loop), wall_ms(fake), LOCAL_EXPIRE_MAX);
    publish(fake);
    return n;
}

static void ignore(struct store_request *request)
{
    (void)request;
}

/* Submits and waits for the answer, which is mail to the loop. */
static int64_t ask(struct fake_store *fake, struct store_request *request)
{
    request->loop = fake->loop;
    request->done = ignore;
    engine_submit(&fake->store, request);
    loop_settle(fake->loop);
    ASSERT(request->outcome == STORE_OK);
    int64_t revision = request->revision;
    store_request_deinit(request);
    return revision;
}

int64_t fake_store_put(struct store *store, const char *key, const char *value)
{
    struct store_op op = {.type = STORE_OP_PUT, .put = {slice_from_str(key), slice_from_str(value), .lease = 0}};
    return ask(fake_of(store), &(struct store_request){.type = STORE_TXN, .txn = {.success = &op, .n_success = 1}});
}

int64_t fake_store_delete(struct store *store, const char *key)
{
    struct store_op op = {.type = STORE_OP_DELETE, .del = {.key = slice_from_str(key)}};
    return ask(fake_of(store), &(struct store_request){.type = STORE_TXN, .txn = {.success = &op, .n_success = 1}});
}

int64_t fake_store_compact(struct store *store, int64_t revision)
{
    return ask(fake_of(store), &(struct store_request){.type = STORE_COMPACT, .compact_revision = revision});
}
