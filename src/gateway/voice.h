/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the instances of a service say about how it is to be treated by gateways, in their metadata:
 *
 *     expose=true                  it may be reached from beyond loopback
 *     gateway.WORD=VALUE           a policy: policy.h
 *     gateway.route[.NAME]=TEXT    a route to it: route.h
 *
 * One of them speaks for all: of those that say anything, the one that was registered last. So a rolling update takes
 * its words with it, and one that came by a protocol without metadata takes nothing away. When the last instance of all
 * has gone its words hold on, as long as the service is known and is one of the last PLANNER_WORDS_MAX that went so.
 */
#pragma once

#include "base/err.h"
#include "catalog/instance.h"
#include "gateway/settings.h"

/* Further routes of one instance are passed over. */
#define VOICE_ROUTES_MAX 32

bool voice_is(const struct instance *instance);
/* The one of two, NULL: none, that speaks. */
const struct instance *voice_later(const struct instance *a, const struct instance *b);

/*
 * Puts what it says (NULL: nothing) on top of the policy; slices are parts of its metadata. What cannot be understood
 * is passed over, and the first of it told in `fault` ("": nothing).
 */
void voice_read(const struct instance *voice, struct policy *policy, bool *ret_is_exposed, struct err *fault);

/* The texts of its routes, at most VOICE_ROUTES_MAX; NULL: none. */
unsigned voice_routes(const struct instance *voice, struct slice *ret_texts);
bool voice_same_routes(const struct instance *a, const struct instance *b);
