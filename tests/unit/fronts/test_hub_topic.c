/* SPDX-License-Identifier: Apache-2.0 */
/* What a topic knows and tells, by the notices that wait in the queues of its dependants, which are held. */
#include "fronts/hub/hub_topic.h"

#include "catalog/directory_write.h"
#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

struct kit {
    struct rcu_domain rcu;
    struct directory *directory;
    struct hub_topics topics;
    struct sim *sim;
    struct errand_office office;
    struct hub_queue queue; /* of the one dependant */
    struct hub_need need;
    struct directory_stamp stamp;
    bool is_closed;
};

static void on_closed(struct hub_queue *queue)
{
    container_of(queue, struct kit, queue)->is_closed = true;
}

static struct kit *kit_new(void)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    expect_true(kit);
    rcu_init(&kit->rcu);
    expect_int(directory_new(&kit->rcu, &kit->directory), 0);
    expect_int(hub_topics_init(&kit->topics), 0);
    expect_int(sim_new(NULL, &kit->sim, &kit->office.loop), 0);
    hub_queue_init(&kit->queue, &kit->office, SLICE_LIT("10.0.0.1"), 81, on_closed);
    return kit;
}

static void kit_free(struct kit *kit)
{
    hub_need_deinit(&kit->need);
    hub_queue_close(&kit->queue);
    expect_true(kit->is_closed);
    expect_int(kit->topics.all.len, 0);
    hub_topics_deinit(&kit->topics);
    directory_free(kit->directory);
    rcu_deinit(&kit->rcu);
    loop_free(kit->office.loop);
    free(kit);
}

static void put_at(struct kit *kit, const char *id, const char *address, uint32_t reasons)
{
    const struct instance model = {
        .service = SLICE_LIT("log"),
        .id = slice_from_str(id),
        .reasons = reasons,
        .record = {.address = slice_from_str(address), .origin = SLICE_LIT("hub")},
    };
    struct instance *instance;
    expect_int(instance_new(&model, &instance), 0);
    kit->stamp.revision++;
    expect_int(directory_put(kit->directory, instance, &kit->stamp), 0);
    directory_publish(kit->directory);
    instance_unref(instance);
}

static void put(struct kit *kit, const char *id, uint32_t reasons)
{
    put_at(kit, id, id, reasons);
}

static const struct instance *get(struct kit *kit, const char *id)
{
    return directory_look_up(kit->directory, SLICE_LIT("log"), slice_from_str(id));
}

static void take(struct kit *kit, const char *id)
{
    kit->stamp.revision++;
    expect_int(directory_remove(kit->directory, get(kit, id), &kit->stamp), 0);
    directory_publish(kit->directory);
}

static struct hub_topic *require(struct kit *kit)
{
    expect_int(hub_need_init(&kit->need, &kit->topics, kit->directory, SLICE_LIT("log"), &kit->queue), 0);
    return kit->need.topic;
}

static void note(struct kit *kit, const char *id)
{
    expect_int(hub_topic_note(kit->need.topic, slice_from_str(id), get(kit, id)), 0);
}

