/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the answer to one HTTP/1.1 request apart as its bytes come. Pure: knows neither connection nor clock.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "wire/http1.h"

/* Takes a piece of an answer's body. 0, or -errno with words: the answer ends with it. */
typedef int (*http_body_fn)(void *ctx, unsigned status, struct slice piece, struct err *err);

struct http_answer {
    struct buf head; /* until it is whole; then empty */
    size_t searched;
    struct http1_body body;
    unsigned status; /* 0: the head is not there yet */
    http_body_fn on_body;
    void *ctx;
};

void http_answer_init(struct http_answer *answer, http_body_fn on_body, void *ctx);
void http_answer_deinit(struct http_answer *answer);

/*
 * More bytes. 0: more must come. HTTP_ANSWER_WHOLE. -EPROTO when it is no HTTP, -ENOMEM, -EMSGSIZE (its head is too
 * long), or what on_body gave.
 */
enum { HTTP_ANSWER_WHOLE = 1 };
int http_answer_take(struct http_answer *answer, struct slice bytes, struct err *err);

/* The peer has closed. 0 when the answer was whole with that, else -ECONNRESET. */
int http_answer_close(const struct http_answer *answer, struct err *err);
