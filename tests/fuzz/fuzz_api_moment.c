/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a moment: it is a revision or a time, never both, and in bounds. */
#include "fronts/api/api_moment.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api_moment moment;
    if (api_moment_parse(slice_from(data, size), &moment) < 0)
        return 0;
    if (moment.revision < 0 || (moment.revision > 0 && moment.wall_ms != 0))
        abort();
    if (moment.wall_ms < -24 * 3600 * 1000 || moment.wall_ms > INT64_C(1) << 50) /* 1970, in some time zone */
        abort();
    return 0;
}
