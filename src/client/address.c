/* SPDX-License-Identifier: Apache-2.0 */
#include "client/address.h"

#include <errno.h>
#include <sys/un.h>

#define DEFAULT_PORT "2379"

static void copy_text(char *ret_text, struct slice text)
{
    memcpy(ret_text, text.ptr, text.len);
    ret_text[text.len] = '\0';
}

static bool take_prefix(struct slice *text, const char *prefix)
{
    struct slice start = slice_from_str(prefix);
    if (text->len < start.len || !slice_equal_nocase((struct slice){text->ptr, start.len}, start))
        return false;
    *text = slice_skip(*text, start.len);
    return true;
}

static int parse_unix(struct slice path, struct address *ret_address, struct err *err)
{
    struct sockaddr_un room;
    if (slice_is_empty(path) || (path.ptr[0] != '/' && path.ptr[0] != '@'))
        return err_set(err, -EINVAL, "expected an absolute path behind the scheme");
    if (path.len >= sizeof(room.sun_path))
        return err_set(err, -EINVAL, "the path of a Unix socket has at most %zu bytes", sizeof(room.sun_path) - 1);
    copy_text(ret_address->host, path);
    return 0;
}

/* Takes the host off the front of text; what is left is empty or begins with ':'. */
static int take_host(struct slice *text, struct slice *ret_host)
{
    size_t end;
    if (!slice_is_empty(*text) && text->ptr[0] == '[') {
        end = slice_find(*text, ']');
        if (end == text->len)
            return -EINVAL;
        *ret_host = (struct slice){text->ptr + 1, end - 1};
        end++;
    } else {
        end = slice_find(*text, ':');
        *ret_host = (struct slice){text->ptr, end};
    }
    *text = slice_skip(*text, end);
    return 0;
}

static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] <= ' ' || host.ptr[i] == 0x7f || strchr("/?#@[]\"\\", host.ptr[i]))
            return false;
    }
    return host.len > 0 && host.len < ADDRESS_HOST_MAX;
}

static int parse_tcp(struct slice text, struct address *ret_address, struct err *err)
{
    if (!slice_is_empty(text) && text.ptr[text.len - 1] == '/')
        text.len--;
    struct slice host, port = SLICE_LIT(DEFAULT_PORT);
    if (take_host(&text, &host) < 0 || !is_host(host))
        return err_set(err, -EINVAL, "expected HOST or HOST:PORT, with an IPv6 address in brackets");
    if (!slice_is_empty(text))
        port = slice_skip(text, 1);
    uint64_t number;
    if ((!slice_is_empty(text) && text.ptr[0] != ':') || slice_parse_u64(port, &number) < 0 || number < 1 ||
        number > 65535 || port.len >= sizeof(ret_address->port))
        return err_set(err, -EINVAL, "expected a port from 1 to 65535 after the host");
    copy_text(ret_address->host, host);
    copy_text(ret_address->port, port);
    return 0;
}

int address_parse_place(struct slice text, enum address_scheme scheme, struct address *ret_address, struct err *err)
{
    struct address address = {.scheme = scheme};
    int r = scheme == ADDRESS_UNIX ? parse_unix(text, &address, err) : parse_tcp(text, &address, err);
    if (r == 0)
        *ret_address = address;
    return r;
}

int address_parse(struct slice text, struct address *ret_address, struct err *err)
{
    struct slice rest = slice_trim(text);
    enum address_scheme scheme = ADDRESS_HTTP;
    if (take_prefix(&rest, "unix:"))
        scheme = ADDRESS_UNIX;
    else if (take_prefix(&rest, "https://"))
        scheme = ADDRESS_HTTPS;
    else
        (void)take_prefix(&rest, "http://");
    int r = address_parse_place(rest, scheme, ret_address, err);
    return r < 0 ? err_wrap(err, r, "address \"%.*s\"", SLICE_ARG(text)) : 0;
}
