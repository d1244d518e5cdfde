/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of ask.h. Failures of an address that were before the connection are gathered in ask->err, so that
 * the caller reads of all addresses why they cannot be reached.
 *
 * An answer may come, and end, before all of the question is sent (a refusal); what cannot be sent then does not count.
 */
#include "client/ask.h"

#include "base/util.h"
#include "muster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define PIECE_BYTES (16 * 1024)

void ask_format_address(const struct address *address, char ret_text[ASK_ADDRESS_MAX])
{
    bool is_v6 = strchr(address->host, ':') != NULL;
    static const char *const schemes[] = {
        [ADDRESS_HTTP] = "http://", [ADDRESS_HTTPS] = "https://", [ADDRESS_TCP] = "tcp@", [ADDRESS_UNIX] = "unix:"};
    if (address->scheme == ADDRESS_UNIX)
        snprintf(ret_text, ASK_ADDRESS_MAX, "unix:%s", address->host);
    else
        snprintf(ret_text, ASK_ADDRESS_MAX, "%s%s%s%s:%s", schemes[address->scheme], is_v6 ? "[" : "", address->host,
                 is_v6 ? "]" : "", address->port);
}

static void forget(struct ask *ask)
{
    task_deinit(&ask->task, ask->driver);
    conn_close(TAKE(ask->conn));
    buf_deinit(&ask->first);
    buf_deinit(&ask->rest);
    buf_deinit(&ask->out);
    http_answer_deinit(&ask->answer);
    ask->state = ASK_IDLE;
}

void ask_stop(struct ask *ask)
{
    if (ask->state != ASK_IDLE)
        forget(ask);
}

static int result_of(int error)
{
    switch (error) {
    case 0:
        return MUSTER_OK;
    case -ENOMEM:
        return MUSTER_OUT_OF_MEMORY;
    case -ETIMEDOUT:
        return MUSTER_TIMED_OUT;
    case -ECANCELED:
        return MUSTER_STOPPED;
    default:
        return MUSTER_BAD_ANSWER;
    }
}

static void end(struct ask *ask, int result)
{
    forget(ask);
    ask->on_end(ask, result);
}

/* A failure after the connection was open. */
static void end_by_error(struct ask *ask, int error)
{
    if (error == -ENOMEM)
        err_set(&ask->err, 0, "out of memory");
    if (error < 0) {
        char text[ASK_ADDRESS_MAX];
        ask_format_address(&ask->addresses[ask->at], text);
        err_wrap(&ask->err, 0, "%s", text);
    }
    end(ask, result_of(error));
}

/* ------------------------------------------------------------------------------------------------ connecting */

static void add_failure(struct ask *ask, const struct err *err)
{
    char text[ASK_ADDRESS_MAX];
    struct err all = ask->err;
    ask_format_address(&ask->addresses[ask->at], text);
    err_set(&ask->err, 0, "%s%s%s: %s", all.text, *all.text ? "; " : "", text, err->text);
}

/* Composes what the peer gets. 0 or -ENOMEM. */
static int compose(struct ask *ask)
{
    char text[ASK_ADDRESS_MAX];
    const struct address *address = &ask->addresses[ask->at];
    ask_format_address(address, text);
    if (!ask->is_line) {
        buf_append(&ask->out, buf_slice(&ask->first));
        buf_printf(&ask->out, "Host: %s\r\n",
                   address->scheme == ADDRESS_UNIX ? "localhost" : strstr(text, "://") + strlen("://"));
    }
    buf_append(&ask->out, buf_slice(&ask->rest));
    buf_deinit(&ask->first);
    buf_deinit(&ask->rest);
    return buf_error(&ask->out);
}

/* Begins to connect to the address that is due. 0, or why that one fails. */
static int start_conn(struct ask *ask, struct err *err)
{
    nsec_t now_ns = time_now();
    nsec_t share_ns = (ask->deadline_ns - now_ns) / (ask->n_addresses - ask->at);
    return conn_start(&ask->addresses[ask->at], ask->files, now_ns + share_ns, &ask->conn, err);
}

/* 0: open; -EAGAIN; else it has ended. */
static int connect_some(struct ask *ask)
{
    for (; ask->at < ask->n_addresses; ask->at++) {
        struct err err = {""};
        int r = ask->conn ? 0 : start_conn(ask, &err);
        if (r == 0) {
            r = conn_open(ask->conn, &err);
            ask->task.fd = -1; /* perhaps closed, and perhaps a new one has its number: watched anew */
        }
        if (r == 0 || r == -EAGAIN)
            return r;
        (void)task_watch(&ask->task, ask->driver, -1, 0);
        conn_close(TAKE(ask->conn));
        add_failure(ask, &err);
        if (r == -ENOMEM || r == -EINVAL) {
            end(ask, r == -ENOMEM ? MUSTER_OUT_OF_MEMORY : MUSTER_BAD_OPTIONS);
            return r;
        }
    }
    end(ask, MUSTER_UNREACHABLE);
    return -EHOSTUNREACH;
}

/* ------------------------------------------------------------------------------------------------ both ways */

/* 0: all is sent; -EAGAIN; -errno. */
static int send_some(struct ask *ask)
{
    while (ask->n_sent < ask->out.len) {
        ask->was_sent = true;
        ssize_t n = conn_send(ask->conn, slice_skip(buf_slice(&ask->out), ask->n_sent), &ask->err);
        if (n < 0)
            return (int)n;
        ask->n_sent += (size_t)n;
    }
    int r = conn_flush(ask->conn, &ask->err);
    if (r == 0)
        buf_deinit(&ask->out);
    return r;
}

