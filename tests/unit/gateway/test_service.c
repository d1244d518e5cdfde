/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

#include "gateway/ring.h"
#include "support/fault_alloc.h"
#include "support/plan_kit.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------ runtimes */

static void a_runtime_is_kept_while_its_incarnation_and_address_are(void)
{
    struct plan_kit kit;
    plan_kit_init(&kit);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1});
    plan_kit_make(&kit);
    struct runtime *first = runtime_ref(plan_kit_target(&kit, "a")->runtime);

    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 5, .reasons = 1U << INSTANCE_REASON_FAILING});
    plan_kit_make(&kit);
    expect_true(plan_kit_target(&kit, "a")->runtime == first);
    expect_int(plan_kit_target(&kit, "a")->places, 0);

    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1, .address = "10.0.0.2:80"});
    plan_kit_make(&kit);
    struct runtime *second = runtime_ref(plan_kit_target(&kit, "a")->runtime);
    expect_true(second != first);
    expect_true(runtime_has(first, RUNTIME_GONE));
    expect_false(runtime_has(second, RUNTIME_GONE));

    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1, .address = "10.0.0.2:80", .incarnation = 2});
    plan_kit_make(&kit);
    expect_true(plan_kit_target(&kit, "a")->runtime != second);
    expect_true(runtime_has(second, RUNTIME_GONE));
    struct runtime *third = runtime_ref(plan_kit_target(&kit, "a")->runtime);
    plan_kit_remove(&kit, "a");
    plan_kit_make(&kit);
    expect_true(runtime_has(third, RUNTIME_GONE));
    runtime_unref(first);
    runtime_unref(second);
    runtime_unref(third);
    plan_kit_deinit(&kit);
}

static void its_age_begins_when_it_is_first_offered(void)
{
    struct plan_kit kit;
    plan_kit_init(&kit);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1, .reasons = 1U << INSTANCE_REASON_STARTING});
    plan_kit_make(&kit);
    struct runtime *runtime = plan_kit_target(&kit, "a")->runtime;
    expect_int(runtime->since_ns, NSEC_NEVER);
    kit.since_ns = 55;
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1});
    expect_int(plan_kit_make(&kit)->offered.since_ns, 55);
    kit.since_ns = 66;
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1, .reasons = 1U << INSTANCE_REASON_DRAINING});
    plan_kit_make(&kit);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1});
    expect_int(plan_kit_make(&kit)->offered.since_ns, 55);
    plan_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ addresses */

struct address_row {
    const char *address;
    const char *expected; /* "": it is not used */
    bool is_odd;          /* used when odd addresses are allowed */
};

static const struct address_row addresses[] = {
    {"10.0.0.1:80", "10.0.0.1:80", false},
    {"http@10.0.0.1:80", "10.0.0.1:80", false},
    {"https://10.0.0.1", "", false}, /* there is no TLS */
    {"[fd00::1]:81", "[fd00::1]:81", false},
    {"127.0.0.1:80", "127.0.0.1:80", false},
    {"169.254.169.254:80", "169.254.169.254:80", true},
    {"[fe80::1]:80", "[fe80::1]:80", true},
    {"[::ffff:169.254.1.1]:80", "[::ffff:169.254.1.1]:80", true},
    {"0.0.0.0:80", "0.0.0.0:80", true},
    {"[::]:80", "[::]:80", true},
    {"224.0.0.1:80", "224.0.0.1:80", true},
    {"255.255.255.255:80", "255.255.255.255:80", true},
    {"[ff02::1]:80", "[ff02::1]:80", true},
    {"unix@/run/a.sock", "unix:/run/a.sock", false},
    {"unix:///run/a.sock", "unix:/run/a.sock", false},
    {"some words", "", false},
};

static void addresses_are_taken_as_far_as_they_are_allowed(void)
{
    for (unsigned i = 0; i < 2 * ARRAY_LEN(addresses); i++) {
        const struct address_row *row = &addresses[i / 2];
        struct plan_kit kit;
        char text[ADDR_TEXT_MAX];
        plan_kit_init(&kit);
        kit.settings.odd_addresses = i % 2;
        plan_kit_set_settings(&kit);
        plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1, .address = row->address});
        const struct plan_service *service = plan_kit_make(&kit);
        bool is_used = row->expected[0] && (!row->is_odd || kit.settings.odd_addresses);
        expect_int(service->offered.n, is_used);
        expect_int(service->n_withheld, !is_used);
        if (is_used)
            expect_slice(addr_format(&service->offered.targets[0]->runtime->addr, text), row->expected);
        plan_kit_deinit(&kit);
    }
}

/* ------------------------------------------------------------------------------------------------ what is said */

