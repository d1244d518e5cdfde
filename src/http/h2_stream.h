/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/2 stream: the exchange that a front end sees, and what is kept of it between frames.
 *
 * Two ends must come before a stream is freed: its exchange is over (on_close was called, or it had no app and was
 * answered), and it is closed as RFC 9113 5.1 says: both sides have sent their last frame, or one has reset it. Either
 * may be first.
 *
 *     the request:  head -> body -> is_received -> is_ended (the front end knows)
 *     the answer:   status (begun) -> has_answer (given whole) -> is_answered (framed whole)
 */
#pragma once

#include "http/deadline.h"
#include "http/exchange_impl.h"
#include "http/h2_request.h"
#include "http/h2_session.h"

struct h2_stream {
    struct exchange exchange;
    struct h2_session *session;
    struct htab_node by_id;
    struct list link;        /* session->streams */
    struct list news_link;   /* session->news */
    struct list writer_link; /* session->writers */
    struct deadline deadline;
    nsec_t began_ns;
    nsec_t idle_timeout_ns; /* the front end's; H2_TIMEOUT_DEFAULT: the server's options */
    size_t n_unwanted;      /* bytes of body that came when the answer was there */
    uint64_t body_left;     /* of the request's content-length; EXCHANGE_LENGTH_UNKNOWN */
    uint64_t answer_left;   /* of the length that was promised; EXCHANGE_LENGTH_UNKNOWN */
    int32_t id;
    struct h2_window window; /* what the peer may send */
    int32_t send_window;     /* what it takes; below 0 when it has changed its mind */
    uint16_t status;         /* of the answer's head; 0 before it */
    uint8_t end;             /* enum exchange_end, what on_close will say */
    bool has_body : 1;       /* the answer may have one: neither to HEAD nor 204 nor 304 */
    bool is_received : 1;    /* the peer has sent all */
    bool is_ended : 1;       /* on_end was called */
    bool holds_continue : 1; /* 100 is the front end's to say */
    bool is_paused : 1;      /* on_body must wait */
    bool has_answer : 1;     /* the front end has given all of its answer */
    bool is_answered : 1;    /* the last frame of the answer is written */
    bool is_full : 1;        /* a writer waits for on_drain */
    bool sends : 1;          /* the deadline is set for the rest of the request's body … */
    bool takes : 1;          /* … or for what waits of the answer, and is earned */
    bool is_touched : 1;     /* the deadline is to be set when news is settled */
    bool is_over : 1;        /* the exchange is: no front end is called any more */
    bool is_reset : 1;       /* by us */
    bool is_closed : 1;      /* for the protocol there is no such stream any more */
    struct buf held;         /* body that came while paused */
    struct buf out;          /* answer not yet framed, behind the first out_framed bytes */
    size_t out_framed;
    struct buf trailers;     /* of the answer, as h2_fields_append writes them */
    struct buf got_trailers; /* of the request, until the body in front of them is taken */
};

#define H2_TIMEOUT_DEFAULT ((nsec_t)-1)

/* Made when its header block begins, and linked into its session. 0 or -ENOMEM. */
int h2_stream_new(struct h2_session *session, int32_t id, struct h2_stream **ret_stream);

/* Ends the exchange with `end`, if it is not over. */
void h2_stream_free(struct h2_stream *stream, enum exchange_end end);

/* What frames tell. */
void h2_stream_on_request(struct h2_stream *stream, const struct h2_head *head, bool end_stream);
void h2_stream_on_body(struct h2_stream *stream, struct slice bytes);
void h2_stream_on_trailers(struct h2_stream *stream, struct http_fields *trailers);
void h2_stream_on_received(struct h2_stream *stream);
void h2_stream_on_answered(struct h2_stream *stream);
void h2_stream_on_closed(struct h2_stream *stream);

/* Has the stream reset with an HTTP/2 error code; on_close will say `end`. */
void h2_stream_reset(struct h2_stream *stream, uint32_t code, enum exchange_end end);

/* Progress, or a new reason to wait: the deadline counts from now. */
void h2_stream_touch(struct h2_stream *stream);

/* The peer has taken n bytes of what waits. */
void h2_stream_on_taken(struct h2_stream *stream, size_t n);

/* The peer takes `step` more bytes. */
void h2_stream_on_window(struct h2_stream *stream, int32_t step);

/* Gives the peer's windows back what was taken or dropped: h2_input.c. */
void h2_stream_consume(struct h2_stream *stream, size_t n);

/* There is something to settle at the end of the turn. */
void h2_stream_note(struct h2_stream *stream);

/* Tells the front end what there is to tell. The stream may be freed. */
void h2_stream_settle(struct h2_stream *stream);

/* Nothing that the front end says can reach the peer any more. */
static inline bool h2_stream_is_dead(const struct h2_stream *stream)
{
    return stream->is_closed || stream->session->is_terminated;
}

static inline struct h2_stream *h2_stream_of(struct exchange *exchange)
{
    return container_of(exchange, struct h2_stream, exchange);
}

/* h2_answer.c: the half of exchange_ops that makes the answer. */
void h2_answer_respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                       struct slice body);
int h2_answer_begin(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                    const struct header *headers, unsigned n_headers, uint64_t content_length);
void h2_answer_inform(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                      const struct header *headers, unsigned n_headers);
int h2_answer_write(struct exchange *exchange, struct slice bytes);
void h2_answer_end(struct exchange *exchange, const struct header *trailers, unsigned n_trailers);

/* Forgets what is not sent; also what counts in the session's n_queued. */
void h2_answer_drop(struct h2_stream *stream);

/* Bytes of the answer's body that wait to be framed. */
size_t h2_answer_queued(const struct h2_stream *stream);
/* So few that a writer who waits may go on. */
bool h2_answer_is_low(const struct h2_stream *stream);
