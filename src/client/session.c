/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are gathered in `in` until a head or a line is whole; bodies go to `body` as they come. Both have limits, and
 * whoever goes beyond is told so and gets no further.
 */
#include "client/session.h"

#include <errno.h>

#define PIECE_BYTES ((size_t)16 * 1024)

/* Beside those of session_step: there may be more to do with what is there. */
enum { GO_ON = SESSION_ENDED + 1 };

static const struct http1_limits limits = {.head_bytes = 16 * 1024, .target_bytes = 4096, .n_fields = 64};

void session_init(struct session *session, const struct session_options *options)
{
    *session = (struct session){.options = options, .body.limit = options->message_bytes};
}

void session_deinit(struct session *session)
{
    rpc_request_deinit(&session->request);
    buf_deinit(&session->in);
    buf_deinit(&session->out);
    buf_deinit(&session->body);
}

size_t session_room(const struct session *session)
{
    size_t most = PIECE_BYTES + (session->options->is_line ? session->options->message_bytes : limits.head_bytes);
    bool is_reading = session->state == SESSION_AT_START || session->state == SESSION_IN_BODY;
    return is_reading && session->in.len < most ? min_size(most - session->in.len, PIECE_BYTES) : 0;
}

int session_take(struct session *session, struct slice bytes)
{
    return buf_append(&session->in, bytes);
}

bool session_is_idle(const struct session *session)
{
    return session->state == SESSION_AT_START && session->in.len == 0;
}

/* ------------------------------------------------------------------------------------------------ answers */

static void write_http(struct session *session, unsigned status, const char *type, struct slice body)
{
    struct buf *out = &session->out;
    bool has_body = status != 204;
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_reason(status));
    if (has_body)
        buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.len);
    if (status == 405)
        buf_append_str(out, "Allow: POST\r\n");
    if (!session->keep_alive)
        buf_append_str(out, "Connection: close\r\n");
    buf_append_str(out, "\r\n");
    if (has_body && !session->is_head)
        buf_append(out, body);
}

/* The request is answered. GO_ON or -ENOMEM. */
static int end_request(struct session *session)
{
    rpc_request_deinit(&session->request);
    buf_deinit(&session->body);
    session->has_answered = true;
    session->state = session->keep_alive ? SESSION_AT_START : SESSION_OVER;
    return buf_error(&session->out) < 0 ? buf_error(&session->out) : GO_ON;
}

/* What is no request is answered in words, and is the last. GO_ON or -ENOMEM. */
static int refuse(struct session *session, unsigned status, const char *words)
{
    session->keep_alive = false;
    write_http(session, status, "text/plain", slice_from_str(words));
    return end_request(session);
}

/* Writes the reply that is in `message`. GO_ON or -ENOMEM. */
static int send_message(struct session *session, struct buf *message)
{
    session->keep_alive = session->keep_alive && !session->is_last;
    if (buf_error(message) < 0)
        return buf_error(message);
    if (!session->options->is_line) {
        write_http(session, message->len > 0 ? 200 : 204, "application/json", buf_slice(message));
    } else if (message->len > 0) {
        buf_append(&session->out, buf_slice(message));
        buf_append_char(&session->out, '\n');
    }
    return end_request(session);
}

/* A request that could not be read is answered too, a notification is not. GO_ON or -ENOMEM. */
static int fail(struct session *session, int64_t code, const char *words)
{
    CLEANUP(buf_deinit) struct buf message = {0};
    if (session->state != SESSION_ANSWERING || session->request.id)
        rpc_write_error(&message, session->request.id, code, words);
    return send_message(session, &message);
}

int session_fail(struct session *session, int64_t code, const char *message)
{
    ASSERT(session->state == SESSION_ANSWERING);
    int r = fail(session, code, message);
    return r < 0 ? r : 0;
}

int session_reply(struct session *session, struct slice result)
{
    CLEANUP(buf_deinit) struct buf message = {0};
    ASSERT(session->state == SESSION_ANSWERING);
    if (session->request.id)
        rpc_write_result(&message, session->request.id, result);
    int r = send_message(session, &message);
    return r < 0 ? r : 0;
}

/* ------------------------------------------------------------------------------------------------ requests */

/* A whole message. SESSION_REQUEST, GO_ON (it is answered), or -ENOMEM. */
static int take_message(struct session *session, struct slice text)
{
    struct err err = {""};
    enum rpc_code code;
    int r = rpc_read_request(text, session->options->message_bytes, &session->request, &code, &err);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return fail(session, code, err.text);
    session->state = SESSION_ANSWERING;
    return SESSION_REQUEST;
}

