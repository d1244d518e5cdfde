/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway: takes HTTP traffic to the instances of services. Requests that no route covers are answered with 404;
 * so far there are no routes.
 */
#pragma once

#include "http/exchange.h"

/* What is behind the gateway's listeners. Any worker. */
void gateway_on_request(void *ctx, struct exchange *exchange);
