/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request heads: the request line, the four forms of its target, and the rules of docs/http1.md that concern requests
 * as a whole.
 */
#include "wire/http1_fields.h"

#include "base/assert.h"
#include "base/util.h"
#include "wire/scan.h"

#include <errno.h>

/* Skips empty lines and takes the first other one. -EAGAIN: not complete yet, *ret_rest is what is there of it. */
static int take_first_line(struct slice bytes, struct slice *ret_line, struct slice *ret_rest,
                           struct http1_fault *ret_fault)
{
    /* A TLS record: handshake, version 3.x. Looked for first, as its random bytes may look like anything. */
    if (slice_starts_with(bytes, SLICE_LIT("\x16\x03")))
        return http1_refuse(ret_fault, 400, "this port speaks plain HTTP, but the client began a TLS handshake");
    int r = http1_skip_empty_lines(bytes, ret_rest, ret_fault);
    if (r < 0)
        return r;
    return http1_take_line(*ret_rest, ret_line, ret_rest, ret_fault);
}

/* The method is not a token followed by a blank. `stop` is where its token characters end. */
static int bad_method(struct slice line, size_t stop, struct http1_fault *ret_fault)
{
    if (stop == 0 && char_is_blank(line.ptr[0]))
        return http1_refuse(ret_fault, 400, "a blank before the method");
    if (stop == line.len)
        return http1_refuse(ret_fault, 400, "the request line has a method only");
    return http1_refuse(ret_fault, 400, "this is not an HTTP request: the method is not a token");
}

/* `stop` is the first byte of the line that may not stand in a target; the blank there would be right. */
static int bad_target(struct slice line, size_t stop, bool is_empty, struct http1_fault *ret_fault)
{
    if (is_empty)
        return http1_refuse(ret_fault, 400, "not exactly one blank between the method and the target");
    if (stop == line.len)
        return http1_refuse(ret_fault, 400, "the request line has no version: HTTP/0.9 is not spoken here");
    if (line.ptr[stop] == '#')
        return http1_refuse(ret_fault, 400, "a '#' in the target: fragments are not sent to servers");
    return http1_refuse(ret_fault, 400, "a control or non-ASCII character in the target");
}

/* Method, target and version, each taken as it stands. */
static int parse_line(struct slice line, const struct http1_limits *limits, struct http_request *request,
                      struct http1_fault *ret_fault)
{
    const char *end = line.ptr + line.len;
    const char *method_end = scan_token(line.ptr, end);
    if (method_end == line.ptr || method_end == end || *method_end != ' ')
        return bad_method(line, (size_t)(method_end - line.ptr), ret_fault);

    const char *target = method_end + 1;
    const char *target_end = scan_target(target, end);
    if ((size_t)(target_end - target) > limits->target_bytes)
        return http1_refuse(ret_fault, 414, "the target is too long");
    if (target_end == target || target_end == end || *target_end != ' ')
        return bad_target(line, (size_t)(target_end - line.ptr), target_end == target, ret_fault);

    request->method_text = slice_from(line.ptr, (size_t)(method_end - line.ptr));
    request->method = http_method_find(request->method_text);
    request->target = slice_from(target, (size_t)(target_end - target));
    request->version_major = 1;
    return http1_parse_version(slice_skip(line, (size_t)(target_end + 1 - line.ptr)), &request->version_minor,
                               ret_fault);
}

static void split_path(struct http_request *request, struct slice path_and_query)
{
    request->query = slice_split(path_and_query, '?', &request->path);
}

/* CONNECT names host and port, nothing else. */
static int parse_authority_form(struct http_request *request, struct http1_fault *ret_fault)
{
    struct slice target = request->target;
    size_t host_len = target.ptr[0] == '[' ? slice_find(target, ']') : 0;
    bool has_port = slice_find(slice_skip(target, host_len), ':') < target.len - host_len;
    if (!has_port || !http_is_authority(target))
        return http1_refuse(ret_fault, 400, "the target of CONNECT is not host:port");
    request->authority = target;
    return 0;
}

/* "http://host/path": the authority replaces what Host says. */
static int parse_absolute_form(struct http_request *request, struct http1_fault *ret_fault)
{
    struct slice target = request->target;
    size_t colon = slice_find(target, ':');
    struct slice scheme = slice_from(target.ptr, colon);
    struct slice rest = slice_skip(target, colon);
    bool is_http = slice_equal_nocase(scheme, SLICE_LIT("http")) || slice_equal_nocase(scheme, SLICE_LIT("https"));
    if (!is_http || !slice_starts_with(rest, SLICE_LIT("://")))
        return http1_refuse(ret_fault, 400, "the target is neither a path nor an http:// or https:// URI");

    rest = slice_skip(rest, 3);
    size_t authority_len = min_size(slice_find(rest, '/'), slice_find(rest, '?'));
    request->authority = slice_from(rest.ptr, authority_len);
    if (!http_is_authority(request->authority))
        return http1_refuse(ret_fault, 400, "the target's host is not one name or address with an optional port");

    split_path(request, slice_skip(rest, authority_len));
    if (request->path.len == 0)
        request->path =
            request->method == HTTP_METHOD_OPTIONS && authority_len == rest.len ? SLICE_LIT("*") : SLICE_LIT("/");
    return 0;
}

