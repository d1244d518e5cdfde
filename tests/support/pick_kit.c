/* SPDX-License-Identifier: Apache-2.0 */
/* See pick_kit.h. */
#include "support/pick_kit.h"

#include "support/test.h"

#include <stdio.h>

void pick_kit_init(struct pick_kit *kit, enum balance balance)
{
    *kit = (struct pick_kit){.request = {.balance = balance, .now_ns = PICK_KIT_NOW_NS}};
    plan_kit_init(&kit->plan);
    random_init(&kit->random, 20261121); /* always the same: what is counted has limits that chance could break */
}

void pick_kit_deinit(struct pick_kit *kit)
{
    plan_kit_deinit(&kit->plan);
}

void pick_kit_put(struct pick_kit *kit, const char *id, unsigned weight)
{
    plan_kit_put(&kit->plan, &(struct plan_kit_instance){.id = id, .weight = weight});
}

void pick_kit_put_three(struct pick_kit *kit)
{
    pick_kit_put(kit, "a", 1);
    pick_kit_put(kit, "b", 1);
    pick_kit_put(kit, "c", 1);
    expect_true(plan_kit_make(&kit->plan));
}

const char *pick_kit_take(struct pick_kit *kit)
{
    static char id[64];
    pick(kit->plan.service, &kit->request, &kit->random, &kit->result);
    struct slice name = kit->result.target ? kit->result.target->runtime->id : SLICE_LIT("");
    (void)snprintf(id, sizeof(id), "%.*s", SLICE_ARG(name));
    return id;
}

unsigned pick_kit_count(struct pick_kit *kit, const char *id, unsigned n)
{
    unsigned n_taken = 0;
    for (unsigned i = 0; i < n; i++)
        n_taken += strcmp(pick_kit_take(kit), id) == 0;
    return n_taken;
}

void pick_kit_trouble(struct pick_kit *kit, const char *id, enum runtime_trouble trouble)
{
    runtime_set(plan_kit_target(&kit->plan, id)->runtime, trouble);
}
