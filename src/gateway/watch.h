/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch over what waits: one timer per worker, which runs while there is something to watch, so that no request
 * needs a timer of its own. Every WORKER_WATCH_NS it
 *
 * - ends what has waited too long: for an instance, for its turn, for a connection, for an answer;
 * - lets those who wait for an instance, or for their turn, try again;
 * - finds instances that hang. It is not enough that a request waits for long, since there are slow ones: the instance
 *   must have answered nothing at all, to any worker, since a request was sent that waits longer than `stall_factor`
 *   times what 99 of a hundred of its answers take, and than `stall_min`. When it is only silent for that long, it is
 *   asked (suspicion_doubt), and that question counts as such a request;
 * - sends what waits at one that is frozen, or gone, to another one as well: once each, what may be repeated, within
 *   the budget. The first answer counts;
 * - closes what instances that are gone have left.
 */
#pragma once

#include "gateway/gateway_worker.h"

void watch_init(struct gateway_worker *worker);
