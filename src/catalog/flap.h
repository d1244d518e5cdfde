/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flap damping: who comes and goes again and again collects a penalty, which fades by halves. Above one threshold the
 * instance counts as flapping, until the penalty has fallen below another. Pure and without memory of its own: a name
 * that has no penalty left needs none.
 *
 * A penalty is counted in hundredths of a departure.
 */
#pragma once

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct flap_rules {
    nsec_t half_life_ns;
    unsigned suppress, reuse;
};

/* All zero: no penalty. */
struct flap {
    uint32_t penalty; /* as it was at at_ns */
    nsec_t at_ns;
};

/*
 * One departure more. The sum has a ceiling of four times `suppress`, so that one that has flapped for a day is good
 * again a few half-lives after its last departure.
 */
void flap_add(struct flap *flap, const struct flap_rules *rules, nsec_t now_ns);
/* It was none after all. */
void flap_forgive(struct flap *flap, const struct flap_rules *rules, nsec_t now_ns);

/* What is left at now_ns. */
uint32_t flap_penalty(const struct flap *flap, const struct flap_rules *rules, nsec_t now_ns);

/* The first moment from now on at which at most `level` is left. */
nsec_t flap_falls_to(const struct flap *flap, const struct flap_rules *rules, uint32_t level, nsec_t now_ns);
