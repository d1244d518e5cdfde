/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a message through our parser first. Only if its head is accepted is llhttp asked, which records what it saw in a
 * struct opinion; then the two are compared.
 *
 * Known and right differences:
 * - llhttp knows a fixed list of methods, some of them for other protocols only; any token is one for us.
 * - llhttp counts Content-Length where a 1xx or 204 response cannot have a body; its user must tell it, as for HEAD.
 * - llhttp refuses a chunk extension behind one that has a value.
 * - llhttp refuses a quoted pair in the value of a chunk extension ("\p", RFC 9110 5.6.4).
 * - llhttp looks into framing fields among the trailers; we drop them like all others.
 * - A tab is a blank; llhttp does not take it for one behind the values that it looks into.
 * - HTTP/1.0 with both close and keep-alive is kept alive by llhttp, and closed by us.
 */
#include "support/http1_oracle.h"

#include "base/util.h"
#include "wire/http1.h"

#include <llhttp.h>
#include <stdlib.h>

static const struct http1_limits limits = {.head_bytes = 65536, .target_bytes = 65536, .n_fields = HTTP_FIELDS_MAX};

/* What was seen of one message, by either side. */
struct opinion {
    struct slice method, target;
    unsigned status, version_minor;
    bool keep_alive, complete;
    struct http_fields fields;
    size_t consumed; /* of a complete message */
    char *body;
    size_t body_len;
    bool has_no_body; /* in: the response's status or its request says so */
    bool in_trailers; /* the head is complete: what follows are trailers */
};

static struct opinion *opinion_of(llhttp_t *parser)
{
    return parser->data;
}

static int on_method(llhttp_t *parser, const char *at, size_t length)
{
    opinion_of(parser)->method = slice_from(at, length);
    return 0;
}

static int on_target(llhttp_t *parser, const char *at, size_t length)
{
    opinion_of(parser)->target = slice_from(at, length);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
    struct opinion *opinion = opinion_of(parser);
    if (!opinion->in_trailers && opinion->fields.n < HTTP_FIELDS_MAX)
        opinion->fields.items[opinion->fields.n].name = slice_from(at, length);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    struct opinion *opinion = opinion_of(parser);
    if (!opinion->in_trailers && opinion->fields.n < HTTP_FIELDS_MAX)
        opinion->fields.items[opinion->fields.n].value = slice_trim(slice_from(at, length));
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    struct opinion *opinion = opinion_of(parser);
    if (!opinion->in_trailers)
        opinion->fields.n++;
    return 0;
}

static int on_head_complete(llhttp_t *parser)
{
    struct opinion *opinion = opinion_of(parser);
    opinion->in_trailers = true;
    if (opinion->has_no_body)
        parser->flags |= F_SKIPBODY;
    opinion->status = parser->status_code;
    opinion->version_minor = parser->http_minor;
    opinion->keep_alive = llhttp_should_keep_alive(parser);
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct opinion *opinion = opinion_of(parser);
    memcpy(opinion->body + opinion->body_len, at, length);
    opinion->body_len += length;
    return 0;
}

static int on_complete(llhttp_t *parser)
{
    opinion_of(parser)->complete = true;
    return HPE_PAUSED;
}

/* Is llhttp's refusal one of the known differences? `method` is HTTP_METHOD_GET for responses. */
static bool is_known(llhttp_errno_t refusal, enum http_method method, struct slice bytes, bool in_trailers)
{
    switch (refusal) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT:
    case HPE_PAUSED_H2_UPGRADE:
        return method == HTTP_METHOD_OTHER;
    case HPE_INVALID_CHUNK_SIZE:
        return slice_find(bytes, ';') < bytes.len;
    case HPE_STRICT:
        return slice_find(bytes, ';') < bytes.len && slice_find(bytes, '\\') < bytes.len;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
        return in_trailers;
    default:
        return false;
    }
}