static void the_last_registered_says_how_it_is_treated(void)
{
    static const struct instance_pair old_words[] = {
        {SLICE_LIT("gateway.balance"), SLICE_LIT("random")},
        {SLICE_LIT("expose"), SLICE_LIT("true")},
    };
    static const struct instance_pair new_words[] = {
        {SLICE_LIT("gateway.balance"), SLICE_LIT("round_robin")},
        {SLICE_LIT("gateway.timeout"), SLICE_LIT("soon")},
        {SLICE_LIT("gateway.balanse"), SLICE_LIT("random")},
    };
    struct plan_kit kit;
    plan_kit_init(&kit);
    plan_kit_put(&kit, &(struct plan_kit_instance){
                           .id = "z", .weight = 1, .registered_ms = 5, .metadata = old_words, .n_metadata = 2});
    const struct plan_service *service = plan_kit_make(&kit);
    expect_int(service->policy.balance, BALANCE_RANDOM);
    expect_true(service->is_exposed);
    expect_str(kit.fault.text, "");
    plan_kit_put(&kit, &(struct plan_kit_instance){
                           .id = "a", .weight = 1, .registered_ms = 9, .metadata = new_words, .n_metadata = 3});
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "b", .weight = 1, .registered_ms = 10});
    service = plan_kit_make(&kit);
    expect_int(service->policy.balance, BALANCE_ROUND_ROBIN);
    expect_false(service->is_exposed);
    expect_true(strstr(kit.fault.text, "gateway.timeout") != NULL);
    plan_kit_remove(&kit, "a");
    service = plan_kit_make(&kit);
    expect_int(service->policy.balance, BALANCE_RANDOM);
    plan_kit_deinit(&kit);
}

static void what_the_last_instance_said_holds_on(void)
{
    static const struct instance_pair words[] = {
        {SLICE_LIT("gateway.strip"), SLICE_LIT("true")},
        {SLICE_LIT("gateway.route"), SLICE_LIT("/shop")},
        {SLICE_LIT("expose"), SLICE_LIT("true")},
    };
    struct plan_kit kit;
    plan_kit_init(&kit);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1, .metadata = words, .n_metadata = 3});
    plan_kit_make(&kit);
    plan_kit_remove(&kit, "a");
    const struct plan_service *service = plan_kit_make(&kit);
    expect_int(service->offered.n, 0);
    expect_true(service->is_exposed);
    expect_true(service->policy.strip);
    expect_true(service->voice);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "b", .weight = 1}); /* the next one says nothing of it */
    service = plan_kit_make(&kit);
    expect_false(service->is_exposed);
    expect_false(service->policy.strip);
    plan_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ versions */

#define MODEL_MAX 400

/* One instance of the naive model. */
struct model {
    bool is_there, is_offered, is_resort, is_near;
    unsigned weight;
    uint64_t incarnation;
    const struct runtime *runtime; /* while the incarnation lasts */
};

static void check_tier(const struct plan_tier *tier, const struct model *models, unsigned place)
{
    unsigned n = 0;
    uint64_t weight = 0;
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        const struct model *model = &models[i];
        bool is_in = place == PLACE_NEAR      ? model->is_offered && model->is_near
                     : place == PLACE_OFFERED ? model->is_offered
                                              : model->is_resort;
        if (!model->is_there || !is_in || model->weight == 0)
            continue;
        char id[16];
        (void)snprintf(id, sizeof(id), "i%04u", i);
        expect_slice(tier->targets[n]->runtime->id, id);
        weight += model->weight;
        if (tier->weight_sums)
            expect_int(tier->weight_sums[n], weight);
        else
            expect_int(tier->targets[n]->weight, tier->targets[0]->weight);
        n++;
    }
    expect_int(tier->n, n);
    expect_int(tier->weight, weight);
}

/* What was made from the version before must be what is made from nothing. */
static void check_points(const struct plan_service *service, const struct plan_tier *tier, unsigned place)
{
    struct plan_tier fresh = {.points_scale = tier->points_scale};
    const struct ring_source source = {service->chunks, service->n_chunks, place};
    if (tier->n == 0)
        return;
    expect_int(ring_new(&source, &fresh), 0);
    expect_int(tier->n_points, fresh.n_points);
    expect_int(memcmp(tier->points, fresh.points, fresh.n_points * sizeof(fresh.points[0])), 0);
    free((void *)(uintptr_t)fresh.points);
}

static void check(const struct plan_kit *kit, struct model *models)
{
    const struct plan_service *service = kit->service;
    unsigned n_near = 0;
    for (unsigned i = 0; i < MODEL_MAX; i++)
        n_near += models[i].is_there && models[i].is_offered && models[i].is_near && models[i].weight > 0;
    bool has_near = n_near > 0 && n_near < service->offered.n;
    check_tier(&service->near, models, has_near ? PLACE_NEAR : PLACE_OFFERED);
    check_tier(&service->offered, models, PLACE_OFFERED);
    check_tier(&service->resort, models, PLACE_RESORT);
    check_points(service, &service->near, has_near ? PLACE_NEAR : PLACE_OFFERED);
    check_points(service, &service->offered, PLACE_OFFERED);
    check_points(service, &service->resort, PLACE_RESORT);
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "i%04u", i);
        const struct target *target = plan_find_target(service, slice_from_str(id));
        expect_int(target != NULL, models[i].is_there);
        if (!target)
            continue;
        expect_false(runtime_has(target->runtime, RUNTIME_GONE));
        expect_int(target->runtime->incarnation, models[i].incarnation);
        if (models[i].runtime)
            expect_true(target->runtime == models[i].runtime);
        models[i].runtime = target->runtime;
    }
}

