/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with a unit, as people write them in settings: "500ms", "10s", "64k", "100". Pure.
 */
#pragma once

#include "base/slice.h"

enum quantity {
    QUANTITY_NUMBER,   /* no unit */
    QUANTITY_BYTES,    /* none, or k, M, G: 1024 each */
    QUANTITY_DURATION, /* ms, s, m or h; the value is in nanoseconds */
};

/* Decimal digits and a unit, which 0 needs not: 0; -EINVAL for anything else, and for what 64 bits do not hold. */
int quantity_parse(enum quantity kind, struct slice text, uint64_t *ret_value);

#define QUANTITY_TEXT_MAX 32

/* What is read as this value, in the largest unit that it is a multiple of; durations are whole milliseconds. */
void quantity_format(enum quantity kind, uint64_t value, char ret_text[QUANTITY_TEXT_MAX]);
