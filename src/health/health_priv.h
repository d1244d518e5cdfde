/* SPDX-License-Identifier: Apache-2.0 */
/* For tests, which have no scout: the same on any loop, started and stopped by hand. */
#pragma once

#include "health/health.h"

int health_new_on(const struct health_options *options, struct loop *loop, struct curator *curator, struct log *log,
                  struct health **ret_health, struct err *err);
struct scout_part *health_part(struct health *health);
