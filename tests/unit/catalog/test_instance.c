/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances: copies are whole and their own, repeated texts are kept once, status and offer follow from the reasons.
 */
#include "catalog/instance.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

static const struct slice tags[] = {{"v2", 2}, {"canary", 6}};
static const struct slice needs[] = {{"db", 2}};
static const struct instance_pair metadata[] = {{{"expose", 6}, {"true", 4}}};
static const struct instance_check check = {
    .type = INSTANCE_CHECK_HTTP, .target = {"/health", 7}, .interval_ms = 5000, .timeout_ms = 1000, .to_fail = 3};
static const struct instance_details details = {
    .zone = {"a-zone", 6},
    .owner = {"alice", 5},
    .tags = tags,
    .needs = needs,
    .metadata = metadata,
    .n_tags = ARRAY_LEN(tags),
    .n_needs = ARRAY_LEN(needs),
    .n_metadata = ARRAY_LEN(metadata),
    .check = &check,
};
static const struct instance_order drain = {{"alice", 5}, {"new kernel", 10}, 17, 99};

static const struct instance_orders orders = {.drain = &drain};

static struct instance full_model(void)
{
    return (struct instance){
        .service = SLICE_LIT("web"),
        .id = SLICE_LIT("w1"),
        .key = SLICE_LIT("/muster/services/web/w1"),
        .record = {.address = SLICE_LIT("http@10.0.0.7:8080"),
                   .protocol = SLICE_LIT("http"),
                   .host = SLICE_LIT("10.0.0.7"),
                   .origin = SLICE_LIT("rest"),
                   .port = 8080,
                   .weight = 1,
                   .details = &details},
        .reasons = 1U << INSTANCE_REASON_DRAINING,
        .orders = &orders,
        .lease = 7,
        .incarnation = 3,
    };
}

static void a_copy_has_everything(void)
{
    struct instance model = full_model(), *copy;
    expect_int(instance_new(&model, &copy), 0);
    expect_slice(copy->service, "web");
    expect_slice(copy->id, "w1");
    expect_slice(copy->key, "/muster/services/web/w1");
    expect_slice(copy->record.address, "http@10.0.0.7:8080");
    expect_slice(copy->record.host, "10.0.0.7");
    const struct instance_details *its = instance_details(&copy->record);
    expect_slice(its->zone, "a-zone");
    expect_slice(its->session, "");
    expect_slice(its->tags[1], "canary");
    expect_slice(its->needs[0], "db");
    expect_slice(its->metadata[0].value, "true");
    expect_slice(its->check->target, "/health");
    expect_int(its->check->interval_ms, 5000);
    expect_slice(instance_orders(copy)->drain->reason, "new kernel");
    expect_int(instance_orders(copy)->drain->until_ms, 99);
    expect_true(instance_orders(copy)->maintenance == NULL);
    expect_int(copy->lease, 7);
    expect_true(its != &details && its->tags != tags && its->check != &check && instance_orders(copy)->drain != &drain);
    instance_unref(copy);
}

static void details_that_say_nothing_are_not_kept(void)
{
    static const struct instance_details nothing;
    struct instance model = full_model(), *copy;
    model.record.details = &nothing;
    expect_int(instance_new(&model, &copy), 0);
    expect_true(copy->record.details == NULL);
    expect_slice(instance_details(&copy->record)->zone, "");
    expect_true(instance_details(&copy->record)->check == NULL);
    instance_unref(copy);
}

static bool lies_in(struct slice part, struct slice whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static void repeated_texts_are_kept_once(void)
{
    struct instance model = full_model(), *copy;
    expect_int(instance_new(&model, &copy), 0);
    expect_true(lies_in(copy->service, copy->key));
    expect_true(lies_in(copy->id, copy->key));
    expect_true(lies_in(copy->record.host, copy->record.address));
    expect_true(lies_in(copy->record.protocol, copy->record.address));
    expect_true(instance_orders(copy)->drain->owner.ptr == instance_details(&copy->record)->owner.ptr);
    instance_unref(copy);
}

static void it_is_freed_with_its_last_reference(void)
{
    struct instance model = full_model(), *instance;
    expect_int(instance_new(&model, &instance), 0);
    instance_unref(instance_ref(instance));
    expect_slice(instance->id, "w1");
    instance_unref(instance);
    instance_unref(NULL);
}

static void status_is_the_weightiest_reason(void)
{
    struct instance instance = {0};
    expect_int(instance_status(&instance), INSTANCE_UP);
    expect_slice(instance_reason_text(instance_status(&instance)), "up");
    expect_int(instance_offer(&instance), INSTANCE_OFFERED);

    instance.reasons = 1U << INSTANCE_REASON_FLAPPING | 1U << INSTANCE_REASON_HELD;
    expect_slice(instance_reason_text(instance_status(&instance)), "held");
    expect_int(instance_offer(&instance), INSTANCE_LAST_RESORT);

    instance.reasons |= 1U << INSTANCE_REASON_DRAINING;
    expect_slice(instance_reason_text(instance_status(&instance)), "draining");
    expect_int(instance_offer(&instance), INSTANCE_WITHHELD);

    instance.reasons |= 1U << INSTANCE_REASON_MAINTENANCE;
    expect_slice(instance_reason_text(instance_status(&instance)), "maintenance");
}

static int make_one(void *arg)
{
    struct instance model = full_model(), *copy;
    (void)arg;
    int r = instance_new(&model, &copy);
    if (r == 0)
        instance_unref(copy);
    return r;
}

static void out_of_memory_is_an_error(void)
{
    expect_int(fault_alloc_sweep(make_one, NULL), 2);
}

static const struct test_case cases[] = {
    {"a copy has everything, and nothing of the model's", a_copy_has_everything},
    {"details that say nothing are not kept", details_that_say_nothing_are_not_kept},
    {"texts that repeat are kept once", repeated_texts_are_kept_once},
    {"it is freed with its last reference", it_is_freed_with_its_last_reference},
    {"the status is the weightiest reason", status_is_the_weightiest_reason},
    {"running out of memory is an error", out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
