/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean …?": the known word that is nearest to an unknown one. Offered words must outlive the suggestion.
 * Allocates nothing.
 */
#pragma once

#include "base/slice.h"

struct suggest {
    struct slice wanted;
    const char *best;
    size_t distance; /* of the best */
};

void suggest_init(struct suggest *suggest, struct slice wanted);
void suggest_offer(struct suggest *suggest, const char *word);

/* The nearest word offered, or NULL when none is near enough to be a slip of the fingers. */
const char *suggest_best(const struct suggest *suggest);
