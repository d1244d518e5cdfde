/* SPDX-License-Identifier: Apache-2.0 */
/* The instances that a gateway's kit plays (gateway_kit.h), as the kit itself sees them. */
#pragma once

#include "support/gateway_kit.h"

/* Those of this kit are connected to from now on. */
void instances_play(struct gateway_kit *kit);

/* pool_connect_fn */
int instances_connect(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_open,
                      void *owner, struct stream **ret_stream);

/* All their connections are closed. */
void instances_leave(struct gateway_kit *kit);

/* The number of a request or an answer; 0: it has none. */
unsigned instances_number_in(const char *head);
