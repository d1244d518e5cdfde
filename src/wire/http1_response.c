/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Response heads: the status line, and how long the body is (RFC 9112 6.3, in its order). Whatever is wrong with one is
 * a 502 to whoever waits for it.
 */
#include "wire/http1_fields.h"

#include "base/assert.h"
#include "base/util.h"
#include "wire/chars.h"

#include <errno.h>

#define STATUS_LINE_MIN 12 /* HTTP/1.1 200 */

/* "HTTP/1.1 200 OK". The blank before an empty reason may be missing, as it often is. */
static int parse_line(struct slice line, struct http_response *response, struct http1_fault *ret_fault)
{
    const char *text = line.ptr;
    if (line.len < STATUS_LINE_MIN || text[8] != ' ')
        return http1_refuse(ret_fault, 502, "the response does not begin with an HTTP/1 status line");
    int r = http1_parse_version(slice_from(text, 8), &response->version_minor, ret_fault);
    if (r < 0)
        return r;
    response->version_major = 1;

    bool is_status = text[9] >= '1' && text[9] <= '5' && char_is(text[10], CHAR_DIGIT) && char_is(text[11], CHAR_DIGIT);
    if (!is_status || (line.len > STATUS_LINE_MIN && text[STATUS_LINE_MIN] != ' '))
        return http1_refuse(ret_fault, 502, "the response's status is not a number from 100 to 599");
    response->status = (uint16_t)((text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0'));
    response->reason = slice_skip(line, min_size(line.len, STATUS_LINE_MIN + 1));
    if (!http_is_field_value(response->reason))
        return http1_refuse(ret_fault, 502, "a control character in the response's reason");
    return 0;
}

static bool has_no_body(unsigned status, enum http_method method)
{
    if (method == HTTP_METHOD_HEAD || status < 200 || status == 204 || status == 304)
        return true;
    return method == HTTP_METHOD_CONNECT && status < 300;
}

static void apply_meaning(struct http_response *response, enum http_method method, const struct http1_meaning *meaning)
{
    response->has_length = meaning->content_length;
    response->content_length = meaning->length;
    response->idle_timeout_s = meaning->idle_timeout_s;
    response->keep_alive = http1_is_keep_alive(meaning, response->version_minor);
    if (has_no_body(response->status, method)) {
        /*
         * A server that announces a body where none can be may well send it: nothing behind this response is trusted.
         */
        bool announces = meaning->transfer_encoding || meaning->length > 0;
        if (announces && method != HTTP_METHOD_HEAD && response->status != 304)
            response->keep_alive = false;
    } else if (meaning->transfer_encoding) {
        response->framing = HTTP_BODY_CHUNKED;
    } else if (meaning->content_length) {
        response->framing = HTTP_BODY_LENGTH;
    } else {
        response->framing = HTTP_BODY_STREAM;
        response->keep_alive = false;
    }
}

/* The head that `bytes` begin with; *ret_end is behind it. */
static int parse(struct slice bytes, const struct http1_limits *limits, enum http_method method,
                 struct http_fields *fields, struct http_response *ret_response, const char **ret_end,
                 struct http1_fault *ret_fault)
{
    struct http_response response = {.fields = fields};
    struct http1_meaning meaning;
    struct slice line, rest;
    if (bytes.len > limits->head_bytes)
        return http1_refuse(ret_fault, 502, "the response's head is too large");
    int r = http1_take_line(bytes, &line, &rest, ret_fault);
    if (r == -EAGAIN)
        return http1_refuse(ret_fault, 502, "an empty response head");
    if (r < 0)
        return r;
    r = parse_line(line, &response, ret_fault);
    if (r < 0)
        return r;
    r = http1_parse_fields(HTTP1_RESPONSE, rest, limits->n_fields, fields, &meaning, ret_end, ret_fault);
    if (r < 0)
        return r;
    r = http1_check_meaning(&meaning, response.version_minor, ret_fault);
    if (r < 0)
        return r;
    apply_meaning(&response, method, &meaning);
    *ret_response = response;
    return 0;
}

int http1_parse_response(struct slice head, const struct http1_limits *limits, enum http_method method,
                         struct http_fields *fields, struct http_response *ret_response, struct http1_fault *ret_fault)
{
    const char *end = NULL;
    int r = parse(head, limits, method, fields, ret_response, &end, ret_fault);
    ASSERT(r < 0 || end == head.ptr + head.len);
    if (r < 0)
        ret_fault->status = 502;
    return r;
}

int http1_check_partial_response(struct slice bytes, const struct http1_limits *limits, struct http1_fault *ret_fault)
{
    struct slice expected = SLICE_LIT("HTTP/1.");
    expected.len = min_size(expected.len, bytes.len);
    if (!slice_starts_with(bytes, expected))
        return http1_refuse(ret_fault, 502, "the response does not begin with an HTTP/1 status line");
    if (bytes.len >= limits->head_bytes)
        return http1_refuse(ret_fault, 502, "the response's head is too large");
    return 0;
}

/* As http1_take_request. */
ssize_t http1_take_response(struct slice bytes, size_t searched, const struct http1_limits *limits,
                            enum http_method method, struct http_fields *fields, struct http_response *ret_response,
                            struct http1_fault *ret_fault)
{
    const char *end = NULL;
    struct slice within = slice_from(bytes.ptr, min_size(bytes.len, limits->head_bytes));
    if (searched == 0 && parse(within, limits, method, fields, ret_response, &end, ret_fault) == 0)
        return end - bytes.ptr;
    size_t len = http1_head_end(bytes, searched);
    if (len == 0)
        return http1_check_partial_response(bytes, limits, ret_fault);
    int r = http1_parse_response(slice_from(bytes.ptr, len), limits, method, fields, ret_response, ret_fault);
    return r < 0 ? r : (ssize_t)len;
}
