/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/loss.h"

#include "support/test.h"

#define SECONDS NSEC_PER_SEC

static const struct loss_rules rules = {.min = 3, .percent = 50, .window_ns = 5 * SECONDS};

struct scene {
    struct loss_window window;
    struct loss losses[8];
};

static void begin(struct scene *scene)
{
    loss_window_init(&scene->window);
    for (unsigned i = 0; i < ARRAY_LEN(scene->losses); i++)
        loss_init(&scene->losses[i]);
}

static void three_and_more_than_half(void)
{
    struct scene scene;
    begin(&scene);
    expect_false(loss_is_mass(&scene.window, &rules, 0));
    loss_add(&scene.window, &scene.losses[0], SECONDS);
    loss_add(&scene.window, &scene.losses[1], SECONDS);
    expect_false(loss_is_mass(&scene.window, &rules, 0)); /* all of two */
    loss_add(&scene.window, &scene.losses[2], SECONDS);
    expect_true(loss_is_mass(&scene.window, &rules, 0));
    expect_true(loss_is_mass(&scene.window, &rules, 2));
    expect_false(loss_is_mass(&scene.window, &rules, 3)); /* half */
}

static void it_leaves_when_the_window_has_passed(void)
{
    struct scene scene;
    begin(&scene);
    expect_int(loss_next(&scene.window, &rules), NSEC_NEVER);
    loss_add(&scene.window, &scene.losses[0], 1 * SECONDS);
    loss_add(&scene.window, &scene.losses[1], 2 * SECONDS);
    expect_int(loss_next(&scene.window, &rules), 6 * SECONDS);
    expect_true(loss_expire(&scene.window, &rules, 6 * SECONDS - 1) == NULL);
    expect_true(loss_expire(&scene.window, &rules, 6 * SECONDS) == &scene.losses[0]);
    expect_false(loss_counts(&scene.losses[0]));
    expect_true(loss_expire(&scene.window, &rules, 6 * SECONDS) == NULL);
    expect_int(scene.window.n, 1);
}

static void a_held_one_counts_but_is_not_gone(void)
{
    struct scene scene;
    begin(&scene);
    for (unsigned i = 0; i < 3; i++)
        loss_add(&scene.window, &scene.losses[i], SECONDS);
    expect_true(loss_first_gone(&scene.window) == &scene.losses[0]);
    loss_hold(&scene.losses[0]);
    expect_true(loss_first_gone(&scene.window) == &scene.losses[1]);
    expect_int(scene.window.n, 3);
    loss_forget(&scene.window, &scene.losses[1]);
    loss_forget(&scene.window, &scene.losses[1]); /* harmless */
    expect_true(loss_first_gone(&scene.window) == &scene.losses[2]);
    expect_int(scene.window.n, 2);
    expect_false(loss_is_mass(&scene.window, &rules, 0));
}

static const struct test_case cases[] = {
    {"three, and more than half", three_and_more_than_half},
    {"a loss leaves when the window has passed", it_leaves_when_the_window_has_passed},
    {"a held one counts, but is not gone", a_held_one_counts_but_is_not_gone},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
