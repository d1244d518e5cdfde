/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and small grammars that all HTTP versions share. What is looked up for each field of each message is found by
 * one look at a table, and compared with what is there.
 */
#include "wire/http.h"

#include "base/assert.h"
#include "base/util.h"
#include "wire/scan.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum http_method http_method_find(struct slice text)
{
#define X(name, literal)                                                                                               \
    if (slice_equal(text, SLICE_LIT(literal)))                                                                         \
        return HTTP_METHOD_##name;
    HTTP_METHODS(X)
#undef X
    return HTTP_METHOD_OTHER;
}

const char *http_method_name(enum http_method method)
{
    switch (method) {
#define X(name, text)                                                                                                  \
    case HTTP_METHOD_##name:                                                                                           \
        return text;
        HTTP_METHODS(X)
#undef X
    case HTTP_METHOD_OTHER:
        break;
    }
    return "";
}

bool http_method_is_idempotent(enum http_method method)
{
    switch (method) {
    case HTTP_METHOD_GET:
    case HTTP_METHOD_HEAD:
    case HTTP_METHOD_PUT:
    case HTTP_METHOD_DELETE:
    case HTTP_METHOD_OPTIONS:
    case HTTP_METHOD_TRACE:
        return true;
    case HTTP_METHOD_POST:
    case HTTP_METHOD_PATCH:
    case HTTP_METHOD_CONNECT:
    case HTTP_METHOD_OTHER:
        break;
    }
    return false;
}

static const struct slice field_names[HTTP_FIELD_IDS_] = {
#define X(name, text) [HTTP_FIELD_##name] = SLICE_LIT(text),
    HTTP_FIELDS(X)
#undef X
};

/*
 * Where a name is looked for: by its length, its first letter and its last but one, in lower case. No two have the same
 * place; the compiler warns of a new one that takes that of another, and then other factors are needed.
 */
#define FIELD_PLACE(len, first, next_to_last) (((len) + 12 * (first) + 9 * (next_to_last)) % 128)

static const uint8_t fields_by_place[128] = {
    [FIELD_PLACE(10, ':', 't')] = HTTP_FIELD_AUTHORITY,
    [FIELD_PLACE(7, ':', 'o')] = HTTP_FIELD_METHOD,
    [FIELD_PLACE(5, ':', 't')] = HTTP_FIELD_PATH,
    [FIELD_PLACE(7, ':', 'm')] = HTTP_FIELD_SCHEME,
    [FIELD_PLACE(7, ':', 'u')] = HTTP_FIELD_STATUS,
    [FIELD_PLACE(9, ':', 'o')] = HTTP_FIELD_PROTOCOL,
    [FIELD_PLACE(6, 'a', 'p')] = HTTP_FIELD_ACCEPT,
    [FIELD_PLACE(13, 'a', 'o')] = HTTP_FIELD_AUTHORIZATION,
    [FIELD_PLACE(10, 'c', 'o')] = HTTP_FIELD_CONNECTION,
    [FIELD_PLACE(14, 'c', 't')] = HTTP_FIELD_CONTENT_LENGTH,
    [FIELD_PLACE(12, 'c', 'p')] = HTTP_FIELD_CONTENT_TYPE,
    [FIELD_PLACE(6, 'c', 'i')] = HTTP_FIELD_COOKIE,
    [FIELD_PLACE(4, 'd', 't')] = HTTP_FIELD_DATE,
    [FIELD_PLACE(6, 'e', 'c')] = HTTP_FIELD_EXPECT,
    [FIELD_PLACE(9, 'f', 'e')] = HTTP_FIELD_FORWARDED,
    [FIELD_PLACE(13, 'g', 'n')] = HTTP_FIELD_GRPC_ENCODING,
    [FIELD_PLACE(12, 'g', 'u')] = HTTP_FIELD_GRPC_TIMEOUT,
    [FIELD_PLACE(4, 'h', 's')] = HTTP_FIELD_HOST,
    [FIELD_PLACE(14, 'h', 'g')] = HTTP_FIELD_HTTP2_SETTINGS,
    [FIELD_PLACE(15, 'i', 'e')] = HTTP_FIELD_IDEMPOTENCY_KEY,
    [FIELD_PLACE(10, 'k', 'v')] = HTTP_FIELD_KEEP_ALIVE,
    [FIELD_PLACE(12, 'm', 'd')] = HTTP_FIELD_MAX_FORWARDS,
    [FIELD_PLACE(16, 'p', 'o')] = HTTP_FIELD_PROXY_CONNECTION,
    [FIELD_PLACE(12, 'p', 'u')] = HTTP_FIELD_PROXY_STATUS,
    [FIELD_PLACE(7, 'r', 'e')] = HTTP_FIELD_REFERER,
    [FIELD_PLACE(11, 'r', 'e')] = HTTP_FIELD_RETRY_AFTER,
    [FIELD_PLACE(6, 's', 'e')] = HTTP_FIELD_SERVER,
    [FIELD_PLACE(10, 's', 'i')] = HTTP_FIELD_SET_COOKIE,
    [FIELD_PLACE(2, 't', 't')] = HTTP_FIELD_TE,
    [FIELD_PLACE(11, 't', 'n')] = HTTP_FIELD_TRACEPARENT,
    [FIELD_PLACE(10, 't', 't')] = HTTP_FIELD_TRACESTATE,
    [FIELD_PLACE(7, 't', 'e')] = HTTP_FIELD_TRAILER,
    [FIELD_PLACE(17, 't', 'n')] = HTTP_FIELD_TRANSFER_ENCODING,
    [FIELD_PLACE(7, 'u', 'd')] = HTTP_FIELD_UPGRADE,
    [FIELD_PLACE(10, 'u', 'n')] = HTTP_FIELD_USER_AGENT,
    [FIELD_PLACE(3, 'v', 'i')] = HTTP_FIELD_VIA,
    [FIELD_PLACE(15, 'x', 'o')] = HTTP_FIELD_X_FORWARDED_FOR,
    [FIELD_PLACE(16, 'x', 's')] = HTTP_FIELD_X_FORWARDED_HOST,
    [FIELD_PLACE(16, 'x', 'r')] = HTTP_FIELD_X_FORWARDED_PORT,
    [FIELD_PLACE(18, 'x', 'i')] = HTTP_FIELD_X_FORWARDED_PREFIX,
    [FIELD_PLACE(17, 'x', 't')] = HTTP_FIELD_X_FORWARDED_PROTO,
    [FIELD_PLACE(9, 'x', 'i')] = HTTP_FIELD_X_REAL_IP,
    [FIELD_PLACE(12, 'x', 'i')] = HTTP_FIELD_X_REQUEST_ID,
};

