/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is behind each kind of endpoint: the front ends of the registry, or the gateway.
 */
#pragma once

#include "daemon/fronts.h"
#include "daemon/stations.h"
#include "gateway/gateway.h"

struct serving {
    struct fronts *fronts;
    struct gateway *gateway; /* NULL: there is none */
};

/* What the stations ask of whoever serves; `serving` must outlive them. */
void serving_fill(struct serving *serving, struct stations_options *options);
