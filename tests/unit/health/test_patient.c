/* SPDX-License-Identifier: Apache-2.0 */
/* When an instance is looked at, and what the looks add up to. */
#include "catalog/instance_record.h"
#include "health/patient.h"
#include "support/test.h"

#include <stdio.h>

#define INTERVAL_NS (10 * NSEC_PER_SEC)
#define WATCH_NS    NSEC_PER_SEC

static struct instance *new_instance(const struct instance_check *check, uint32_t reasons, uint64_t incarnation)
{
    const struct instance_details details = {.check = check};
    const struct instance model = {
        .service = SLICE_LIT("web"),
        .id = SLICE_LIT("1"),
        .record = {.details = &details},
        .reasons = reasons,
        .incarnation = incarnation,
    };
    struct instance *instance;
    expect_int(instance_new(&model, &instance), 0);
    return instance;
}

static const struct instance_check check = {
    .type = INSTANCE_CHECK_HTTP, .interval_ms = 10000, .timeout_ms = 1000, .to_fail = 3, .to_pass = 2};

#define BIT(reason) (1U << INSTANCE_REASON_##reason)

static bool set(struct patient *patient, const struct instance_check *with, uint32_t reasons, uint64_t incarnation)
{
    struct instance *instance = new_instance(with, reasons, incarnation);
    bool is_pressing = patient_set_instance(patient, instance);
    instance_unref(instance);
    return is_pressing;
}

/* ------------------------------------------------------------------------------------------------ who */

static void who_is_looked_at(void)
{
    const struct instance_check ttl = {.type = INSTANCE_CHECK_TTL, .interval_ms = 1000};
    const struct {
        const struct instance_check *check;
        uint32_t reasons;
        bool is_needed;
    } rows[] = {
        {NULL, 0, false},          {&ttl, 0, false},           {&check, 0, true},
        {NULL, BIT(HELD), true},   {&ttl, BIT(SUSPECT), true}, {NULL, BIT(FLAPPING) | BIT(DRAINING), false},
        {&check, BIT(HELD), true},
    };
    expect_false(patient_is_needed(NULL));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct instance *instance = new_instance(rows[i].check, rows[i].reasons, 1);
        expect_int(patient_is_needed(instance), rows[i].is_needed);
        instance_unref(instance);
    }
}

static void what_makes_it_pressing(void)
{
    struct patient patient = {0};
    struct instance_check other = check;
    other.interval_ms = 20000;
    expect_true(set(&patient, &check, 0, 1));
    expect_false(set(&patient, &check, BIT(DRAINING), 1));
    expect_true(set(&patient, &check, BIT(SUSPECT), 1));
    expect_false(set(&patient, &check, BIT(SUSPECT) | BIT(HELD), 1));
    expect_false(set(&patient, &check, 0, 1));
    expect_true(set(&patient, &check, BIT(HELD), 1));
    expect_true(set(&patient, &other, BIT(HELD), 1));
    expect_true(set(&patient, NULL, BIT(HELD), 1));
    expect_true(set(&patient, NULL, BIT(HELD), 2));
    instance_unref(patient.instance);
}

/* ------------------------------------------------------------------------------------------------ verdicts */

/* Verdicts as letters (g, b, d, v); each that is to be reported is followed by + or -. */
static void expect_verdicts(struct patient *patient, const char *letters, const char *expected)
{
    char seen[64] = "";
    size_t n = 0;
    for (const char *at = letters; *at; at++) {
        enum probe_verdict verdict = *at == 'g'   ? PROBE_GOOD
                                     : *at == 'b' ? PROBE_BAD
                                     : *at == 'd' ? PROBE_DEAD
                                                  : PROBE_VOID;
        seen[n++] = *at;
        if (patient_count(patient, verdict))
            seen[n++] = patient->is_well ? '+' : '-';
    }
    expect_str(seen, expected);
}

