/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each field is looked at as it comes: those that say what is asked for are taken aside, the others are listed. Then
 * the request is put together and judged. Whether something is malformed or merely refused follows HTTP/1: there a 400
 * would close the connection, here a stream error ends the stream; every other refusal is an ordinary answer.
 */
#include "http/h2_request.h"

#include "wire/scan.h"

/* What a field costs beside its bytes (RFC 9113 6.5.2). */
enum { FIELD_OVERHEAD = 32 };

_Static_assert(HTTP_FIELD_IDS_ <= 64, "a bit for each id");

void h2_head_init(struct h2_head *head, struct http_fields *fields, const struct http1_limits *limits)
{
    *head = (struct h2_head){.fields = fields, .limits = limits};
    fields->n = 0;
    fields->lines = (struct slice){0};
}

/* False when it was there before. */
static bool see(struct h2_head *head, enum http_field_id id)
{
    uint64_t bit = UINT64_C(1) << id;
    bool is_first = !(head->seen & bit);
    head->seen |= bit;
    return is_first;
}

/* NULL: a request has no such pseudo-field. */
static struct slice *find_place(struct h2_head *head, enum http_field_id id)
{
    switch (id) {
    case HTTP_FIELD_METHOD:
        return &head->method;
    case HTTP_FIELD_PATH:
        return &head->path;
    case HTTP_FIELD_SCHEME:
        return &head->scheme;
    case HTTP_FIELD_AUTHORITY:
        return &head->authority;
    default:
        return NULL;
    }
}

/* Known, in front of the others, and once. */
static void add_pseudo(struct h2_head *head, const struct hpack_field *field)
{
    struct slice *place = find_place(head, field->id);
    if (!place || !see(head, field->id) || head->fields->n > 0)
        head->is_malformed = true;
    else
        *place = field->value;
}

/* RFC 9113 8.2.2, and what must not be there twice. */
static bool is_allowed(struct h2_head *head, const struct hpack_field *field)
{
    switch (field->id) {
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
        return false;
    case HTTP_FIELD_TE:
        return slice_equal_nocase(field->value, SLICE_LIT("trailers"));
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONTENT_LENGTH:
        return see(head, field->id);
    default:
        return true;
    }
}

void h2_head_add(struct h2_head *head, const struct hpack_field *field)
{
    struct http_fields *fields = head->fields;
    head->n_bytes += field->name.len + field->value.len + FIELD_OVERHEAD;
    head->is_too_large |= head->n_bytes > head->limits->head_bytes;
    if (!field->is_valid || (field->name.ptr[0] != ':' && !is_allowed(head, field))) {
        head->is_malformed = true;
    } else if (field->name.ptr[0] == ':') {
        add_pseudo(head, field);
    } else if (fields->n == head->limits->n_fields || fields->n == HTTP_FIELDS_MAX) {
        head->has_too_many = true;
    } else {
        fields->items[fields->n++] = (struct http_field){.name = field->name, .value = field->value, .id = field->id};
    }
}

bool h2_head_is_trailers(const struct h2_head *head)
{
    const uint64_t pseudo = UINT64_C(1) << HTTP_FIELD_METHOD | UINT64_C(1) << HTTP_FIELD_PATH |
                            UINT64_C(1) << HTTP_FIELD_SCHEME | UINT64_C(1) << HTTP_FIELD_AUTHORITY;
    return !head->is_malformed && !(head->seen & pseudo);
}

static int refuse(struct http1_fault *ret_fault, uint16_t status, const char *text)
{
    *ret_fault = (struct http1_fault){.status = status, .text = text};
    return H2_REQUEST_REFUSED;
}

static bool has(const struct h2_head *head, enum http_field_id id)
{
    return head->seen & UINT64_C(1) << id;
}

/* RFC 3986 3.1. */
static bool is_scheme(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)(text.ptr[i] | 0x20);
        bool is_letter = c >= 'a' && c <= 'z';
        if (!is_letter && (i == 0 || !(char_is(text.ptr[i], CHAR_DIGIT) || strchr("+-.", text.ptr[i]))))
            return false;
    }
    return text.len > 0;
}

/* RFC 9113 8.3.1; CONNECT is different (8.5). */
static int find_method(const struct h2_head *head, struct http_request *request, struct http1_fault *ret_fault)
{
    if (!http_is_token(head->method))
        return H2_REQUEST_MALFORMED;
    request->method_text = head->method;
    request->method = http_method_find(head->method);
    bool has_target = has(head, HTTP_FIELD_SCHEME) && has(head, HTTP_FIELD_PATH);
    if (request->method == HTTP_METHOD_CONNECT)
        return has(head, HTTP_FIELD_SCHEME) || has(head, HTTP_FIELD_PATH) || !has(head, HTTP_FIELD_AUTHORITY)
                   ? H2_REQUEST_MALFORMED
                   : refuse(ret_fault, 501, "CONNECT is not served here");
    return has_target && is_scheme(head->scheme) ? 0 : H2_REQUEST_MALFORMED;
}

/* :authority and Host name the same thing when both are there (RFC 9113 8.3.1). */
static int find_authority(const struct h2_head *head, struct slice *ret_authority)
{
    const struct http_field *host = has(head, HTTP_FIELD_HOST) ? http_fields_get(head->fields, HTTP_FIELD_HOST) : NULL;
    struct slice authority = has(head, HTTP_FIELD_AUTHORITY) || !host ? head->authority : host->value;
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
    if (slice_is_empty(target) || (target.ptr[0] != '/' && !is_asterisk) ||
        scan_target(target.ptr, target.ptr + target.len) < target.ptr + target.len)
        return H2_REQUEST_MALFORMED;
    request->target = target;
    request->query = slice_split(target, '?', &request->path);
    return 0;
}

/* How long the body is. That its DATA adds up to content-length is watched by h2_stream.c. */
static int find_framing(const struct h2_head *head, bool end_stream, struct http_request *request)
{
    request->framing = HTTP_BODY_STREAM;
    if (has(head, HTTP_FIELD_CONTENT_LENGTH)) {
        const struct http_field *length = http_fields_get(head->fields, HTTP_FIELD_CONTENT_LENGTH);
        if (!length || slice_parse_u64(length->value, &request->content_length) < 0 ||
            (end_stream && request->content_length > 0))
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

int h2_request_parse(const struct h2_head *head, bool end_stream, struct http_request *ret_request,
                     struct http1_fault *ret_fault)
{
    struct http_request request = {.version_major = 2, .keep_alive = true, .fields = head->fields};
    if (head->is_malformed)
        return H2_REQUEST_MALFORMED;
    if (head->is_too_large)
        return refuse(ret_fault, 431, "the request's fields are too large");
    if (head->has_too_many)
        return refuse(ret_fault, 431, "too many fields");
    int r = find_method(head, &request, ret_fault);
    if (r == 0)
        r = find_authority(head, &request.authority);
    if (r == 0)
        r = split_target(head->path, head->limits, &request, ret_fault);
    if (r == 0)
        r = find_framing(head, end_stream, &request);
    if (r == 0)
        r = find_expectation(head->fields, &request, ret_fault);
    if (r == 0)
        *ret_request = request;
    return r;
}