/*
 * The bytes at `at` in lower case, for those of a token: setting the bit turns no other token byte into one of a name.
 */
static uint64_t lower_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word | 0x2020202020202020;
}

static uint32_t lower_half(const char *at)
{
    uint32_t half;
    memcpy(&half, at, sizeof(half));
    return half | 0x20202020;
}

/* Names of one length, any case against lower case, in words of which the last overlaps the one before. */
static bool is_name(struct slice name, const char *known)
{
    if (name.len >= 8) {
        for (size_t i = 0; i + 8 < name.len; i += 8)
            if (lower_word(name.ptr + i) != lower_word(known + i))
                return false;
        return lower_word(name.ptr + name.len - 8) == lower_word(known + name.len - 8);
    }
    if (name.len >= 4)
        return lower_half(name.ptr) == lower_half(known) &&
               lower_half(name.ptr + name.len - 4) == lower_half(known + name.len - 4);
    for (size_t i = 0; i < name.len; i++)
        if ((name.ptr[i] | 0x20) != known[i])
            return false;
    return true;
}

enum http_field_id http_field_find(struct slice name)
{
    if (name.len < 2)
        return HTTP_FIELD_OTHER;
    unsigned first = (uint8_t)name.ptr[0] | 0x20, next_to_last = (uint8_t)name.ptr[name.len - 2] | 0x20;
    enum http_field_id id = fields_by_place[FIELD_PLACE(name.len, first, next_to_last)];
    struct slice known = field_names[id]; /* "" of HTTP_FIELD_OTHER, which is 0 */
    return name.len == known.len && is_name(name, known.ptr) ? id : HTTP_FIELD_OTHER;
}

const char *http_field_name(enum http_field_id id)
{
    ASSERT(id < HTTP_FIELD_IDS_);
    return id == HTTP_FIELD_OTHER ? "" : field_names[id].ptr;
}

const char *http_status_reason(unsigned status)
{
    switch (status) {
#define X(code, text)                                                                                                  \
    case code:                                                                                                         \
        return text;
        HTTP_STATUSES(X)
#undef X
    default:
        return "";
    }
}

