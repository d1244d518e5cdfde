/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to tell of services and instances that have had traffic: for /metrics and `muster top`. */
#pragma once

#include "gateway/tally.h"

/* More are not told, the first in the order of their names are: what a reader can bear is the bound. */
#define TRAFFIC_SERVICES_MAX  1000
#define TRAFFIC_INSTANCES_MAX 2000

struct traffic_instance {
    const struct runtime *runtime;
    struct slice service;
    struct runtime_sum sum;
};

struct traffic_service {
    const struct plan_service *service;
    struct tally_sum sum;
    size_t first_instance, n_instances; /* of those below */
};

struct traffic {
    struct traffic_service *services; /* by name */
    struct traffic_instance *instances;
    size_t n_services, n_instances;
    size_t n_untold; /* services and instances that are left out */
};

/*
 * In one turn of an RCU reader, in which what it points to is good. service: of this one only; "": of all. Without
 * memory nothing is told. To be followed by traffic_deinit.
 */
void traffic_gather(const struct plan *plan, struct slice service, struct traffic *ret_traffic);
void traffic_deinit(struct traffic *traffic);
