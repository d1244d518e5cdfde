/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front ends that this daemon has, made at start-up and routed to. Main thread.
 */
#pragma once

#include "fronts/front.h"
#include "fronts/router.h"

struct fronts;

/* env and what it points to must outlive the fronts. 0, or -errno with the reason in err. */
int fronts_new(const struct front_env *env, struct fronts **ret_fronts, struct err *err);

/* While the workers still run, once: calls that would last for ever are ended, so that the server can be drained. */
void fronts_stop(struct fronts *fronts);

/* NULL is fine. After the workers have stopped. */
void fronts_free(struct fronts *fronts);

struct router *fronts_router(struct fronts *fronts);
