/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the answer's head are gathered in one buffer, which is given back when the head is read: an answer that
 * lasts for days keeps nothing. What comes behind the head is the body's, and is never copied.
 */
#include "client/http.h"

#include <errno.h>

static const struct http1_limits limits = {.head_bytes = 16 * 1024, .target_bytes = 4096, .n_fields = 64};

void http_answer_init(struct http_answer *answer, http_body_fn on_body, void *ctx)
{
    *answer = (struct http_answer){.on_body = on_body, .ctx = ctx, .head.limit = limits.head_bytes};
}

void http_answer_deinit(struct http_answer *answer)
{
    buf_deinit(&answer->head);
}

/*
 * Moves the head's bytes from the front of *bytes into answer->head. 0 when more must come, 1 when it is whole, which
 * *bytes then begins behind.
 */
static int gather_head(struct http_answer *answer, struct slice *bytes, struct err *err)
{
    size_t before = answer->head.len, taken = min_size(bytes->len, limits.head_bytes - before);
    int r = buf_append(&answer->head, (struct slice){bytes->ptr, taken});
    if (r < 0)
        return err_set(err, r, "out of memory");
    size_t end = http1_head_end(buf_slice(&answer->head), answer->searched);
    answer->searched = answer->head.len;
    if (end == 0 && answer->head.len == limits.head_bytes)
        return err_set(err, -EMSGSIZE, "the head of the answer is too long");
    if (end == 0)
        return 0;
    answer->head.len = end;
    *bytes = slice_skip(*bytes, end - before);
    return 1;
}

static int read_head(struct http_answer *answer, struct err *err)
{
    struct http_fields fields;
    struct http_response response;
    struct http1_fault fault;
    if (http1_parse_response(buf_slice(&answer->head), &limits, HTTP_METHOD_GET, &fields, &response, &fault) < 0)
        return err_set(err, -EPROTO, "a bad answer: %s", fault.text);
    buf_deinit(&answer->head);
    answer->searched = 0;
    if (response.status < 200)
        return 0; /* another one follows */
    answer->status = response.status;
    http1_body_init(&answer->body, response.framing, response.content_length);
    return 0;
}

/* The trailers are taken whole: what has come of them waits where the head was. */
static int hold_trailers(struct http_answer *answer, struct slice *bytes, struct err *err)
{
    if (buf_append(&answer->head, *bytes) < 0)
        return err_set(err, -ENOMEM, "out of memory, or a bad answer: much more than its end");
    *bytes = buf_slice(&answer->head);
    return 0;
}

static int take_body(struct http_answer *answer, struct slice bytes, struct err *err)
{
    bool is_held = answer->head.len > 0;
    int r = is_held ? hold_trailers(answer, &bytes, err) : 0;
    while (r == 0) {
        struct slice data;
        struct http_fields trailers;
        struct http1_fault fault;
        size_t consumed = 0;
        enum http1_body_step step = http1_body_step(&answer->body, bytes, &data, &consumed, &trailers, &fault);
        bytes = slice_skip(bytes, consumed);
        if (step == HTTP1_BODY_DATA)
            r = answer->on_body(answer->ctx, answer->status, data, err);
        else if (step == HTTP1_BODY_BAD)
            r = err_set(err, -EPROTO, "a bad answer: %s", fault.text);
        else if (step == HTTP1_BODY_END)
            return HTTP_ANSWER_WHOLE;
        else if (step == HTTP1_BODY_MORE)
            return is_held || bytes.len == 0 ? 0 : hold_trailers(answer, &bytes, err);
    }
    return r;
}

int http_answer_take(struct http_answer *answer, struct slice bytes, struct err *err)
{
    while (answer->status == 0) {
        int r = gather_head(answer, &bytes, err);
        if (r <= 0)
            return r;
        r = read_head(answer, err);
        if (r < 0)
            return r;
    }
    return take_body(answer, bytes, err);
}

int http_answer_close(const struct http_answer *answer, struct err *err)
{
    if (answer->status != 0 && http1_body_close(&answer->body) == 0)
        return 0;
    return err_set(err, -ECONNRESET, "the connection was closed in the middle of the answer");
}
