/* SPDX-License-Identifier: Apache-2.0 */
#include "client/target.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Takes "SCHEME@" or "SCHEME://" off the front; tcp when there is neither. False: it is too long. */
static bool take_protocol(struct slice *text, char ret_protocol[TARGET_PROTOCOL_MAX + 1])
{
    size_t at = slice_find(*text, '@'), slash = slice_find(*text, '/');
    struct slice protocol = SLICE_LIT("tcp");
    if (at < text->len && at < slash) {
        protocol = (struct slice){text->ptr, at};
        *text = slice_skip(*text, at + 1);
    } else if (slash > 0 && slash + 1 < text->len && text->ptr[slash - 1] == ':' && text->ptr[slash + 1] == '/') {
        protocol = (struct slice){text->ptr, slash - 1};
        *text = slice_skip(*text, slash + 2);
    }
    if (protocol.len == 0 || protocol.len > TARGET_PROTOCOL_MAX)
        return false;
    for (size_t i = 0; i < protocol.len; i++)
        ret_protocol[i] = (char)(protocol.ptr[i] | (protocol.ptr[i] >= 'A' && protocol.ptr[i] <= 'Z' ? 0x20 : 0));
    ret_protocol[protocol.len] = '\0';
    return true;
}

int target_parse(struct slice text, struct target *ret_target, struct err *err)
{
    struct target target = {.port = 0};
    struct slice rest = text;
    if (!take_protocol(&rest, target.protocol) || rest.len == 0 || rest.len > ADDRESS_HOST_MAX)
        return err_set(err, -EINVAL, "address \"%.*s\": expected SCHEME@HOST:PORT, HOST:PORT or unix@/PATH",
                       SLICE_ARG(text));
    bool is_unix = strcmp(target.protocol, "unix") == 0, is_https = strcmp(target.protocol, "https") == 0;
    bool is_line = strcmp(target.protocol, "tcp") == 0 && rest.ptr != text.ptr; /* HOST:PORT alone may be HTTP */
    if (!is_unix) /* what follows the port is the instance's own business */
        rest.len = slice_find(rest, '/');
    size_t bracket = slice_find(rest, ']');
    if (!is_unix && slice_find(slice_skip(rest, bracket < rest.len ? bracket : 0), ':') ==
                        rest.len - (bracket < rest.len ? bracket : 0))
        return err_set(err, -EINVAL, "address \"%.*s\": expected a port after the host", SLICE_ARG(text));
    enum address_scheme scheme = is_unix    ? ADDRESS_UNIX
                                 : is_https ? ADDRESS_HTTPS
                                 : is_line  ? ADDRESS_TCP
                                            : ADDRESS_HTTP;
    int r = address_parse_place(rest, scheme, &target.address, err);
    if (r < 0)
        return err_wrap(err, r, "address \"%.*s\"", SLICE_ARG(text));
    if (!is_unix) {
        memcpy(target.host, target.address.host, sizeof(target.host));
        target.port = (unsigned)strtoul(target.address.port, NULL, 10);
    }
    *ret_target = target;
    return 0;
}