static int take_line(struct ask *ask, struct slice bytes)
{
    size_t end = slice_find(bytes, '\n');
    struct slice line = {bytes.ptr, end};
    ask->answer.status = 200;
    int r = ask->answer.on_body(ask->ctx, 200, line, &ask->err);
    return r < 0 ? r : end < bytes.len ? HTTP_ANSWER_WHOLE : 0;
}

static int close_answer(struct ask *ask)
{
    if (ask->is_line)
        return err_set(&ask->err, -ECONNRESET, "the connection was closed before a whole line came");
    return http_answer_close(&ask->answer, &ask->err);
}

/* HTTP_ANSWER_WHOLE, -EAGAIN or -errno. */
static int receive_some(struct ask *ask)
{
    char piece[PIECE_BYTES];
    for (;;) {
        ssize_t n = conn_recv(ask->conn, piece, sizeof(piece), &ask->err);
        if (n < 0)
            return (int)n;
        if (n == 0) {
            int r = close_answer(ask);
            return r < 0 ? r : HTTP_ANSWER_WHOLE;
        }
        struct slice bytes = slice_from(piece, (size_t)n);
        int r = ask->is_line ? take_line(ask, bytes) : http_answer_take(&ask->answer, bytes, &ask->err);
        if (r != 0)
            return r;
        if (ask->silence_ns > 0 && ask->answer.status != 0)
            ask->deadline_ns = time_now() + ask->silence_ns;
    }
}

/* ------------------------------------------------------------------------------------------------ the machine */

static void wait_more(struct ask *ask)
{
    unsigned events = conn_events(ask->conn) | (ask->state == ASK_SENDING ? EPOLLOUT : 0U);
    nsec_t wake_ns = ask->deadline_ns;
    if (ask->state == ASK_CONNECTING && conn_wake_ns(ask->conn) < wake_ns)
        wake_ns = conn_wake_ns(ask->conn);
    int r = task_watch(&ask->task, ask->driver, conn_fd(ask->conn), events);
    if (r < 0)
        end_by_error(ask, err_set_errno(&ask->err, r, "cannot wait"));
    else
        task_wake_at(&ask->task, ask->driver, wake_ns);
}

static void on_ready(struct task *task)
{
    struct ask *ask = container_of(task, struct ask, task);
    if (ask->state == ASK_CONNECTING) {
        int r = connect_some(ask);
        if (r == -EAGAIN)
            wait_more(ask);
        if (r != 0)
            return;
        ask->err.text[0] = '\0';
        ask->state = ASK_SENDING;
        r = compose(ask);
        if (r < 0) {
            end_by_error(ask, r);
            return;
        }
    }
    int sent = ask->state == ASK_SENDING ? send_some(ask) : 0;
    if (sent == 0)
        ask->state = ASK_RECEIVING;
    int r = receive_some(ask);
    if (r == -EAGAIN && sent < 0 && sent != -EAGAIN)
        r = sent;
    if (r == -EAGAIN && time_now() >= ask->deadline_ns)
        r = err_set_errno(&ask->err, -ETIMEDOUT, "no whole answer");
    if (r == -EAGAIN)
        wait_more(ask);
    else
        end_by_error(ask, r < 0 ? r : 0);
}

static void write_head(struct ask *ask, const struct ask_question *question)
{
    buf_printf(&ask->first, "%s %s HTTP/1.1\r\n", question->method, question->path);
    buf_append_str(&ask->rest, "User-Agent: libmuster\r\nAccept: */*\r\nConnection: close\r\n");
    if (question->token)
        buf_printf(&ask->rest, "Authorization: %s\r\n", question->token);
    if (question->headers)
        buf_append_str(&ask->rest, question->headers);
    if (!slice_is_empty(question->body))
        buf_printf(&ask->rest, "Content-Type: application/json\r\nContent-Length: %zu\r\n", question->body.len);
    else if (strcmp(question->method, "GET") != 0)
        buf_append_str(&ask->rest, "Content-Length: 0\r\n");
    buf_append_str(&ask->rest, "\r\n");
}

int ask_start(struct ask *ask, struct driver *driver, const struct ask_question *question)
{
    ASSERT(ask->state == ASK_IDLE && question->n_addresses > 0);
    *ask = (struct ask){
        .driver = driver,
        .is_line = question->method == NULL,
        .addresses = question->addresses,
        .n_addresses = question->n_addresses,
        .files = question->files,
        .deadline_ns = time_now() + question->timeout_ns,
        .silence_ns = question->silence_ns,
        .first.limit = ASK_HEAD_MAX,
        .on_end = question->on_end,
        .ctx = question->ctx,
    };
    if (!ask->is_line)
        write_head(ask, question);
    buf_append(&ask->rest, question->body);
    int r = buf_error(&ask->first) < 0 ? buf_error(&ask->first) : buf_error(&ask->rest);
    if (r < 0) {
        buf_deinit(&ask->first);
        buf_deinit(&ask->rest);
        return r;
    }
    http_answer_init(&ask->answer, question->on_body, question->ctx);
    task_init(&ask->task, driver, on_ready);
    ask->state = ASK_CONNECTING;
    task_post(&ask->task, driver);
    return 0;
}
