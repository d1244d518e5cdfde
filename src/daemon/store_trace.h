/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The setting store.trace: what passes between the front ends and the store, as lines of the log. These lines are not
 * counted away when they repeat, as others are.
 */
#pragma once

#include "daemon/config.h"
#include "store/store.h"

struct store_trace;

/* 0 or -ENOMEM; *ret_trace is NULL when the setting is off: then nothing stands in front of the store. */
int store_trace_new(const struct config *config, struct store *store, struct store_trace **ret_trace);
void store_trace_free(struct store_trace *trace);

/* What is to be used in the place of the store. */
struct store *store_trace_store(struct store_trace *trace);
