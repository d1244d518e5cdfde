/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/pursuit.h"

#include "support/curator_kit.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

#define S NSEC_PER_SEC

struct pursuer {
    struct pursuit pursuit;
    int64_t last; /* revision of the change told last */
    unsigned n_changes, n_gaps;
    int on_change_gives, on_gap_gives;
};

static int on_change(struct pursuit *pursuit, const struct catalog_change *change)
{
    struct pursuer *pursuer = container_of(pursuit, struct pursuer, pursuit);
    expect_true(change->revision > pursuer->last);
    pursuer->last = change->revision;
    pursuer->n_changes++;
    return pursuer->on_change_gives;
}

static int on_gap(struct pursuit *pursuit)
{
    struct pursuer *pursuer = container_of(pursuit, struct pursuer, pursuit);
    pursuer->n_gaps++;
    return pursuer->on_gap_gives;
}

static const struct pursuit_events events = {.on_change = on_change, .on_gap = on_gap};

static void change(struct curator_kit *kit, const char *address)
{
    expect_int(kit_register(kit, "a", address, 0), CURATOR_OK);
}

static void each_change_is_told_once(void)
{
    struct curator_kit kit;
    struct pursuer pursuer = {0};
    curator_kit_init(&kit);
    change(&kit, "http@10.0.0.1:80");
    expect_int(pursuit_start(&pursuer.pursuit, &events, kit.curator, kit.loop), 0);
    curator_kit_run(&kit);
    expect_int(pursuer.n_changes, 0);
    change(&kit, "http@10.0.0.1:81");
    pursuit_catch_up(&pursuer.pursuit); /* before the news is there, or after it */
    int64_t revision = catalog_revision(curator_catalog(kit.curator));
    expect_int(pursuer.last, revision);
    unsigned n = pursuer.n_changes;
    expect_true(n > 0);
    curator_kit_run(&kit);
    expect_int(pursuer.n_changes, n);
    change(&kit, "http@10.0.0.1:82");
    curator_kit_run(&kit);
    expect_true(pursuer.n_changes > n && pursuer.last > revision);
    expect_int(pursuer.n_gaps, 0);
    pursuit_stop(&pursuer.pursuit);
    curator_kit_deinit(&kit);
}

static void what_could_not_be_taken_is_a_gap(void)
{
    struct curator_kit kit;
    struct pursuer pursuer = {.on_change_gives = -ENOMEM, .on_gap_gives = -ENOMEM};
    curator_kit_init(&kit);
    expect_int(pursuit_start(&pursuer.pursuit, &events, kit.curator, kit.loop), 0);
    change(&kit, "http@10.0.0.1:80");
    curator_kit_run(&kit);
    expect_int(pursuer.n_changes, 1);
    expect_int(pursuer.n_gaps, 1);
    curator_kit_run_for(&kit, S);
    expect_int(pursuer.n_gaps, 2);
    pursuer.on_change_gives = pursuer.on_gap_gives = 0;
    curator_kit_run_for(&kit, S);
    curator_kit_run_for(&kit, 10 * S);
    expect_int(pursuer.n_gaps, 3);
    expect_int(pursuer.n_changes, 1);
    change(&kit, "http@10.0.0.1:81"); /* from here on it follows as before */
    curator_kit_run(&kit);
    expect_true(pursuer.n_changes > 1);
    expect_int(pursuer.n_gaps, 3);
    pursuit_stop(&pursuer.pursuit);
    curator_kit_deinit(&kit);
}

static void it_stops_while_behind(void)
{
    struct curator_kit kit;
    struct pursuer pursuer = {.on_change_gives = -ENOMEM, .on_gap_gives = -ENOMEM};
    curator_kit_init(&kit);
    expect_int(pursuit_start(&pursuer.pursuit, &events, kit.curator, kit.loop), 0);
    change(&kit, "http@10.0.0.1:80");
    curator_kit_run(&kit);
    pursuit_stop(&pursuer.pursuit);
    curator_kit_run_for(&kit, 2 * S);
    expect_int(pursuer.n_gaps, 1);
    curator_kit_deinit(&kit);
}

static void there_may_be_no_memory_to_start(void)
{
    struct curator_kit kit;
    struct pursuer pursuer = {0};
    curator_kit_init(&kit);
    fault_alloc_arm(1);
    expect_int(pursuit_start(&pursuer.pursuit, &events, kit.curator, kit.loop), -ENOMEM);
    expect_true(fault_alloc_disarm());
    curator_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"each change is told once", each_change_is_told_once},
    {"what could not be taken is a gap, which is told until it is closed", what_could_not_be_taken_is_a_gap},
    {"it stops while it is behind", it_stops_while_behind},
    {"there may be no memory to start", there_may_be_no_memory_to_start},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
