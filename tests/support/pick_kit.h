/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests for which an instance of one service is picked, at PICK_KIT_NOW_NS unless a test says otherwise.
 *
 *     struct pick_kit kit;
 *     pick_kit_init(&kit, BALANCE_P2C);
 *     pick_kit_put_three(&kit);
 *     expect_int(pick_kit_count(&kit, "a", 50), 0);
 *     pick_kit_deinit(&kit);
 */
#pragma once

#include "gateway/pick.h"
#include "support/plan_kit.h"

#define PICK_KIT_NOW_NS (1000 * NSEC_PER_SEC)

struct pick_kit {
    struct plan_kit plan; /* the service, made by plan_kit_make */
    struct random random;
    struct pick_request request;
    struct pick_result result; /* the last one */
};

void pick_kit_init(struct pick_kit *kit, enum balance balance);
void pick_kit_deinit(struct pick_kit *kit);

void pick_kit_put(struct pick_kit *kit, const char *id, unsigned weight);
/* Three alike, a, b and c, of which the service is made. */
void pick_kit_put_three(struct pick_kit *kit);

void pick_kit_trouble(struct pick_kit *kit, const char *id, enum runtime_trouble trouble);

/* The id of who was picked, until the next time; "": nobody. */
const char *pick_kit_take(struct pick_kit *kit);
/* How often it is this one, of n times. */
unsigned pick_kit_count(struct pick_kit *kit, const char *id, unsigned n);
