/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the load generator can do; each mode says beside its definition what its turn measures.
 */
#pragma once

#include "load.h"

extern const struct mode mode_fill, mode_put, mode_get, mode_range, mode_missing; /* kv.c */
extern const struct mode mode_register, mode_keepalive;                           /* lease.c */
extern const struct mode mode_watch;                                              /* watch.c */
extern const struct mode mode_expire;                                             /* expire.c */
extern const struct mode mode_survive;                                            /* survive.c */
extern const struct mode mode_sync;                                               /* sync.c */