struct slice http_status_line(unsigned status)
{
    switch (status) {
#define X(code, text)                                                                                                  \
    case code:                                                                                                         \
        return SLICE_LIT("HTTP/1.1 " #code " " text "\r\n");
        HTTP_STATUSES(X)
#undef X
    default:
        return (struct slice){0};
    }
}

const struct http_field *http_fields_get(const struct http_fields *fields, enum http_field_id id)
{
    for (unsigned i = 0; i < fields->n; i++)
        if (fields->items[i].id == id)
            return &fields->items[i];
    return NULL;
}

const struct http_field *http_fields_get_name(const struct http_fields *fields, struct slice name)
{
    for (unsigned i = 0; i < fields->n; i++)
        if (slice_equal_nocase(fields->items[i].name, name))
            return &fields->items[i];
    return NULL;
}

static bool may_trail(const struct http_field *field)
{
    static const struct slice others[] = {
        SLICE_LIT("content-encoding"),          SLICE_LIT("content-range"),
        SLICE_LIT("proxy-authenticate"),        SLICE_LIT("proxy-authorization"),
        SLICE_LIT("proxy-authentication-info"), SLICE_LIT("www-authenticate"),
    };
    switch (field->id) {
    case HTTP_FIELD_AUTHORIZATION:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_CONTENT_TYPE:
    case HTTP_FIELD_COOKIE:
    case HTTP_FIELD_EXPECT:
    case HTTP_FIELD_FORWARDED:
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_HTTP2_SETTINGS:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_MAX_FORWARDS:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_SET_COOKIE:
    case HTTP_FIELD_TE:
    case HTTP_FIELD_TRACEPARENT:
    case HTTP_FIELD_TRACESTATE:
    case HTTP_FIELD_TRAILER:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
    case HTTP_FIELD_VIA:
    case HTTP_FIELD_X_FORWARDED_FOR:
    case HTTP_FIELD_X_FORWARDED_HOST:
    case HTTP_FIELD_X_FORWARDED_PORT:
    case HTTP_FIELD_X_FORWARDED_PREFIX:
    case HTTP_FIELD_X_FORWARDED_PROTO:
    case HTTP_FIELD_X_REAL_IP:
    case HTTP_FIELD_X_REQUEST_ID:
        return false;
    case HTTP_FIELD_OTHER:
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
            if (slice_equal_nocase(field->name, others[i]))
                return false;
        return true;
    default:
        return true;
    }
}

void http_trailers_clean(struct http_fields *trailers)
{
    unsigned n = 0;
    for (unsigned i = 0; i < trailers->n; i++)
        if (may_trail(&trailers->items[i]))
            trailers->items[n++] = trailers->items[i];
    if (n < trailers->n)
        trailers->lines = (struct slice){0}; /* there are gaps in them now */
    trailers->n = n;
}

static bool all_are(struct slice text, enum char_class class)
{
    for (size_t i = 0; i < text.len; i++)
        if (!char_is(text.ptr[i], class))
            return false;
    return true;
}

bool http_is_token(struct slice text)
{
    const char *end = text.ptr + text.len;
    return text.len > 0 && scan_token(text.ptr, end) == end;
}

bool http_is_field_value(struct slice text)
{
    const char *end = text.ptr + text.len;
    return text.len == 0 || scan_value(text.ptr, end) == end;
}

static bool is_port(struct slice text)
{
    uint64_t port;
    return text.len <= 5 && slice_parse_u64(text, &port) == 0 && port <= UINT16_MAX;
}

/* Without the brackets. No zone: it means something on the client's machine only. */
static bool is_ipv6(struct slice text)
{
    char str[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(str) || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(str, text.ptr, text.len);
    str[text.len] = '\0';
    struct in6_addr addr;
    return inet_pton(AF_INET6, str, &addr) == 1;
}

bool http_is_authority(struct slice text)
{
    size_t host_len;
    if (text.len > 0 && text.ptr[0] == '[') {
        size_t close = slice_find(text, ']');
        if (close == text.len || !is_ipv6(slice_from(text.ptr + 1, close - 1)))
            return false;
        host_len = close + 1;
    } else {
        host_len = slice_find(text, ':');
        if (host_len == 0 || !all_are(slice_from(text.ptr, host_len), CHAR_UNRESERVED))
            return false;
    }
    struct slice port = slice_skip(text, host_len);
    return port.len == 0 || (port.ptr[0] == ':' && is_port(slice_skip(port, 1)));
}

bool http_list_has(struct slice list, struct slice token)
{
    while (list.len > 0) {
        struct slice item;
        list = slice_split(list, ',', &item);
        if (slice_equal_nocase(slice_trim(item), token))
            return true;
    }
    return false;
}
