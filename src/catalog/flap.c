/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The penalty is exactly halved by each half-life; between two of them it falls in a straight line, which stays within
 * 7 % of the true curve and needs integers only: the same on every machine.
 */
#include "catalog/flap.h"

#include "base/assert.h"

#define DEPARTURE    100
#define CEILING      4 /* times suppress */
#define HALVINGS_MAX 32

/* One part in `PARTS` of a half-life is as fine as it is reckoned; it keeps the products within 64 bits. */
#define PARTS 1024

/* A penalty after so many parts of a half-life. */
static uint32_t fade(uint32_t penalty, uint64_t parts)
{
    if (parts / PARTS >= HALVINGS_MAX)
        return 0;
    uint64_t halved = (uint64_t)penalty * PARTS >> (parts / PARTS);
    uint64_t into = parts % PARTS; /* the half-life that has begun takes half of it, evenly */
    return (uint32_t)((halved - halved * into / (2 * (uint64_t)PARTS)) / PARTS);
}

static uint64_t parts_since(const struct flap_rules *rules, nsec_t from_ns, nsec_t now_ns)
{
    nsec_t part_ns = rules->half_life_ns / PARTS;
    if (part_ns == 0)
        part_ns = 1;
    return now_ns <= from_ns ? 0 : (uint64_t)((now_ns - from_ns) / part_ns);
}

uint32_t flap_penalty(const struct flap *flap, const struct flap_rules *rules, nsec_t now_ns)
{
    return flap->penalty == 0 ? 0 : fade(flap->penalty, parts_since(rules, flap->at_ns, now_ns));
}

void flap_add(struct flap *flap, const struct flap_rules *rules, nsec_t now_ns)
{
    uint32_t penalty = flap_penalty(flap, rules, now_ns) + DEPARTURE;
    uint32_t ceiling = rules->suppress * CEILING;
    *flap = (struct flap){penalty < ceiling ? penalty : ceiling, now_ns};
}

void flap_forgive(struct flap *flap, const struct flap_rules *rules, nsec_t now_ns)
{
    uint32_t penalty = flap_penalty(flap, rules, now_ns);
    *flap = (struct flap){penalty > DEPARTURE ? penalty - DEPARTURE : 0, now_ns};
}

nsec_t flap_falls_to(const struct flap *flap, const struct flap_rules *rules, uint32_t level, nsec_t now_ns)
{
    if (flap_penalty(flap, rules, now_ns) <= level)
        return now_ns;
    uint64_t low = 0, high = (uint64_t)HALVINGS_MAX * PARTS; /* fade(low) > level >= fade(high) = 0 */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (fade(flap->penalty, middle) > level)
            low = middle;
        else
            high = middle;
    }
    nsec_t part_ns = rules->half_life_ns / PARTS;
    nsec_t at_ns = flap->at_ns + (nsec_t)high * (part_ns ? part_ns : 1);
    ASSERT(at_ns > now_ns);
    return at_ns;
}
