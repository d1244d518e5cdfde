/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends each request to the front end that claims its path: an exact path first, else the longest prefix. What nobody
 * claims is answered with 404, a claimed path with another method with 405.
 *
 * Made on the main thread before the workers start; then read-only, and used by all of them. Looking up neither
 * allocates nor locks.
 */
#pragma once

#include "fronts/front.h"

struct router;

/* Has no paths. 0 or -ENOMEM. */
int router_new(struct router **ret_router);
void router_free(struct router *router);

/* Adds the front end's paths. 0, -ENOMEM, or -EEXIST with the path in err when another front end has claimed it. */
int router_add(struct router *router, const struct front *front, void *instance, struct err *err);

/* For the HTTP servers. */
struct exchange_handler router_handler(struct router *router);
