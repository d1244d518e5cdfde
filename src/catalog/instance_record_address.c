/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses. Nothing is resolved or made canonical: what is not taken apart wrongly is taken as it is. */
#include "catalog/instance_record.h"

#include "wire/chars.h"

#include <arpa/inet.h>

#define HOST_MAX 255

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_scheme(struct slice text)
{
    if (text.len == 0 || !is_alpha(text.ptr[0]))
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (!is_alpha(text.ptr[i]) && !char_is(text.ptr[i], CHAR_DIGIT) && !memchr("+-.", text.ptr[i], 3))
            return false;
    return true;
}

static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!char_is(text.ptr[i], CHAR_UNRESERVED))
            return false;
    return text.len > 0 && text.len <= HOST_MAX;
}

/* An IPv6 address, perhaps with "%scope". */
static bool is_ipv6(struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    size_t len = slice_find(text, '%');
    if (len >= sizeof(copy) || (len < text.len && !is_name(slice_skip(text, len + 1))))
        return false;
    memcpy(copy, text.ptr, len);
    copy[len] = '\0';
    return inet_pton(AF_INET6, copy, &ip) == 1;
}

/* Splits off the host, brackets removed; *rest is what follows it. */
static bool take_host(struct slice text, struct slice *ret_host, struct slice *ret_rest)
{
    if (text.len > 0 && text.ptr[0] == '[') {
        size_t end = slice_find(text, ']');
        if (end == text.len)
            return false;
        *ret_host = slice_from(text.ptr + 1, end - 1);
        *ret_rest = slice_skip(text, end + 1);
        return is_ipv6(*ret_host);
    }
    size_t end = slice_find(text, ':');
    *ret_host = slice_from(text.ptr, end);
    *ret_rest = slice_skip(text, end);
    return is_name(*ret_host);
}

/* "HOST:PORT"; without a port the default one is taken, 0: there must be one. */
static bool take_host_port(struct instance_record *record, struct slice text, uint16_t default_port)
{
    struct slice host, rest;
    uint64_t port = default_port;
    if (!take_host(text, &host, &rest))
        return false;
    if (rest.len > 0 && (rest.ptr[0] != ':' || slice_parse_u64(slice_skip(rest, 1), &port) < 0))
        return false;
    if (port == 0 || port > UINT16_MAX)
        return false;
    record->host = host;
    record->port = (uint16_t)port;
    return true;
}

static uint16_t scheme_port(struct slice scheme)
{
    if (slice_equal_nocase(scheme, SLICE_LIT("http")))
        return 80;
    return slice_equal_nocase(scheme, SLICE_LIT("https")) ? 443 : 0;
}

/* What follows "SCHEME://". */
static bool take_url(struct instance_record *record, struct slice scheme, struct slice rest)
{
    size_t end = 0;
    while (end < rest.len && !memchr("/?#", rest.ptr[end], 3))
        end++;
    struct slice authority = slice_from(rest.ptr, end);
    size_t user = slice_find(authority, '@');
    if (user < authority.len)
        authority = slice_skip(authority, user + 1);
    return take_host_port(record, authority, scheme_port(scheme));
}

static bool take_address(struct instance_record *record, struct slice address)
{
    const char *url = memmem(address.ptr, address.len, "://", 3);
    size_t at = url ? (size_t)(url - address.ptr) : slice_find(address, '@');
    if (at == address.len)
        return take_host_port(record, address, 0);
    struct slice scheme = slice_from(address.ptr, at);
    struct slice rest = slice_skip(address, at + (url ? 3 : 1));
    if (!is_scheme(scheme))
        return false;
    record->protocol = scheme;
    if (slice_equal_nocase(scheme, SLICE_LIT("unix")))
        return rest.len > 1 && rest.ptr[0] == '/';
    return url ? take_url(record, scheme, rest) : take_host_port(record, rest, 0);
}

/* Quickly: most values of other parties' keys are no addresses, and long. */
static bool may_be_one(struct slice text)
{
    return slice_find(text, ':') < text.len || slice_find(text, '@') < text.len;
}

/* Addresses are answered as they came, in lines of other protocols too. */
static bool is_printable(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
            return false;
    return text.len > 0;
}

bool instance_record_set_address(struct instance_record *record, struct slice address)
{
    record->address = address;
    record->protocol = record->host = (struct slice){0};
    record->port = 0;
    bool is_one = may_be_one(address) && is_printable(address) && take_address(record, address);
    if (!is_one)
        record->protocol = (struct slice){0};
    return is_one;
}