/* 0: it has an opinion; 1: it refuses for a known reason; else ret_reason says why it refuses. */
static int ask_llhttp(struct slice bytes, llhttp_type_t type, enum http_method method, struct opinion *opinion,
                      const char **ret_reason)
{
    static const llhttp_settings_t settings = {
        .on_method = on_method,
        .on_url = on_target,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_header_value_complete = on_value_complete,
        .on_headers_complete = on_head_complete,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    llhttp_t parser;
    llhttp_init(&parser, type, &settings);
    parser.data = opinion;
    llhttp_errno_t refusal = llhttp_execute(&parser, bytes.ptr, bytes.len);
    if (refusal == HPE_OK)
        return 0;
    if (refusal == HPE_PAUSED || refusal == HPE_PAUSED_UPGRADE) {
        opinion->complete = true;
        opinion->consumed = (size_t)(llhttp_get_error_pos(&parser) - bytes.ptr);
        return 0;
    }
    *ret_reason = llhttp_get_error_reason(&parser);
    return is_known(refusal, method, bytes, opinion->in_trailers) ? 1 : -1;
}

/* Adds our reading of the body; false when we refuse it, or wait for more of its trailers before we look at them. */
static bool read_body(struct slice bytes, size_t head_len, enum http_framing framing, uint64_t length,
                      struct opinion *opinion)
{
    struct http1_body body;
    struct http1_fault fault;
    struct http_fields trailers;
    struct slice data, rest = slice_skip(bytes, head_len);
    size_t consumed = 0;
    enum http1_body_step step;
    http1_body_init(&body, framing, length);
    do {
        rest = slice_skip(rest, consumed);
        consumed = 0;
        step = http1_body_step(&body, rest, &data, &consumed, &trailers, &fault);
        if (step == HTTP1_BODY_DATA) {
            memcpy(opinion->body + opinion->body_len, data.ptr, data.len);
            opinion->body_len += data.len;
        }
    } while (step == HTTP1_BODY_DATA || step == HTTP1_BODY_TRAILERS);
    if (step == HTTP1_BODY_END) {
        opinion->complete = true;
        opinion->consumed = (size_t)(rest.ptr + consumed - bytes.ptr);
    }
    return step != HTTP1_BODY_BAD && (step != HTTP1_BODY_MORE || consumed == rest.len);
}

static const char *compare_fields(const struct http_fields *ours, const struct http_fields *theirs)
{
    if (ours->n != theirs->n)
        return "number of fields";
    for (unsigned i = 0; i < ours->n; i++) {
        if (!slice_equal(ours->items[i].name, theirs->items[i].name))
            return "name of a field";
        if (!slice_equal(ours->items[i].value, theirs->items[i].value))
            return "value of a field";
    }
    return NULL;
}

static const char *compare(const struct opinion *ours, const struct opinion *theirs)
{
    if (!slice_equal(ours->method, theirs->method))
        return "method";
    if (!slice_equal(ours->target, theirs->target))
        return "target";
    if (ours->status != theirs->status)
        return "status";
    if (ours->version_minor != theirs->version_minor)
        return "version";
    if (ours->keep_alive && !theirs->keep_alive)
        return "keep-alive";
    const char *difference = compare_fields(&ours->fields, &theirs->fields);
    if (difference)
        return difference;
    if (ours->complete != theirs->complete)
        return "completeness";
    if (ours->complete && ours->consumed != theirs->consumed)
        return "end of the message";
    if (!slice_equal(slice_from(ours->body, ours->body_len), slice_from(theirs->body, theirs->body_len)))
        return "body";
    return NULL;
}

/* Is there a tab somewhere in or behind a value that llhttp looks into? */
static bool has_tab(const struct http_fields *fields)
{
    for (unsigned i = 0; i < fields->n; i++) {
        const struct http_field *field = &fields->items[i];
        bool is_looked_into = field->id == HTTP_FIELD_CONNECTION || field->id == HTTP_FIELD_CONTENT_LENGTH ||
                              field->id == HTTP_FIELD_TRANSFER_ENCODING || field->id == HTTP_FIELD_UPGRADE;
        if (is_looked_into && memchr(field->value.ptr, '\t', strcspn(field->value.ptr, "\r")))
            return true;
    }
    return false;
}

static const char *judge_request(struct slice bytes, struct opinion *ours, struct opinion *theirs)
{
    struct http_request request;
    struct http1_fault fault;
    size_t head_len = http1_head_end(bytes, 0);
    if (head_len == 0 || http1_parse_request(slice_from(bytes.ptr, head_len), &limits, &ours->fields, &request, &fault))
        return NULL;
    ours->method = request.method_text;
    ours->target = request.target;
    ours->version_minor = request.version_minor;
    ours->keep_alive = request.keep_alive;
    if (has_tab(&ours->fields) || !read_body(bytes, head_len, request.framing, request.content_length, ours))
        return NULL;
    const char *reason;
    int r = ask_llhttp(bytes, HTTP_REQUEST, request.method, theirs, &reason);
    return r == 0 ? compare(ours, theirs) : r < 0 ? reason : NULL;
}

static const char *judge_response(struct slice bytes, enum http_method method, struct opinion *ours,
                                  struct opinion *theirs)
{
    struct http_response response;
    struct http1_fault fault;
    size_t head_len = http1_head_end(bytes, 0);
    if (head_len == 0 ||
        http1_parse_response(slice_from(bytes.ptr, head_len), &limits, method, &ours->fields, &response, &fault))
        return NULL;
    ours->status = response.status;
    ours->version_minor = response.version_minor;
    ours->keep_alive = response.keep_alive;
    if (has_tab(&ours->fields) || !read_body(bytes, head_len, response.framing, response.content_length, ours))
        return NULL;
    theirs->has_no_body = response.framing == HTTP_BODY_NONE;
    const char *reason;
    int r = ask_llhttp(bytes, HTTP_RESPONSE, HTTP_METHOD_GET, theirs, &reason);
    return r == 0 ? compare(ours, theirs) : r < 0 ? reason : NULL;
}

/* Gives both sides room for the whole body, and memory of exactly the message's size to read. */
static const char *judge(struct slice bytes, bool is_response, enum http_method method)
{
    char *copy = slice_dup(bytes);
    struct opinion *ours = calloc(1, sizeof(*ours)), *theirs = calloc(1, sizeof(*theirs));
    if (!copy || !ours || !theirs)
        abort();
    copy = realloc(copy, bytes.len + (bytes.len == 0));
    ours->body = malloc(bytes.len + 1);
    theirs->body = malloc(bytes.len + 1);
    if (!copy || !ours->body || !theirs->body)
        abort();
    bytes.ptr = copy;
    const char *difference =
        is_response ? judge_response(bytes, method, ours, theirs) : judge_request(bytes, ours, theirs);
    free(ours->body);
    free(theirs->body);
    free(ours);
    free(theirs);
    free(copy);
    return difference;
}

const char *http1_oracle_request(struct slice bytes)
{
    return judge(bytes, false, HTTP_METHOD_OTHER);
}

const char *http1_oracle_response(struct slice bytes, enum http_method method)
{
    return judge(bytes, true, method);
}
