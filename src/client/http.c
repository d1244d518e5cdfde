/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All bytes of the answer's head are gathered in one buffer; what was received behind the head is the beginning of the
 * body, and from there on the buffer is used for one piece of the body at a time.
 */
#include "client/http.h"

#include "wire/http1.h"

#include <errno.h>

static const struct http1_limits limits = {.head_bytes = 16 * 1024, .target_bytes = 4096, .n_fields = 64};

/* A key in the target of a request may be long. */
#define REQUEST_BYTES_MAX (256 * 1024)

#define PIECE_BYTES (16 * 1024)

static int send_request(struct conn *conn, const struct http_question *question, struct err *err)
{
    struct buf request = {.limit = REQUEST_BYTES_MAX};
    buf_printf(&request,
               "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: libmuster\r\nAccept: */*\r\n"
               "Connection: close\r\n",
               question->method, question->path, question->host);
    if (question->token)
        buf_printf(&request, "Authorization: %s\r\n", question->token);
    buf_append_str(&request, "\r\n");
    int r = buf_error(&request);
    if (r == 0)
        r = conn_send(conn, buf_slice(&request), err);
    buf_deinit(&request);
    return r;
}

/* Receives one more piece behind what `bytes` holds. 0, RECEIVED_END after the last byte, or -errno. */
enum { RECEIVED_END = 1 };
static int receive_more(struct conn *conn, struct buf *bytes, struct err *err)
{
    char *room;
    int r = buf_reserve(bytes, PIECE_BYTES, &room);
    if (r < 0)
        return r == -EMSGSIZE ? err_set(err, r, "the head of the answer is too long") : r;
    ssize_t n = conn_recv(conn, room, PIECE_BYTES, err);
    if (n < 0)
        return (int)n;
    buf_commit(bytes, (size_t)n);
    return n == 0 ? RECEIVED_END : 0;
}

static int fail_cut(struct err *err)
{
    return err_set(err, -ECONNRESET, "the connection was closed in the middle of the answer");
}

/* Receives until the end of a head is there. */
static int receive_until_head(struct conn *conn, struct buf *bytes, size_t *ret_end, struct err *err)
{
    size_t searched = 0;
    for (;;) {
        *ret_end = http1_head_end(buf_slice(bytes), searched);
        if (*ret_end > 0)
            return 0;
        searched = bytes->len;
        int r = receive_more(conn, bytes, err);
        if (r != 0)
            return r < 0 ? r : fail_cut(err);
    }
}

/* Receives a final answer's head and takes it off `bytes`; 1xx answers are passed over. */
static int receive_head(struct conn *conn, struct buf *bytes, struct http_response *ret_response, struct err *err)
{
    struct http_fields fields;
    struct http1_fault fault;
    do {
        size_t end;
        int r = receive_until_head(conn, bytes, &end, err);
        if (r < 0)
            return r;
        struct slice head = {bytes->ptr, end};
        if (http1_parse_response(head, &limits, HTTP_METHOD_GET, &fields, ret_response, &fault) < 0)
            return err_set(err, -EPROTO, "a bad answer: %s", fault.text);
        ret_response->fields = NULL; /* they point into bytes that are dropped now */
        buf_consume(bytes, end);
    } while (ret_response->status < 200);
    return 0;
}

/* Who takes the body. */
struct taker {
    http_body_fn on_body;
    void *ctx;
    unsigned status;
};

/* Takes apart the bytes that are there. HTTP1_BODY_END, HTTP1_BODY_MORE, or -errno. */
static int take_body(struct http1_body *state, struct slice bytes, const struct taker *taker, struct err *err)
{
    for (;;) {
        struct slice data;
        struct http1_fault fault;
        size_t consumed = 0;
        enum http1_body_step step = http1_body_step(state, bytes, &data, &consumed, &fault);
        bytes = slice_skip(bytes, consumed);
        if (step == HTTP1_BODY_BAD)
            return err_set(err, -EPROTO, "a bad answer: %s", fault.text);
        if (step != HTTP1_BODY_DATA)
            return (int)step;
        int r = taker->on_body(taker->ctx, taker->status, data, err);
        if (r < 0)
            return r;
    }
}

static int receive_body(struct conn *conn, struct buf *bytes, const struct http_response *response,
                        const struct taker *taker, struct err *err)
{
    struct http1_body state;
    http1_body_init(&state, response->framing, response->content_length);
    for (;;) {
        int r = take_body(&state, buf_slice(bytes), taker, err);
        if (r < 0)
            return r;
        if (r == HTTP1_BODY_END)
            return 0;
        buf_reset(bytes);
        r = receive_more(conn, bytes, err);
        if (r < 0)
            return r;
        if (r == RECEIVED_END)
            return http1_body_close(&state) == 0 ? 0 : fail_cut(err);
    }
}

int http_ask(struct conn *conn, const struct http_question *question, http_body_fn on_body, void *ctx,
             unsigned *ret_status, struct err *err)
{
    int r = send_request(conn, question, err);
    if (r < 0)
        return r;
    struct buf bytes = {.limit = limits.head_bytes + PIECE_BYTES};
    struct http_response response;
    r = receive_head(conn, &bytes, &response, err);
    const struct taker taker = {on_body, ctx, r == 0 ? response.status : 0};
    if (r == 0)
        r = receive_body(conn, &bytes, &response, &taker, err);
    buf_deinit(&bytes);
    if (r < 0)
        return r;
    *ret_status = response.status;
    return 0;
}
