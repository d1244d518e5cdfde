/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at one instance are an interval apart, give or take a twentieth, and the second one comes after a random part
 * of the interval: ten thousand instances that register at the same time are soon looked at evenly, and stay so.
 */
#include "health/patient.h"

static bool is_watched(const struct instance *instance)
{
    return INSTANCE_HAS(instance, HELD) || INSTANCE_HAS(instance, SUSPECT);
}

static const struct instance_check *check_of(const struct instance *instance)
{
    return instance_details(&instance->record)->check;
}

static bool is_checked(const struct instance *instance)
{
    const struct instance_check *check = check_of(instance);
    return check && check->type != INSTANCE_CHECK_TTL;
}

bool patient_is_needed(const struct instance *instance)
{
    return instance && (is_checked(instance) || is_watched(instance));
}

static bool is_same_check(const struct instance *a, const struct instance *b)
{
    if (!is_checked(a) || !is_checked(b))
        return is_checked(a) == is_checked(b);
    const struct instance_check *was = check_of(a), *is = check_of(b);
    return was->type == is->type && was->interval_ms == is->interval_ms && slice_equal(was->target, is->target);
}

bool patient_set_instance(struct patient *patient, const struct instance *instance)
{
    const struct instance *before = patient->instance;
    patient->instance = instance_ref(instance);
    bool is_another = !before || before->incarnation != instance->incarnation || !is_same_check(before, instance);
    bool is_pressing = is_another || (is_watched(instance) && !is_watched(before));
    if (is_another) {
        patient->has_verdict = patient->is_spread = false;
        patient->n_good = patient->n_bad = 0;
    }
    instance_unref(before);
    return is_pressing;
}

static nsec_t part_of(struct random *random, nsec_t interval_ns, unsigned from_percent, unsigned to_percent)
{
    nsec_t least = interval_ns / 100 * from_percent, most = interval_ns / 100 * to_percent;
    return least + (nsec_t)random_below(random, (uint64_t)(most - least) + 1);
}

nsec_t patient_first_pause(struct patient *patient, struct random *random, bool is_new)
{
    if (is_new || !is_checked(patient->instance))
        return 0;
    patient->is_spread = true;
    return part_of(random, check_of(patient->instance)->interval_ms * NSEC_PER_MSEC, 0, 100);
}

nsec_t patient_next_pause(struct patient *patient, struct random *random, nsec_t watch_ns)
{
    const struct instance *instance = patient->instance;
    if (is_watched(instance))
        return part_of(random, watch_ns, 95, 105);
    const struct instance_check *check = check_of(instance);
    nsec_t interval_ns = check->interval_ms * NSEC_PER_MSEC;
    if (patient->n_bad > 0 && check->retry_ms > 0)
        return part_of(random, check->retry_ms * NSEC_PER_MSEC, 95, 105);
    bool is_spread = patient->is_spread;
    patient->is_spread = true;
    return is_spread ? part_of(random, interval_ns, 95, 105) : part_of(random, interval_ns, 0, 100);
}

bool patient_count(struct patient *patient, enum probe_verdict verdict)
{
    const struct instance_check *check = check_of(patient->instance);
    if (verdict == PROBE_VOID)
        return false;
    bool is_good = verdict == PROBE_GOOD;
    patient->n_good = is_good ? patient->n_good + 1 : 0;
    patient->n_bad = is_good ? 0 : patient->n_bad + 1;
    if (!is_checked(patient->instance) || (patient->has_verdict && patient->is_well == is_good))
        return false;
    if (is_good ? patient->n_good < check->to_pass : patient->n_bad < check->to_fail)
        return false;
    patient->has_verdict = true;
    patient->is_well = is_good;
    return true;
}

void patient_not_told(struct patient *patient)
{
    patient->has_verdict = false;
}
