/* SPDX-License-Identifier: Apache-2.0 */
/* Circles of needs: by hand, deep, and random ones against reachability found by brute force. */
#include "fronts/api/api_cycles.h"

#include "support/test.h"

#include <stdlib.h>

static void nothing_has_no_circle(void)
{
    unsigned first[1] = {0}, component[1];
    expect_int(api_components(&(struct api_edges){0, first, NULL}, component), 0);
}

static void a_circle_is_one_component(void)
{
    /* 0 -> 1 -> 2 -> 0, 2 -> 3, 4 -> 0 */
    unsigned first[] = {0, 1, 2, 4, 4, 5}, targets[] = {1, 2, 0, 3, 0}, component[5];
    expect_int(api_components(&(struct api_edges){5, first, targets}, component), 0);
    expect_int(component[1], component[0]);
    expect_int(component[2], component[0]);
    expect_true(component[3] != component[0] && component[4] != component[0] && component[3] != component[4]);
}

#define DEEP 200000

static void a_long_chain_needs_no_stack(void)
{
    unsigned *first = calloc(DEEP + 1, sizeof(unsigned)), *targets = calloc(DEEP, sizeof(unsigned));
    unsigned *component = calloc(DEEP, sizeof(unsigned));
    for (unsigned i = 0; i < DEEP; i++) {
        first[i + 1] = i + 1;
        targets[i] = (i + 1) % DEEP;
    }
    expect_int(api_components(&(struct api_edges){DEEP, first, targets}, component), 0);
    for (unsigned i = 0; i < DEEP; i++)
        expect_int(component[i], 0);
    free(first);
    free(targets);
    free(component);
}

#define NODES 12

static void random_ones_are_as_reachability_says(void)
{
    uint64_t random = test_seed();
    for (unsigned round = 0; round < 500; round++) {
        bool reach[NODES][NODES] = {0};
        unsigned first[NODES + 1] = {0}, targets[NODES * NODES], component[NODES], n = 0;
        for (unsigned i = 0; i < NODES; i++) {
            for (unsigned k = 0; k < NODES; k++) {
                reach[i][k] = test_random(&random) % NODES == 0;
                if (reach[i][k])
                    targets[n++] = k;
            }
            first[i + 1] = n;
        }
        for (unsigned by = 0; by < NODES; by++)
            for (unsigned i = 0; i < NODES; i++)
                for (unsigned k = 0; k < NODES; k++)
                    reach[i][k] |= reach[i][by] && reach[by][k];
        expect_int(api_components(&(struct api_edges){NODES, first, targets}, component), 0);
        for (unsigned i = 0; i < NODES; i++)
            for (unsigned k = 0; k < NODES; k++)
                expect_int(component[i] == component[k], i == k || (reach[i][k] && reach[k][i]));
    }
}

static const struct test_case cases[] = {
    {"nothing has no circle", nothing_has_no_circle},
    {"a circle is one component", a_circle_is_one_component},
    {"a long chain needs no stack", a_long_chain_needs_no_stack},
    {"random graphs are as reachability says", random_ones_are_as_reachability_says},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
