/* SPDX-License-Identifier: Apache-2.0 */
/* What front ends may know of the gateway (fronts/gateway_view.h), told by the gateway itself (gateway/tell.h). */
#pragma once

#include "fronts/gateway_view.h"

struct gateway;

/* gateway NULL: there is none. */
void gateway_facts_view(struct gateway *gateway, struct gateway_view *ret_view);
