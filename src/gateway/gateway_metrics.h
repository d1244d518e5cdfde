/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway on /metrics: per service, per instance, and of the whole. Read from the plan and the counters at each
 * scrape; nothing is kept for it.
 */
#pragma once

#include "base/metrics.h"
#include "gateway/gateway.h"

/*
 * Of services and instances that have had traffic at most so many are told, the first in the order of their names;
 * muster_gateway_untold says how many are left out. What a Prometheus can bear is the bound.
 */
#define GATEWAY_METRICS_SERVICES_MAX  1000
#define GATEWAY_METRICS_INSTANCES_MAX 2000

/* Before the workers start; metrics are rendered by RCU readers only, while the gateway lives. 0 or -ENOMEM. */
int gateway_register_metrics(struct gateway *gateway, struct metrics *metrics);
