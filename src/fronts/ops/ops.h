/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end for those who operate muster: health, version, metrics, status.
 *
 *     /livez          200 as long as the process serves at all
 *     /readyz         200, or 503 with the reason in a line of text
 *     /health         the same as etcd says it: {"health":"true","reason":""}
 *     /version        {"version":"0.1.0"}
 *     /metrics        Prometheus text format
 *     /api/v1/status  what `muster status` shows, as JSON
 */
#pragma once

#include "fronts/front.h"

extern const struct front ops_front;