static void thresholds_both_ways(void)
{
    struct patient patient = {0};
    (void)set(&patient, &check, 0, 1);
    expect_verdicts(&patient, "ggggbbgbbbbbgbggggbvbvbv", "gg+ggbbgbbb-bbgbgg+ggbvbvb-v");
    (void)set(&patient, &check, 0, 2); /* of another one nothing is known */
    expect_verdicts(&patient, "vbbdgg", "vbbd-gg+");
    patient_not_told(&patient);
    expect_verdicts(&patient, "vgg", "vg+g");
    (void)set(&patient, NULL, BIT(SUSPECT), 2);
    expect_verdicts(&patient, "gggbbbddd", "gggbbbddd");
    instance_unref(patient.instance);
}

/* ------------------------------------------------------------------------------------------------ time */

static void pauses(void)
{
    struct random random;
    struct patient patient = {0};
    struct instance_check retrying = check;
    retrying.retry_ms = 2000;
    random_init(&random, test_seed());
    (void)set(&patient, &retrying, 0, 1);
    expect_int(patient_first_pause(&patient, &random, true), 0);
    for (int i = 0; i < 1000; i++) {
        patient.is_spread = false;
        nsec_t pause_ns = patient_next_pause(&patient, &random, WATCH_NS);
        expect_true(pause_ns >= 0 && pause_ns <= INTERVAL_NS);
        pause_ns = patient_next_pause(&patient, &random, WATCH_NS);
        expect_true(pause_ns >= INTERVAL_NS * 95 / 100 && pause_ns <= INTERVAL_NS * 105 / 100);
        pause_ns = patient_first_pause(&patient, &random, false);
        expect_true(pause_ns >= 0 && pause_ns <= INTERVAL_NS);
    }
    (void)patient_count(&patient, PROBE_BAD);
    nsec_t pause_ns = patient_next_pause(&patient, &random, WATCH_NS);
    expect_true(pause_ns >= 1900 * NSEC_PER_MSEC && pause_ns <= 2100 * NSEC_PER_MSEC);
    (void)set(&patient, &retrying, BIT(HELD), 1);
    pause_ns = patient_next_pause(&patient, &random, WATCH_NS);
    expect_true(pause_ns >= WATCH_NS * 95 / 100 && pause_ns <= WATCH_NS * 105 / 100);
    (void)set(&patient, NULL, BIT(HELD), 1);
    expect_int(patient_first_pause(&patient, &random, false), 0);
    instance_unref(patient.instance);
}

/* The looks of 40,000 that came at the same moment, in the third interval and in each after it, by hundredths. */
static void many_at_once_are_soon_spread_evenly(void)
{
    enum { N = 40000, SLOTS = 100, INTERVALS = 20 }; /* 400 in a hundredth, of which chance takes or adds 20 */
    static unsigned n_looks[INTERVALS * SLOTS];
    struct random random;
    random_init(&random, test_seed());
    for (unsigned i = 0; i < N; i++) {
        struct patient patient = {0};
        (void)set(&patient, &check, 0, 1);
        nsec_t at_ns = patient_first_pause(&patient, &random, true);
        while (at_ns < INTERVALS * INTERVAL_NS) {
            n_looks[at_ns / (INTERVAL_NS / SLOTS)]++;
            at_ns += patient_next_pause(&patient, &random, WATCH_NS);
        }
        instance_unref(patient.instance);
    }
    expect_int(n_looks[0] >= N, true); /* the first look is at once: they wait to be let in */
    for (unsigned slot = 2 * SLOTS; slot < INTERVALS * SLOTS; slot++) {
        if (n_looks[slot] < N / SLOTS / 2 || n_looks[slot] > N / SLOTS * 3 / 2)
            test_fail(__FILE__, __LINE__, "%u looks in the hundredth %u", n_looks[slot], slot);
    }
}

static const struct test_case cases[] = {
    {"who is looked at", who_is_looked_at},
    {"what makes it pressing", what_makes_it_pressing},
    {"thresholds both ways", thresholds_both_ways},
    {"pauses", pauses},
    {"many at once are soon spread evenly", many_at_once_are_soon_spread_evenly},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
