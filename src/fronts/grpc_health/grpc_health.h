/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end for load balancers and orchestrators that ask by gRPC: grpc.health.v1.Health.
 *
 *     Check    is the whole server (service "") ready? NOT_FOUND for any other service
 *     Watch    the same as a stream: now, and whenever it changes; SERVICE_UNKNOWN for any other service
 */
#pragma once

#include "fronts/front.h"

extern const struct front grpc_health_front;
