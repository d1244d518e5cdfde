/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ring.h"

#include "support/plan_kit.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_KEYS = 200000 };

static bool any(void *ctx, const struct target *target)
{
    (void)ctx, (void)target;
    return true;
}

static uint64_t key_of(unsigned number)
{
    static const struct hash_key key = {7, 7};
    return hash_bytes(&key, slice_from(&number, sizeof(number)));
}

static unsigned number_of(const struct target *target)
{
    uint64_t number;
    expect_int(slice_parse_u64(slice_skip(target->runtime->id, 1), &number), 0);
    return (unsigned)number;
}

/* How many keys each instance has. */
static void count(const struct plan_tier *tier, unsigned *counts)
{
    for (unsigned i = 0; i < N_KEYS; i++)
        counts[number_of(ring_find(tier, key_of(i), any, NULL))]++;
}

static void keys_are_spread_evenly(void)
{
    static const unsigned sizes[] = {3, 10, 100, 1000};
    for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
        struct plan_kit kit;
        unsigned n = sizes[s], least = N_KEYS, most = 0;
        unsigned *counts = calloc(n, sizeof(counts[0]));
        plan_kit_init(&kit);
        kit.has_points = true;
        plan_kit_put_many(&kit, n);
        count(&plan_kit_make(&kit)->offered, counts);
        for (unsigned i = 0; i < n; i++) {
            least = counts[i] < least ? counts[i] : least;
            most = counts[i] > most ? counts[i] : most;
        }
        double mean = (double)N_KEYS / n;
        printf("# of %u instances: from %.2f to %.2f of the mean\n", n, least / mean, most / mean);
        expect_true(most < mean * 1.30 && least > mean * 0.40);
        plan_kit_deinit(&kit);
        free(counts);
    }
}

static void shares_are_as_weights(void)
{
    struct plan_kit kit;
    unsigned counts[50] = {0}, heavy = 0, light = 0;
    plan_kit_init(&kit);
    kit.has_points = true;
    for (unsigned i = 0; i < 50; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "i%u", i);
        plan_kit_put(&kit, &(struct plan_kit_instance){.id = id, .weight = i < 25 ? 300 : 100});
    }
    count(&plan_kit_make(&kit)->offered, counts);
    for (unsigned i = 0; i < 50; i++)
        *(i < 25 ? &heavy : &light) += counts[i];
    printf("# three times the weight gets %.2f times the keys\n", (double)heavy / light);
    expect_true(heavy > light * 27 / 10 && heavy < light * 33 / 10);
    plan_kit_deinit(&kit);
}

/* Of one that goes only its own keys move, and they come back with it. */
static void others_keep_their_keys(void)
{
    struct plan_kit kit;
    static unsigned owner[N_KEYS];
    unsigned n_moved = 0;
    plan_kit_init(&kit);
    kit.has_points = true;
    plan_kit_put_many(&kit, 100);
    const struct plan_service *service = plan_kit_make(&kit);
    for (unsigned i = 0; i < N_KEYS; i++)
        owner[i] = number_of(ring_find(&service->offered, key_of(i), any, NULL));
    plan_kit_remove(&kit, "i0042");
    service = plan_kit_make(&kit);
    for (unsigned i = 0; i < N_KEYS; i++) {
        unsigned now = number_of(ring_find(&service->offered, key_of(i), any, NULL));
        expect_true(now == owner[i] || owner[i] == 42);
        n_moved += now != owner[i];
    }
    expect_true(n_moved > N_KEYS / 200 && n_moved < N_KEYS / 50);
    plan_kit_put(&kit, &(struct plan_kit_instance){.id = "i0042", .weight = 1, .incarnation = 2});
    service = plan_kit_make(&kit);
    for (unsigned i = 0; i < N_KEYS; i++)
        expect_int(number_of(ring_find(&service->offered, key_of(i), any, NULL)), owner[i]);
    plan_kit_deinit(&kit);
}

/* Gateways beside each other must agree: what is written here never changes. */
static void it_is_the_same_in_every_process(void)
{
    struct plan_kit kit;
    uint64_t sum = 0;
    plan_kit_init(&kit);
    kit.has_points = true;
    plan_kit_put_many(&kit, 20);
    const struct plan_service *service = plan_kit_make(&kit);
    for (unsigned i = 0; i < 1000; i++)
        sum = sum * 31 + number_of(ring_find(&service->offered, key_of(i), any, NULL));
    expect_int(sum, 0xa452783464f2fc7a);
    plan_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"keys are spread evenly", keys_are_spread_evenly},
    {"shares are as weights", shares_are_as_weights},
    {"others keep their keys", others_keep_their_keys},
    {"it is the same in every process", it_is_the_same_in_every_process},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
