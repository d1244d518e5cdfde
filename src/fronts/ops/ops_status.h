/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bodies of /api/v1/status and /api/v1/clients, which libmuster reads (src/client/status.c, callers.c).
 */
#pragma once

#include "base/buf.h"
#include "base/time.h"

struct source_views;
struct system_view;
struct talkers;

/* Appends the JSON. 0, or the error of buf. */
int ops_write_status(const struct system_view *system, const struct source_views *sources, struct buf *buf);
int ops_write_clients(struct talkers *talkers, nsec_t now_ns, struct buf *buf);
