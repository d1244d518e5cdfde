/* SPDX-License-Identifier: Apache-2.0 */
/* The scout with its real thread. */
#include "http/scout.h"
#include "support/test.h"

#include <errno.h>

struct part {
    struct scout_part part;
    struct errand errand;
    int start_result, n_started, n_stopped, n_done;
};

static void on_done(struct errand *errand)
{
    container_of(errand, struct part, errand)->n_done++;
}

/* Asks for a name, so that stopping finds it busy or done. */
static int start(struct scout_part *scout_part, struct errand_office *office)
{
    struct part *part = container_of(scout_part, struct part, part);
    if (part->start_result < 0)
        return part->start_result;
    part->n_started++;
    part->errand.on_done = on_done;
    part->errand.request = (struct errand_request){
        .host = SLICE_LIT("127.0.0.1"),
        .port = 1,
        .method = SLICE_LIT("GET"),
        .target = SLICE_LIT("/"),
        .timeout_ns = 10 * NSEC_PER_SEC,
    };
    errand_start(office, &part->errand);
    return 0;
}

static void stop(struct scout_part *scout_part)
{
    struct part *part = container_of(scout_part, struct part, part);
    part->n_stopped++;
    errand_cancel(&part->errand);
}

static const struct scout_part hooks = {.start = start, .stop = stop};

static void parts_are_started_and_stopped(void)
{
    struct rcu_domain rcu;
    struct scout *scout;
    struct part parts[2] = {{.part = hooks}, {.part = hooks}};
    rcu_init(&rcu);
    expect_int(scout_new(&rcu, &scout, NULL), 0);
    scout_add(scout, &parts[0].part);
    scout_add(scout, &parts[1].part);
    for (int round = 1; round <= 2; round++) {
        expect_int(scout_start(scout, NULL), 0);
        scout_stop(scout);
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            expect_int(parts[i].n_started, round);
            expect_int(parts[i].n_stopped, round);
            expect_int(parts[i].n_done, round);
            errand_deinit(&parts[i].errand);
        }
    }
    scout_free(scout);
    rcu_deinit(&rcu);
}

static void a_part_that_cannot_start_stops_the_others(void)
{
    struct rcu_domain rcu;
    struct scout *scout;
    struct err err;
    struct part parts[3] = {{.part = hooks}, {.part = hooks, .start_result = -EMFILE}, {.part = hooks}};
    rcu_init(&rcu);
    expect_int(scout_new(&rcu, &scout, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        scout_add(scout, &parts[i].part);
    expect_int(scout_start(scout, &err), -EMFILE);
    expect_int(parts[0].n_stopped, 1);
    expect_int(parts[0].n_done, 1);
    expect_int(parts[1].n_stopped, 0);
    expect_int(parts[2].n_started, 0);
    errand_deinit(&parts[0].errand);
    scout_free(scout);
    rcu_deinit(&rcu);
}

static const struct test_case cases[] = {
    {"parts are started and stopped", parts_are_started_and_stopped},
    {"a part that cannot start stops the others", a_part_that_cannot_start_stops_the_others},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
