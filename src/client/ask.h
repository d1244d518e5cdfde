/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question to one of several addresses and its answer, as a task: an HTTP/1.1 request, or a line of bytes that is
 * answered by a line. The connection is closed afterwards. The first address that takes the connection is asked; that
 * is safe, since nothing is said before a connection is open.
 */
#pragma once

#include "base/buf.h"
#include "client/conn.h"
#include "client/driver.h"
#include "client/http.h"

struct ask;

/* The end, once; a muster_result, with ask->err in words when it is not MUSTER_OK. May free the ask. */
typedef void (*ask_end_fn)(struct ask *ask, int result);

/* What to ask. All pointers must stay until ask_start returns, but for addresses and files: until the end. */
struct ask_question {
    const struct address *addresses;
    unsigned n_addresses;
    const struct conn_files *files;
    const char *token;    /* of a user; NULL: none */
    nsec_t timeout_ns;    /* for the whole, or for an answer's head when there is a silence_ns */
    nsec_t silence_ns;    /* 0, or how long an answer that goes on for ever may say nothing */
    const char *method;   /* NULL: `body` is a line, its end included; the answer's body is the line without its end */
    const char *path;     /* encoded */
    const char *headers;  /* more lines, each with its CRLF; or NULL */
    struct slice body;    /* JSON */
    http_body_fn on_body; /* its status is 200 for lines */
    ask_end_fn on_end;
    void *ctx; /* of both */
};

enum ask_state { ASK_IDLE, ASK_CONNECTING, ASK_SENDING, ASK_RECEIVING };

struct ask {
    struct task task;
    struct driver *driver;
    enum ask_state state;
    bool is_line;
    bool was_sent; /* the peer may have got something of the question */
    const struct address *addresses;
    unsigned n_addresses, at; /* the one that is tried, or that took the connection */
    const struct conn_files *files;
    nsec_t deadline_ns, silence_ns;
    struct conn *conn;
    struct buf first, rest, out; /* before and behind the Host line; what is sent */
    size_t n_sent;
    struct http_answer answer;
    ask_end_fn on_end;
    void *ctx;
    struct err err;
};

/* Bytes of a request's first line; a key in it may be long. */
#define ASK_HEAD_MAX ((size_t)1024 * 1024)

/*
 * Starts one; `ask` is zeroed, or has ended or was stopped. 0, -ENOMEM, -EMSGSIZE (the first line is too long): then
 * there is no end. All else is told by on_end, never before the driver turns.
 */
int ask_start(struct ask *ask, struct driver *driver, const struct ask_question *question);

/* Without on_end. Harmless when there is nothing to stop. */
void ask_stop(struct ask *ask);

static inline bool ask_is_running(const struct ask *ask)
{
    return ask->state != ASK_IDLE;
}

/* 0 until the head of the answer is there. */
static inline unsigned ask_status(const struct ask *ask)
{
    return ask->answer.status;
}

/* "http://HOST:PORT", "unix:/PATH" */
#define ASK_ADDRESS_MAX (ADDRESS_HOST_MAX + 32)
void ask_format_address(const struct address *address, char ret_text[ASK_ADDRESS_MAX]);
