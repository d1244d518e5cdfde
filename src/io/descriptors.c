/* SPDX-License-Identifier: Apache-2.0 */
/* The limit is asked for each time, which costs little beside a connection: somebody may change it meanwhile. */
#include "io/descriptors.h"

#include <sys/resource.h>

bool descriptor_may_be(int fd, enum descriptor_use use)
{
    static const rlim_t reserved_parts[] = {[DESCRIPTOR_OF_CLIENT] = 8, [DESCRIPTOR_OF_SERVICE] = 16};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return true;
    return (rlim_t)fd < limit.rlim_cur - limit.rlim_cur / reserved_parts[use];
}
