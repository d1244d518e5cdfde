/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance that is looked at: when next, and what the looks so far add up to. Pure; its owner (health.c) decides
 * when a look may begin, and makes the probe for it.
 */
#pragma once

#include "base/htab.h"
#include "base/random.h"
#include "health/probe.h"

enum patient_state {
    PATIENT_WAITS, /* its timer is armed */
    PATIENT_DUE,   /* too many looks run */
    PATIENT_RUNS,
    PATIENT_LEAVES, /* runs, and is to be freed when that is over */
};

struct patient {
    struct htab_node node; /* by service and id */
    void *owner;
    const struct instance *instance; /* a reference: the latest */
    enum patient_state state;
    struct timer timer;
    struct list due;
    struct probe *probe;       /* while it runs */
    unsigned n_good, n_bad;    /* in a row */
    bool has_verdict, is_well; /* as last reported */
    bool is_spread;            /* its looks are not at the same time as those of all who came with it */
};

/* Whether an instance is looked at at all. */
bool patient_is_needed(const struct instance *instance);

/* Its newest state: true when it is to be looked at at once. A new incarnation, or another check, begins anew. */
bool patient_set_instance(struct patient *patient, const struct instance *instance);

/* Until the first look; until the next. `watch_ns`: the interval for what is held or suspected. */
nsec_t patient_first_pause(struct patient *patient, struct random *random, bool is_new);
nsec_t patient_next_pause(struct patient *patient, struct random *random, nsec_t watch_ns);

/*
 * Counts a verdict. True when the check's own verdict is to be reported now: patient->is_well says which.
 */
bool patient_count(struct patient *patient, enum probe_verdict verdict);
/* It could not be reported: patient_count says so again. */
void patient_not_told(struct patient *patient);
