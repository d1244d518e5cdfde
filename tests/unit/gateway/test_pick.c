/* SPDX-License-Identifier: Apache-2.0 */
/* Who may be taken at all. How one of them is chosen: test_pick_balance.c. */
#include "support/pick_kit.h"
#include "support/test.h"

static const enum balance all_balances[] = {BALANCE_P2C, BALANCE_ROUND_ROBIN, BALANCE_RANDOM, BALANCE_LEAST,
                                            BALANCE_HASH};

static void try_all_but(struct pick_kit *kit, const char *left)
{
    struct plan_cursor at = {.service = kit->plan.service};
    kit->request.n_tried = 0;
    for (const struct target *target; (target = plan_next(&at));)
        if (!slice_equal_str(target->runtime->id, left))
            kit->request.tried[kit->request.n_tried++] = target->runtime;
}

static void of_none_nobody_is_taken(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_P2C);
    pick_kit_put(&kit, "a", 0);
    expect_true(plan_kit_make(&kit.plan));
    expect_int(kit.plan.service->n_withheld, 1);
    expect_str(pick_kit_take(&kit), "");
    expect_int(kit.result.n_draws, 0);
    pick_kit_deinit(&kit);
}

/* Whatever the algorithm, and however many there are. */
static void the_only_one_that_may_be_taken_is_taken(void)
{
    static const unsigned sizes[] = {1, 2, 3, 9, 40, 300};
    for (unsigned b = 0; b < ARRAY_LEN(all_balances); b++) {
        for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
            struct pick_kit kit;
            pick_kit_init(&kit, all_balances[b]);
            kit.plan.has_points = true;
            kit.request.has_key = true;
            plan_kit_put_many(&kit.plan, sizes[s]);
            expect_true(plan_kit_make(&kit.plan));
            struct plan_cursor at = {.service = kit.plan.service};
            for (const struct target *target; (target = plan_next(&at));)
                if (!slice_equal_str(target->runtime->id, "i0000"))
                    runtime_set(target->runtime, RUNTIME_STALLED);
            for (kit.request.key = 0; kit.request.key < 20; kit.request.key++)
                expect_str(pick_kit_take(&kit), "i0000");
            expect_int(kit.result.tier, PICK_NEAR);
            pick_kit_deinit(&kit);
        }
    }
}

static void those_suspected_are_taken_rather_than_nobody(void)
{
    for (unsigned b = 0; b < ARRAY_LEN(all_balances); b++) {
        struct pick_kit kit;
        pick_kit_init(&kit, all_balances[b]);
        pick_kit_put_three(&kit);
        pick_kit_trouble(&kit, "a", RUNTIME_STALLED);
        pick_kit_trouble(&kit, "b", RUNTIME_EJECTED);
        plan_kit_target(&kit.plan, "b")->runtime->ejected_until_ns = PICK_KIT_NOW_NS + NSEC_PER_SEC;
        pick_kit_trouble(&kit, "c", RUNTIME_GONE);
        expect_int(pick_kit_count(&kit, "c", 100), 0);
        expect_true(kit.result.target);
        pick_kit_trouble(&kit, "a", RUNTIME_GONE);
        pick_kit_trouble(&kit, "b", RUNTIME_GONE);
        expect_str(pick_kit_take(&kit), "");
        pick_kit_deinit(&kit);
    }
}

static void what_was_tried_is_never_taken_again(void)
{
    for (unsigned b = 0; b < ARRAY_LEN(all_balances); b++) {
        struct pick_kit kit;
        pick_kit_init(&kit, all_balances[b]);
        pick_kit_put_three(&kit);
        try_all_but(&kit, "b");
        expect_int(pick_kit_count(&kit, "b", 100), 100);
        try_all_but(&kit, "");
        expect_str(pick_kit_take(&kit), "");
        pick_kit_deinit(&kit);
    }
}

static void an_ejection_ends_by_itself(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_RANDOM);
    pick_kit_put_three(&kit);
    pick_kit_trouble(&kit, "a", RUNTIME_EJECTED);
    plan_kit_target(&kit.plan, "a")->runtime->ejected_until_ns = PICK_KIT_NOW_NS + NSEC_PER_SEC;
    expect_int(pick_kit_count(&kit, "a", 200), 0);
    kit.request.now_ns += NSEC_PER_SEC;
    expect_true(pick_kit_count(&kit, "a", 200) > 0);
    pick_kit_deinit(&kit);
}

static void the_last_resort_comes_last(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_P2C);
    pick_kit_put(&kit, "a", 1);
    plan_kit_put(&kit.plan,
                 &(struct plan_kit_instance){.id = "b", .weight = 1, .reasons = 1U << INSTANCE_REASON_SUSPECT});
    plan_kit_put(&kit.plan,
                 &(struct plan_kit_instance){.id = "c", .weight = 1, .reasons = 1U << INSTANCE_REASON_DRAINING});
    expect_true(plan_kit_make(&kit.plan));
    expect_int(kit.plan.service->n_withheld, 1);
    expect_int(pick_kit_count(&kit, "a", 50), 50);
    pick_kit_trouble(&kit, "a", RUNTIME_STALLED);
    expect_int(pick_kit_count(&kit, "b", 50), 50);
    expect_int(kit.result.tier, PICK_RESORT);
    pick_kit_trouble(&kit, "b", RUNTIME_GONE);
    expect_str(pick_kit_take(&kit), "a");
    pick_kit_deinit(&kit);
}

static void those_near_come_first(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_P2C);
    kit.plan.settings.zone = SLICE_LIT("z1");
    plan_kit_set_settings(&kit.plan);
    plan_kit_put(&kit.plan, &(struct plan_kit_instance){.id = "a", .weight = 1, .zone = "z1"});
    plan_kit_put(&kit.plan, &(struct plan_kit_instance){.id = "b", .weight = 1, .zone = "z2"});
    expect_true(plan_kit_make(&kit.plan));
    expect_int(pick_kit_count(&kit, "a", 50), 50);
    expect_int(kit.result.n_candidates, 1);
    pick_kit_trouble(&kit, "a", RUNTIME_STALLED);
    expect_int(pick_kit_count(&kit, "b", 50), 50);
    expect_int(kit.result.tier, PICK_OFFERED);
    plan_kit_remove(&kit.plan, "a");
    expect_true(plan_kit_make(&kit.plan));
    expect_str(pick_kit_take(&kit), "b");
    pick_kit_deinit(&kit);
}

static void stickiness_yields_to_health(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_P2C);
    pick_kit_put_three(&kit);
    kit.request.sticky = SLICE_LIT("b");
    expect_int(pick_kit_count(&kit, "b", 50), 50);
    expect_int(kit.result.tier, PICK_STICKY);
    pick_kit_trouble(&kit, "b", RUNTIME_STALLED);
    expect_int(pick_kit_count(&kit, "b", 50), 0);
    expect_int(kit.result.draws[0].verdict, PICK_STALLED);
    kit.request.sticky = SLICE_LIT("nobody");
    expect_true(pick_kit_take(&kit)[0] != '\0');
    pick_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"of none nobody is taken", of_none_nobody_is_taken},
    {"the only one that may be taken is taken", the_only_one_that_may_be_taken_is_taken},
    {"those suspected are taken rather than nobody, those gone never", those_suspected_are_taken_rather_than_nobody},
    {"what was tried is never taken again", what_was_tried_is_never_taken_again},
    {"an ejection ends by itself", an_ejection_ends_by_itself},
    {"the last resort comes last", the_last_resort_comes_last},
    {"those near come first", those_near_come_first},
    {"stickiness yields to health", stickiness_yields_to_health},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
