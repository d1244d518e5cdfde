/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says to front ends. Read-only; valid as long as they are. */
#pragma once

#include "base/slice.h"
#include "base/time.h"

struct front_settings {
    struct {
        struct slice service; /* whom the nameless form means */
        nsec_t ttl_ns;        /* 0: never expires */
    } srpc;
    struct {
        nsec_t beat_interval_ns, beat_gap_ns; /* between heartbeats that are answered; between tries */
        unsigned beat_tries;
    } hub;
};
