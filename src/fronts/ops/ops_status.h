/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of /api/v1/status, which libmuster reads (src/client/status.c).
 */
#pragma once

#include "base/buf.h"

struct source_views;
struct system_view;

/* Appends the JSON. 0, or the error of buf. */
int ops_write_status(const struct system_view *system, const struct source_views *sources, struct buf *buf);
