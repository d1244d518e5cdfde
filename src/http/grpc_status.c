/* SPDX-License-Identifier: Apache-2.0 */
/* See grpc_status.h: the protocol's tables, and its ways to write a text and a time. */
#include "http/grpc_status.h"

#include <errno.h>

enum { TIMEOUT_DIGITS_MAX = 8 };

const char *grpc_status_name(enum grpc_status status)
{
    switch (status) {
#define X(name, number)                                                                                                \
    case GRPC_##name:                                                                                                  \
        return #name;
        GRPC_STATUSES(X)
#undef X
    }
    return "";
}

unsigned grpc_status_http(enum grpc_status status)
{
    switch (status) {
    case GRPC_OK:
        return 200;
    case GRPC_INVALID_ARGUMENT:
    case GRPC_FAILED_PRECONDITION:
    case GRPC_OUT_OF_RANGE:
        return 400;
    case GRPC_UNAUTHENTICATED:
        return 401;
    case GRPC_PERMISSION_DENIED:
        return 403;
    case GRPC_NOT_FOUND:
        return 404;
    case GRPC_ALREADY_EXISTS:
    case GRPC_ABORTED:
        return 409;
    case GRPC_RESOURCE_EXHAUSTED:
        return 429;
    case GRPC_CANCELLED:
        return 499;
    case GRPC_UNIMPLEMENTED:
        return 501;
    case GRPC_UNAVAILABLE:
        return 503;
    case GRPC_DEADLINE_EXCEEDED:
        return 504;
    case GRPC_UNKNOWN:
    case GRPC_INTERNAL:
    case GRPC_DATA_LOSS:
        break;
    }
    return 500;
}

int grpc_message_encode(struct slice text, struct buf *buf)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        const char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
        bool is_plain = c >= ' ' && c <= '~' && c != '%';
        int r = is_plain ? buf_append_char(buf, (char)c) : buf_append(buf, slice_from(escaped, sizeof(escaped)));
        if (r < 0)
            return r;
    }
    return 0;
}

/* 0 for a letter that is no unit. */
static nsec_t find_unit(char c)
{
    switch (c) {
    case 'H':
        return 3600 * NSEC_PER_SEC;
    case 'M':
        return 60 * NSEC_PER_SEC;
    case 'S':
        return NSEC_PER_SEC;
    case 'm':
        return NSEC_PER_MSEC;
    case 'u':
        return NSEC_PER_USEC;
    case 'n':
        return 1;
    default:
        return 0;
    }
}

int grpc_timeout_parse(struct slice text, nsec_t *ret_timeout_ns)
{
    uint64_t number;
    if (text.len < 2 || text.len > TIMEOUT_DIGITS_MAX + 1)
        return -EINVAL;
    nsec_t unit = find_unit(text.ptr[text.len - 1]);
    if (unit == 0 || slice_parse_u64(slice_from(text.ptr, text.len - 1), &number) < 0)
        return -EINVAL;
    nsec_t timeout_ns;
    if (__builtin_mul_overflow((nsec_t)number, unit, &timeout_ns))
        timeout_ns = NSEC_NEVER;
    *ret_timeout_ns = timeout_ns;
    return 0;
}
