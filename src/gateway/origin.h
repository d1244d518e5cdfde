/* SPDX-License-Identifier: Apache-2.0 */
/* Who a request is from: for limits, logs and edges of the graph. */
#pragma once

#include "gateway/settings.h"
#include "io/addr.h"
#include "wire/http.h"

/*
 * The peer; where that is a trusted proxy, whom it names in X-Forwarded-For: the last address there that is not a
 * trusted proxy itself. What cannot be read names nobody, and neither does what stands in front of it.
 */
void origin_find(const struct gateway_settings *settings, const struct peer *peer, const struct http_fields *fields,
                 struct peer *ret_origin);
