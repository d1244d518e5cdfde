/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to instances that close them, and what may go over one that was used before. */
#include "support/gateway_kit.h"
#include "support/test.h"

#define MS NSEC_PER_MSEC
#define S  NSEC_PER_SEC

static void liars_cost_nothing(void)
{
    static const enum kit_how hows[] = {KIT_LIAR, KIT_RUDE, KIT_CLOSE};
    for (unsigned h = 0; h < ARRAY_LEN(hows); h++) {
        struct gateway_kit kit;
        gateway_kit_init(&kit, 2);
        kit.instances[0].how = kit.instances[1].how = hows[h];
        for (unsigned i = 1; i <= 300; i++)
            expect_int(gateway_kit_ask(&kit, i % 3 ? "GET" : "POST", i, i % 3 ? 0 : 50, 5 * MS), 200);
        for (unsigned i = 3; i <= 300; i += 3)
            expect_int(kit.n_seen[i], 1);
        gateway_kit_deinit(&kit);
    }
}

/* An instance that only gets POSTs is asked once whether it answers twice on a connection. */
static void posts_use_connections_again_when_that_is_proven(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    for (unsigned i = 1; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 10 * MS), 200);
    expect_int(kit.instances[0].n_proofs, 1);
    expect_true(kit.instances[0].n_connects < 10);
    gateway_kit_deinit(&kit);

    gateway_kit_prepare(&kit, 1);
    kit.settings.prove = false;
    expect_int(gateway_kit_start(&kit), 0);
    for (unsigned i = 1; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 10 * MS), 200);
    expect_int(kit.instances[0].n_proofs, 0);
    expect_int(kit.instances[0].n_connects, 100);
    gateway_kit_deinit(&kit);
}

/* It closes behind each request, but not behind our question: that is no sign that it answers twice. */
static void a_proof_is_none_for_the_next_one(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_CLOSE;
    kit.instances[0].answers_proofs = true;
    for (unsigned i = 1; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 1000 * MS), 200);
    expect_true(kit.instances[0].n_proofs >= 3);
    expect_int(kit.instances[0].n_connects, 100 + kit.instances[0].n_proofs);
    gateway_kit_deinit(&kit);
}

/* Some of its connections answer twice; of others it closes one behind its answer, as any might be. */
static void an_end_without_a_word_outweighs_a_proof(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, 10 * MS), 200);
    kit.instances[0].how = KIT_RUDE;
    kit.instances[0].answers_proofs = true;
    expect_int(gateway_kit_ask(&kit, "POST", 2, 50, 100 * MS), 200);
    kit.instances[0].how = KIT_LIAR;
    for (unsigned i = 3; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 10 * MS), 200);
    gateway_kit_deinit(&kit);
}

/* GETs take what there is, and do not vouch for what a POST would take. */
static void an_end_without_a_word_outweighs_answers(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, 10 * MS), 200);
    expect_int(gateway_kit_ask(&kit, "GET", 2, 0, 10 * MS), 200);
    kit.instances[0].how = KIT_RUDE;
    expect_int(gateway_kit_ask(&kit, "GET", 3, 0, 10 * MS), 200);
    kit.instances[0].how = KIT_OK;
    for (unsigned i = 4; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, i % 2 ? "GET" : "POST", i, i % 2 ? 0 : 50, 10 * MS), 200);
    const unsigned n_connects = kit.instances[0].n_connects;
    expect_int(n_connects, 2 + 97 / 2); /* each POST's is new, which the next GET takes */

    gateway_kit_run_for(&kit, 10 * S);
    for (unsigned i = 101; i <= 200; i++)
        expect_int(gateway_kit_ask(&kit, i % 2 ? "GET" : "POST", i, i % 2 ? 0 : 50, 10 * MS), 200);
    expect_true(kit.instances[0].n_connects < n_connects + 5); /* it is forgotten after a while */
    gateway_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"instances that close connections cost nothing, nor do they get a POST twice", liars_cost_nothing},
    {"POSTs use connections again when that is proven", posts_use_connections_again_when_that_is_proven},
    {"an end without a word outweighs a proof", an_end_without_a_word_outweighs_a_proof},
    {"an end without a word outweighs answers", an_end_without_a_word_outweighs_answers},
    {"a proof's connection is none that a request has used", a_proof_is_none_for_the_next_one},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
