/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the timeline as a list, for the commands that show some. */
#pragma once

#include "cli/writer.h"
#include "muster.h"

void events_write(struct writer *writer, const char *name, const struct muster_event *events, size_t n);
