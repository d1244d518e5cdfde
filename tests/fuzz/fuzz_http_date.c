/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a date: what is taken is after 1970 and before the year 10,000. */
#include "wire/http_date.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t wall_s;
    if (http_date_parse(slice_from(data, size), &wall_s) == 0 && (wall_s < 0 || wall_s > 253402387200))
        abort();
    return 0;
}