static void change(struct plan_kit *kit, struct model *models, uint64_t *seed)
{
    unsigned i = (unsigned)(test_random(seed) % MODEL_MAX);
    struct model *model = &models[i];
    char id[16];
    (void)snprintf(id, sizeof(id), "i%04u", i);
    if (model->is_there && test_random(seed) % 3 == 0) {
        model->is_there = false;
        model->runtime = NULL;
        plan_kit_remove(kit, id);
        return;
    }
    if (!model->is_there || test_random(seed) % 3 == 0) {
        model->incarnation++;
        model->runtime = NULL;
    }
    static const uint32_t reasons[] = {0, 0, 0, 1U << INSTANCE_REASON_SUSPECT, 1U << INSTANCE_REASON_FAILING};
    uint32_t reason = reasons[test_random(seed) % ARRAY_LEN(reasons)];
    model->is_there = true;
    model->is_offered = reason == 0;
    model->is_resort = reason == 1U << INSTANCE_REASON_SUSPECT;
    model->is_near = test_random(seed) % 2;
    model->weight = test_random(seed) % 4 ? 1 : (unsigned)(test_random(seed) % 200);
    plan_kit_put(kit, &(struct plan_kit_instance){.id = id,
                                                  .weight = model->weight,
                                                  .incarnation = model->incarnation,
                                                  .zone = model->is_near ? "here" : "there",
                                                  .reasons = reason});
}

static void any_row_of_changes_gives_what_a_naive_model_has(void)
{
    uint64_t seed = test_seed();
    struct plan_kit kit;
    struct model *models = calloc(MODEL_MAX, sizeof(*models));
    plan_kit_init(&kit);
    kit.has_points = true;
    kit.settings.zone = SLICE_LIT("here");
    plan_kit_set_settings(&kit);
    for (unsigned round = 0; round < 1500; round++) {
        for (uint64_t n = 1 + test_random(&seed) % (round % 50 == 0 ? 300 : 4); n > 0; n--)
            change(&kit, models, &seed);
        if (test_random(&seed) % 100 == 0)
            plan_kit_set_settings(&kit);
        expect_true(plan_kit_make(&kit));
        check(&kit, models);
    }
    plan_kit_deinit(&kit);
    free(models);
}

/* A change makes one chunk anew; all others are shared. */
static void versions_share_their_chunks(void)
{
    struct plan_kit kit;
    plan_kit_init(&kit);
    plan_kit_put_many(&kit, 1000);
    const struct plan_service *service = plan_kit_make(&kit);
    struct plan_chunk *before[64];
    unsigned n_before = service->n_chunks, n_shared = 0;
    memcpy(before, service->chunks, n_before * sizeof(before[0]));
    for (unsigned i = 0; i < n_before; i++)
        (void)chunk_ref(before[i]);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "i0500", .weight = 1, .incarnation = 2});
    service = plan_kit_make(&kit);
    expect_int(service->n_chunks, n_before);
    for (unsigned i = 0; i < n_before; i++) {
        n_shared += service->chunks[i] == before[i];
        chunk_unref(before[i]);
    }
    expect_int(n_shared, n_before - 1);
    plan_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ without memory */

static int make_versions(void *arg)
{
    struct plan_kit *kit = arg;
    kit->has_points = !kit->has_points;
    kit->is_forced = true;
    return plan_kit_make(kit) ? 0 : -ENOMEM;
}

static void without_memory_the_version_before_stays(void)
{
    struct plan_kit kit;
    plan_kit_init(&kit);
    plan_kit_put_many(&kit, 150);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "j", .weight = 3, .address = "some.host:80"});
    expect_true(plan_kit_make(&kit));
    expect_true(fault_alloc_sweep(make_versions, &kit) > 5);
    expect_int(kit.service->offered.n, 150);
    plan_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"a runtime is kept while its incarnation and address are",
     a_runtime_is_kept_while_its_incarnation_and_address_are},
    {"its age begins when it is first offered", its_age_begins_when_it_is_first_offered},
    {"addresses are taken as far as they are allowed", addresses_are_taken_as_far_as_they_are_allowed},
    {"the last registered says how it is treated", the_last_registered_says_how_it_is_treated},
    {"what the last instance said holds on", what_the_last_instance_said_holds_on},
    {"any row of changes gives what a naive model has", any_row_of_changes_gives_what_a_naive_model_has},
    {"versions share their chunks", versions_share_their_chunks},
    {"without memory the version before stays", without_memory_the_version_before_stays},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
