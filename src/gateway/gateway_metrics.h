/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway on /metrics: per service, per instance, and of the whole. Read from the plan and the counters at each
 * scrape; nothing is kept for it. What is left out when there is too much (traffic.h) is counted.
 */
#pragma once

#include "base/metrics.h"
#include "gateway/gateway.h"

/* Before the workers start; metrics are rendered by RCU readers only, while the gateway lives. 0 or -ENOMEM. */
int gateway_register_metrics(struct gateway *gateway, struct metrics *metrics);
