/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REST and Server-Sent Events under /api/v1, and /sd/prometheus: the catalogue's own protocol. docs/openapi.yaml is the
 * contract with clients, held against the server by a test; docs/api.md is the guide.
 */
#pragma once

#include "fronts/front.h"

extern const struct front api_front;