static void expect_known(const struct hub_topic *topic, const char *except, const char *expected)
{
    struct buf text = {0};
    struct json_writer json;
    json_writer_init(&json, &text);
    expect_int(hub_topic_write(topic, slice_from_str(except), &json), 0);
    expect_int(json_writer_finish(&json), 0);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

#define OBJECT(id) "{\"Name\":\"log\",\"Addr\":\"" id "\",\"RequiredServices\":[]}"

static void it_begins_with_what_there_is(void)
{
    struct kit *kit = kit_new();
    put(kit, "b", 0);
    put(kit, "a", 0);
    put(kit, "held", 1U << INSTANCE_REASON_HELD); /* no key: not for clients of keys */
    const struct hub_topic *topic = require(kit);
    expect_known(topic, "", "[" OBJECT("a") "," OBJECT("b") "]");
    expect_known(topic, "a", "[" OBJECT("b") "]");
    expect_int(kit->queue.n_notices, 0);
    kit_free(kit);
}

/* A program that registers by two protocols is one: its entry comes with the first and goes with the last. */
static void one_address_is_one_entry(void)
{
    struct kit *kit = kit_new();
    put_at(kit, "a", "h:1", 0);
    put_at(kit, "b", "h:1", 0);
    struct hub_topic *topic = require(kit);
    expect_known(topic, "", "[" OBJECT("h:1") "]");
    put_at(kit, "c", "h:1", 0);
    note(kit, "c");
    take(kit, "a");
    note(kit, "a");
    expect_int(kit->queue.n_notices, 0);
    expect_known(topic, "", "[" OBJECT("h:1") "]");
    put_at(kit, "c", "h:2", 0);
    note(kit, "c");
    expect_int(kit->queue.n_notices, 1);
    take(kit, "b");
    note(kit, "b");
    expect_int(kit->queue.n_notices, 2);
    expect_known(topic, "", "[" OBJECT("h:2") "]");
    put_at(kit, "d", "h:2", 0);
    note(kit, "d");
    put_at(kit, "c", "h:3", 0); /* "d" goes on for it at the former address */
    note(kit, "c");
    expect_int(kit->queue.n_notices, 3);
    expect_known(topic, "", "[" OBJECT("h:3") "," OBJECT("h:2") "]");
    expect_true(!hub_topic_text(topic, SLICE_LIT("b")));
    kit_free(kit);
}

static void a_service_that_nobody_knows_is_empty(void)
{
    struct kit *kit = kit_new();
    expect_known(require(kit), "", "[]");
    expect_true(!hub_topics_find(&kit->topics, SLICE_LIT("web")));
    kit_free(kit);
}

static void news_is_told_and_nothing_twice(void)
{
    struct kit *kit = kit_new();
    require(kit);
    put(kit, "a", 0);
    note(kit, "a");
    note(kit, "a");
    expect_int(kit->queue.n_notices, 1);
    put(kit, "a", 1U << INSTANCE_REASON_FAILING); /* it did not come or go */
    note(kit, "a");
    expect_int(kit->queue.n_notices, 1);
    put(kit, "a", 1U << INSTANCE_REASON_HELD);
    note(kit, "a");
    expect_int(kit->queue.n_notices, 2);
    take(kit, "a");
    note(kit, "a");
    expect_int(kit->queue.n_notices, 2);
    kit_free(kit);
}

static void comparing_finds_what_was_missed(void)
{
    struct kit *kit = kit_new();
    put(kit, "a", 0);
    put(kit, "b", 0);
    struct hub_topic *topic = require(kit);
    take(kit, "a");
    put(kit, "c", 0);
    expect_int(hub_topic_compare(topic, kit->directory), 0);
    expect_int(kit->queue.n_notices, 2);
    expect_known(topic, "", "[" OBJECT("b") "," OBJECT("c") "]");
    expect_int(hub_topic_compare(topic, kit->directory), 0);
    expect_int(kit->queue.n_notices, 2);
    kit_free(kit);
}

static void another_address_is_a_departure_and_an_arrival(void)
{
    struct kit *kit = kit_new();
    put(kit, "a", 0);
    struct hub_topic *topic = require(kit);
    put_at(kit, "a", "b", 0);
    note(kit, "a");
    expect_int(kit->queue.n_notices, 2);
    put_at(kit, "a", "c", 0);
    expect_int(hub_topic_compare(topic, kit->directory), 0);
    expect_int(hub_topic_compare(topic, kit->directory), 0);
    expect_int(kit->queue.n_notices, 4);
    expect_known(topic, "", "[" OBJECT("c") "]");
    kit_free(kit);
}

static int require_or_fail(void *ctx)
{
    struct kit *kit = ctx;
    int r = hub_need_init(&kit->need, &kit->topics, kit->directory, SLICE_LIT("log"), &kit->queue);
    hub_need_deinit(&kit->need);
    expect_int(kit->topics.all.len, 0);
    return r;
}

static void any_allocation_may_fail(void)
{
    struct kit *kit = kit_new();
    put(kit, "a", 0);
    put(kit, "b", 0);
    expect_true(fault_alloc_sweep(require_or_fail, kit) > 4);
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"it begins with what there is", it_begins_with_what_there_is},
    {"one address is one entry", one_address_is_one_entry},
    {"a service that nobody knows is empty", a_service_that_nobody_knows_is_empty},
    {"news is told, and nothing twice", news_is_told_and_nothing_twice},
    {"comparing finds what was missed", comparing_finds_what_was_missed},
    {"another address is a departure and an arrival", another_address_is_a_departure_and_an_arrival},
    {"any allocation may fail", any_allocation_may_fail},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