static int parse_target(struct http_request *request, struct http1_fault *ret_fault)
{
    if (request->method == HTTP_METHOD_CONNECT)
        return parse_authority_form(request, ret_fault);
    if (request->target.ptr[0] == '/') {
        split_path(request, request->target);
        return 0;
    }
    if (slice_equal(request->target, SLICE_LIT("*"))) {
        if (request->method != HTTP_METHOD_OPTIONS)
            return http1_refuse(ret_fault, 400, "the target * goes with OPTIONS only");
        request->path = request->target;
        return 0;
    }
    return parse_absolute_form(request, ret_fault);
}

/* What the fields say, made into the request's framing and flags. */
static int apply_meaning(struct http_request *request, const struct http1_meaning *meaning,
                         struct http1_fault *ret_fault)
{
    int r = http1_check_meaning(meaning, request->version_minor, ret_fault);
    if (r < 0)
        return r;
    if (!meaning->host && request->version_minor >= 1)
        return http1_refuse(ret_fault, 400, "HTTP/1.1 without Host");
    if (meaning->host)
        request->authority = meaning->host->value;

    if (meaning->transfer_encoding)
        request->framing = HTTP_BODY_CHUNKED;
    else if (meaning->content_length)
        request->framing = HTTP_BODY_LENGTH;
    request->content_length = meaning->length;
    bool has_body = meaning->transfer_encoding || meaning->length > 0;

    request->keep_alive = http1_is_keep_alive(meaning, request->version_minor);
    request->expect_continue = meaning->expect_continue && has_body && request->version_minor >= 1;
    request->upgrade =
        meaning->upgrade && meaning->upgrade_protocol && !meaning->upgrade_h2c && request->version_minor >= 1;
    if (request->upgrade && has_body)
        return http1_refuse(ret_fault, 400, "Upgrade on a request with a body");
    if (request->method == HTTP_METHOD_CONNECT && has_body)
        return http1_refuse(ret_fault, 400, "CONNECT with a body");
    return 0;
}

/* The head that `bytes` begin with; *ret_end is behind it. */
static int parse(struct slice bytes, const struct http1_limits *limits, struct http_fields *fields,
                 struct http_request *ret_request, const char **ret_end, struct http1_fault *ret_fault)
{
    struct http_request request = {.fields = fields};
    struct http1_meaning meaning;
    struct slice line, rest;
    int r = take_first_line(bytes, &line, &rest, ret_fault);
    if (r == -EAGAIN)
        return http1_refuse(ret_fault, 400, "an empty head");
    if (r < 0)
        return r;
    r = parse_line(line, limits, &request, ret_fault);
    if (r < 0)
        return r;
    if (bytes.len > limits->head_bytes)
        return http1_refuse(ret_fault, 431, "the head is too large");
    r = http1_parse_fields(HTTP1_REQUEST, rest, limits->n_fields, fields, &meaning, ret_end, ret_fault);
    if (r < 0)
        return r;
    r = apply_meaning(&request, &meaning, ret_fault);
    if (r < 0)
        return r;
    r = parse_target(&request, ret_fault);
    if (r < 0)
        return r;
    *ret_request = request;
    return 0;
}

int http1_parse_request(struct slice head, const struct http1_limits *limits, struct http_fields *fields,
                        struct http_request *ret_request, struct http1_fault *ret_fault)
{
    const char *end = NULL;
    int r = parse(head, limits, fields, ret_request, &end, ret_fault);
    ASSERT(r < 0 || end == head.ptr + head.len);
    return r;
}

/* The first line has no end yet: is what is there of its method and target acceptable? */
static int check_partial_line(struct slice line, const struct http1_limits *limits, struct http1_fault *ret_fault)
{
    const char *end = line.ptr + line.len;
    const char *method_end = scan_token(line.ptr, end);
    if (method_end == end)
        return 0;
    if (method_end == line.ptr || *method_end != ' ')
        return bad_method(line, (size_t)(method_end - line.ptr), ret_fault);
    if ((size_t)(scan_target(method_end + 1, end) - (method_end + 1)) > limits->target_bytes)
        return http1_refuse(ret_fault, 414, "the target is too long");
    return 0;
}

int http1_check_partial(struct slice bytes, const struct http1_limits *limits, struct http1_fault *ret_fault)
{
    struct http_request request;
    struct slice line, rest;
    int r = take_first_line(bytes, &line, &rest, ret_fault);
    if (r == 0)
        r = parse_line(line, limits, &request, ret_fault);
    else if (r == -EAGAIN)
        r = check_partial_line(rest, limits, ret_fault);
    if (r < 0)
        return r;
    if (bytes.len >= limits->head_bytes)
        return http1_refuse(ret_fault, 431, "the head is too large");
    return 0;
}

/* Whether it begins with a whole head is found out by parsing it; only one that fails is looked at in order. */
ssize_t http1_take_request(struct slice bytes, size_t searched, const struct http1_limits *limits,
                           struct http_fields *fields, struct http_request *ret_request, struct http1_fault *ret_fault)
{
    const char *end = NULL;
    struct slice within = slice_from(bytes.ptr, min_size(bytes.len, limits->head_bytes));
    if (searched == 0 && parse(within, limits, fields, ret_request, &end, ret_fault) == 0)
        return end - bytes.ptr;
    size_t len = http1_head_end(bytes, searched);
    if (len == 0)
        return http1_check_partial(bytes, limits, ret_fault);
    int r = http1_parse_request(slice_from(bytes.ptr, len), limits, fields, ret_request, ret_fault);
    return r < 0 ? r : (ssize_t)len;
}
