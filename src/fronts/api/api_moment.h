/* SPDX-License-Identifier: Apache-2.0 */
/* A moment as clients name it. Pure. */
#pragma once

#include "base/slice.h"

#include <stdint.h>

struct api_moment {
    int64_t revision; /* the catalogue's; 0: it is a time */
    int64_t wall_ms;
};

/*
 * "r123" (revision), "1732190000000" (milliseconds since 1970), "2026-11-21T10:00:00Z", "…T10:00:00.250+01:00".
 * 0 or -EINVAL.
 */
int api_moment_parse(struct slice text, struct api_moment *ret_moment);