static int step_line(struct session *session)
{
    struct slice in = buf_slice(&session->in);
    size_t end = session->searched + slice_find(slice_skip(in, session->searched), '\n');
    session->keep_alive = end <= session->options->message_bytes;
    if (!session->keep_alive)
        return fail(session, RPC_INVALID_REQUEST, "the line is too long");
    session->searched = end;
    if (end == in.len)
        return SESSION_MORE;
    struct slice line = {in.ptr, end > 0 && in.ptr[end - 1] == '\r' ? end - 1 : end};
    int r = slice_is_empty(slice_trim(line)) ? GO_ON : take_message(session, line);
    buf_consume(&session->in, end + 1);
    session->searched = 0;
    return r;
}

/* The status that the whole request will get; 0: it is a call. */
static unsigned route(const struct session *session, const struct http_request *request)
{
    if (slice_equal_str(request->path, session->options->path))
        return request->method == HTTP_METHOD_POST ? 0 : 405;
    if (slice_equal_str(request->path, "/heart-beat"))
        return request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD ? 200 : 405;
    if (slice_equal_str(request->path, "/services"))
        return request->method == HTTP_METHOD_POST || request->method == HTTP_METHOD_DELETE ? 200 : 405;
    return 404;
}

/* The head is whole. GO_ON or -ENOMEM. */
static int take_head(struct session *session, size_t end)
{
    struct http_fields fields;
    struct http_request request;
    struct http1_fault fault;
    if (http1_parse_request((struct slice){session->in.ptr, end}, &limits, &fields, &request, &fault) < 0)
        return refuse(session, fault.status, fault.text);
    session->is_head = request.method == HTTP_METHOD_HEAD;
    session->keep_alive = request.keep_alive && request.version_minor > 0;
    session->answer = route(session, &request);
    if (request.framing == HTTP_BODY_LENGTH && request.content_length > session->options->message_bytes)
        return refuse(session, 413, "the request is too long");
    http1_body_init(&session->framing, request.framing, request.content_length);
    if (request.expect_continue)
        buf_append_str(&session->out, "HTTP/1.1 100 Continue\r\n\r\n");
    buf_consume(&session->in, end);
    session->searched = 0;
    session->state = SESSION_IN_BODY;
    return buf_error(&session->out) < 0 ? buf_error(&session->out) : GO_ON;
}

static int step_head(struct session *session)
{
    struct http1_fault fault;
    if (session->in.len == 0)
        return SESSION_MORE;
    size_t end = http1_head_end(buf_slice(&session->in), session->searched);
    session->searched = session->in.len;
    if (end > 0)
        return take_head(session, end);
    if (http1_check_partial(buf_slice(&session->in), &limits, &fault) < 0)
        return refuse(session, fault.status, fault.text);
    return SESSION_MORE;
}

/* The body is whole. */
static int take_request(struct session *session)
{
    if (session->answer == 0)
        return take_message(session, buf_slice(&session->body));
    session->keep_alive = session->keep_alive && !session->is_last;
    write_http(session, session->answer, "text/plain", SLICE_LIT(""));
    return end_request(session);
}

static int step_body(struct session *session)
{
    struct slice data;
    struct http_fields trailers;
    struct http1_fault fault;
    size_t consumed = 0;
    enum http1_body_step step =
        http1_body_step(&session->framing, buf_slice(&session->in), &data, &consumed, &trailers, &fault);
    if (step == HTTP1_BODY_BAD)
        return refuse(session, fault.status, fault.text);
    int r = step == HTTP1_BODY_DATA ? buf_append(&session->body, data) : 0;
    if (r == -EMSGSIZE)
        return refuse(session, 413, "the request is too long");
    buf_consume(&session->in, consumed);
    if (r < 0)
        return r;
    if (step == HTTP1_BODY_END)
        return take_request(session);
    return step == HTTP1_BODY_MORE ? (int)SESSION_MORE : GO_ON;
}

int session_step(struct session *session)
{
    int r = GO_ON;
    while (r == GO_ON) {
        if (session->state == SESSION_ANSWERING)
            return SESSION_BUSY;
        if (session->state == SESSION_OVER || (session->is_last && session->has_answered && session_is_idle(session)))
            return SESSION_ENDED;
        if (session->options->is_line)
            r = step_line(session);
        else
            r = session->state == SESSION_AT_START ? step_head(session) : step_body(session);
    }
    if (session->in.len == 0) /* a connection that waits keeps no memory */
        buf_deinit(&session->in);
    return r;
}
