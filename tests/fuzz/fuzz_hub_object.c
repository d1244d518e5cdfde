/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a program of the hub posts: refused with words, or something that is within the limits. */
#include "fronts/hub/hub_object.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct hub_object object;
    struct err err = {""};
    int r = hub_object_parse(slice_from(data, size), &arena, &object, &err);
    if (r == -EINVAL && err.text[0] == '\0')
        abort();
    if (r == 0 && (object.name.len == 0 || object.addr.len == 0 || object.n_required > HUB_REQUIRED_MAX))
        abort();
    arena_deinit(&arena);
    return 0;
}
