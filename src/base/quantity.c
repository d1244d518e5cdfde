/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quantity.h"

#include "base/assert.h"
#include "base/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define UNITS_MAX 4

struct unit {
    const char *name; /* NULL: no more */
    uint64_t factor;
};

/* By enum quantity; each unit is a multiple of those before it. */
static const struct unit units[][UNITS_MAX] = {
    [QUANTITY_NUMBER] = {{"", 1}},
    [QUANTITY_BYTES] = {{"", 1}, {"k", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}},
    [QUANTITY_DURATION] = {{"ms", (uint64_t)NSEC_PER_MSEC},
                           {"s", (uint64_t)NSEC_PER_SEC},
                           {"m", 60 * (uint64_t)NSEC_PER_SEC},
                           {"h", 3600 * (uint64_t)NSEC_PER_SEC}},
};

int quantity_parse(enum quantity kind, struct slice text, uint64_t *ret_value)
{
    size_t n_digits = 0;
    while (n_digits < text.len && text.ptr[n_digits] >= '0' && text.ptr[n_digits] <= '9')
        n_digits++;
    uint64_t number;
    if (slice_parse_u64(slice_from(text.ptr, n_digits), &number) < 0)
        return -EINVAL;
    struct slice name = slice_skip(text, n_digits);
    if (number == 0 && slice_is_empty(name)) {
        *ret_value = 0;
        return 0;
    }
    for (size_t i = 0; i < UNITS_MAX && units[kind][i].name; i++) {
        if (slice_equal_str(name, units[kind][i].name))
            return __builtin_mul_overflow(number, units[kind][i].factor, ret_value) ? -EINVAL : 0;
    }
    return -EINVAL;
}

void quantity_format(enum quantity kind, uint64_t value, char ret_text[QUANTITY_TEXT_MAX])
{
    const struct unit *unit = &units[kind][0];
    for (size_t i = 1; i < UNITS_MAX && units[kind][i].name && value > 0; i++) {
        if (value % units[kind][i].factor == 0)
            unit = &units[kind][i];
    }
    int n = snprintf(ret_text, QUANTITY_TEXT_MAX, "%" PRIu64 "%s", value / unit->factor, unit->name);
    ASSERT(n > 0 && n < QUANTITY_TEXT_MAX);
}
