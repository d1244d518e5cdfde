/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes: the pairs of the block become pseudo-fields and fields, then the request is put together and judged.
 * Whether something is malformed or merely refused follows HTTP/1: there a 400 would close the connection, here a
 * stream error ends the stream; every other refusal is an ordinary answer.
 */
#include "http/h2_request.h"

#include "http/h2_fields.h"

struct pseudo {
    struct slice method, path, authority;
};

static int refuse(struct http1_fault *ret_fault, uint16_t status, const char *text)
{
    *ret_fault = (struct http1_fault){.status = status, .text = text};
    return H2_REQUEST_REFUSED;
}

static int collect(struct slice block, unsigned n_max, struct pseudo *ret_pseudo, struct http_fields *fields,
                   struct http1_fault *ret_fault)
{
    struct slice name, value;
    fields->n = 0;
    while (h2_fields_next(&block, &name, &value)) {
        enum http_field_id id = http_field_find(name);
        if (id == HTTP_FIELD_METHOD)
            ret_pseudo->method = value;
        else if (id == HTTP_FIELD_PATH)
            ret_pseudo->path = value;
        else if (id == HTTP_FIELD_AUTHORITY)
            ret_pseudo->authority = value;
        else if (name.ptr[0] == ':')
            continue; /* :scheme says nothing that the connection does not */
        else if (fields->n == n_max || fields->n == HTTP_FIELDS_MAX)
            return refuse(ret_fault, 431, "too many fields");
        else
            fields->items[fields->n++] = (struct http_field){.name = name, .value = value, .id = id};
    }
    return 0;
}

/* :authority and Host name the same thing when both are there (RFC 9113 8.3.1); one of them is, nghttp2 saw to that. */
static int find_authority(const struct pseudo *pseudo, const struct http_fields *fields, struct slice *ret_authority)
{
    const struct http_field *host = http_fields_get(fields, HTTP_FIELD_HOST);
    struct slice authority = pseudo->authority.ptr || !host ? pseudo->authority : host->value;
    if (!http_is_authority(authority) || (host && !slice_equal_nocase(authority, host->value)))
        return H2_REQUEST_MALFORMED;
    *ret_authority = authority;
    return 0;
}

static int split_target(struct slice target, const struct http1_limits *limits, struct http_request *request,
                        struct http1_fault *ret_fault)
{
    if (target.len > limits->target_bytes)
        return refuse(ret_fault, 414, "the request target is too long");
    bool is_asterisk = slice_equal_str(target, "*") && request->method == HTTP_METHOD_OPTIONS;
    if (slice_is_empty(target) || (target.ptr[0] != '/' && !is_asterisk) || slice_find(target, '#') < target.len)
        return H2_REQUEST_MALFORMED;
    request->target = target;
    request->query = slice_split(target, '?', &request->path);
    return 0;
}

/* How long the body is. That its DATA adds up to content-length is watched by nghttp2. */
static int find_framing(const struct http_fields *fields, bool end_stream, struct http_request *request)
{
    const struct http_field *length = http_fields_get(fields, HTTP_FIELD_CONTENT_LENGTH);
    request->framing = HTTP_BODY_STREAM;
    if (length) {
        if (slice_parse_u64(length->value, &request->content_length) < 0)
            return H2_REQUEST_MALFORMED;
        request->framing = HTTP_BODY_LENGTH;
    }
    if (end_stream)
        request->framing = HTTP_BODY_NONE;
    return 0;
}

static int find_expectation(const struct http_fields *fields, struct http_request *request,
                            struct http1_fault *ret_fault)
{
    const struct http_field *expect = http_fields_get(fields, HTTP_FIELD_EXPECT);
    if (!expect)
        return 0;
    if (!slice_equal_nocase(expect->value, SLICE_LIT("100-continue")))
        return refuse(ret_fault, 417, "the only expectation known here is 100-continue");
    request->expect_continue = request->framing != HTTP_BODY_NONE;
    return 0;
}

int h2_request_parse(struct slice block, bool end_stream, const struct http1_limits *limits, struct http_fields *fields,
                     struct http_request *ret_request, struct http1_fault *ret_fault)
{
    struct pseudo pseudo = {0};
    int r = collect(block, limits->n_fields, &pseudo, fields, ret_fault);
    if (r != 0)
        return r;

    struct http_request request = {.version_major = 2, .keep_alive = true, .fields = fields};
    request.method_text = pseudo.method;
    request.method = http_method_find(pseudo.method);
    if (request.method == HTTP_METHOD_CONNECT)
        return refuse(ret_fault, 501, "CONNECT is not served here");
    r = find_authority(&pseudo, fields, &request.authority);
    if (r == 0)
        r = split_target(pseudo.path, limits, &request, ret_fault);
    if (r == 0)
        r = find_framing(fields, end_stream, &request);
    if (r == 0)
        r = find_expectation(fields, &request, ret_fault);
    if (r == 0)
        *ret_request = request;
    return r;
}
