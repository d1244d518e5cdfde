/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/2 server connection (h2_session_new is declared in session.h), as its own files see it:
 *
 *     h2_session.c     life: deadlines, drain, the end
 *     h2_io.c          bytes received and sent
 *     h2_input.c       bytes become frames: what each kind may look like, and when it may come
 *     h2_head.c        a header block becomes a request or trailers
 *     h2_request.c     … what is asked of its fields
 *     h2_stream.c      one stream and its exchange: what a front end calls
 *     h2_answer.c      … its answer, within the peer's windows
 *     h2_output.c      frames become bytes
 *     h2_guard.c       how much abuse is borne
 *
 * How an event goes: bytes are received and their frames dealt with, which hands requests and body to the front ends;
 * what these answer becomes frames in `out` at once, as far as the peer's windows go; then everything leaves in one
 * send; then news is settled (exchanges that ended are closed, writers that waited are called). What is written outside
 * of this, by timers or mail, is sent once at the end of the turn.
 *
 * Invariants:
 * 1. A front end is called from two places only: the dealing with a frame (on_request, on_body, on_end) and the
 *    settling of news. No call that a front end makes calls it back.
 * 2. Nothing is sent while frames are dealt with (is_busy).
 * 3. Streams are freed by settling, or with the session.
 * 4. `out` holds whole frames, header blocks in the order in which they were compressed. A failure to append to it ends
 *    the connection: the peer's table could not be kept alike.
 */
#pragma once

#include "base/buf.h"
#include "base/htab.h"
#include "http/h2_guard.h"
#include "http/session.h"
#include "wire/h2.h"
#include "wire/hpack.h"

struct h2_stream;

/* Bytes that the peer may send: it gets back what was dealt with, half a window at a time. The rest of it is held. */
struct h2_window {
    int32_t left;
    int32_t n_taken; /* dealt with, but not given back (or never given) yet */
};

struct h2_session {
    struct session session;
    struct list streams; /* all */
    struct list news;    /* those that have something to settle */
    struct list writers; /* those with body that may be framed once the peer takes more */
    struct htab by_id;
    struct h2_stream *found; /* the last one that was looked for: frames of a stream come in a row */
    unsigned n_streams;
    unsigned n_streams_max; /* as the peer was told when the connection began */
    struct h2_guard guard;

    /* what comes: h2_input.c, h2_head.c */
    struct buf in;              /* the beginning of a frame that is not complete */
    struct buf block;           /* of a header block in several frames, what has come */
    struct h2_frame block_head; /* its HEADERS; id 0: there is none */
    struct h2_frame data;       /* DATA that is not complete; len: what is still to come of its body */
    struct hpack_table fields;
    struct h2_window window;
    int32_t last_id; /* the highest stream that the peer has begun */
    size_t n_held;   /* bytes of bodies that came while their exchanges are paused */
    bool is_held_up; /* the deadline is for looking whether all is full still */
    uint8_t n_preface;
    uint8_t n_padding; /* of `data`, still to come */

    /* what goes: h2_output.c, h2_answer.c */
    struct hpack_encoder encoder;
    struct buf out;
    size_t data_at;       /* where in `out` the last frame is, if it is DATA to which more can be added */
    int32_t data_id;      /* of that frame's stream; 0: it is not */
    int32_t send_window;  /* the connection's */
    int32_t first_window; /* of new streams */
    size_t n_queued;      /* bytes of answers that are not framed yet, all streams together */
    size_t n_unsent;      /* bytes that the peer did not take, when we last looked */

    nsec_t received_ns;    /* when bytes last came */
    nsec_t blocked_ns;     /* up to when the peer has earned by taking of n_unsent; NSEC_NEVER when all has left */
    nsec_t begun_ns;       /* since when a frame or a header block is incomplete; NSEC_NEVER when none is */
    nsec_t reset_ns;       /* when we last reset a stream; 0 before that */
    nsec_t pinged_ns;      /* when we asked whether the peer is alive; NSEC_NEVER when we do not wonder */
    nsec_t drain_began_ns; /* NSEC_NEVER but between the two steps of a drain */
    int error;             /* the first failure after which nothing can be said any more */
    bool is_busy : 1;      /* frames are being dealt with, or sent */
    bool is_draining : 1;
    bool is_set_up : 1;       /* the peer's first SETTINGS has come */
    bool in_data : 1;         /* `data` is not complete */
    bool is_leaving : 1;      /* no new streams: our GOAWAY has said so */
    bool is_peer_leaving : 1; /* its GOAWAY came */
    bool is_terminated : 1;   /* our last GOAWAY is written: nothing else is read or written */
    bool is_done : 1;         /* the connection was told */
};

/* Pings of ours, told apart by their payload. */
enum h2_ping {
    H2_PING_LIVENESS = 1,
    H2_PING_DRAIN = 2,
};

/*
 * Answers that wait for the peer's windows, of all streams together. With more it is given no new streams, and who
 * writes on one where something waits has to wait as well.
 */
#define H2_QUEUED_BYTES_MAX ((size_t)4 * 1024 * 1024)

/*
 * What a peer may send before we take it: on a stream; and on all together, which is what it can make us hold for
 * exchanges that are paused. Under pressure (io/backlog.h) a part of it, for new connections and for what is given
 * back: of a connection's no less than each begins with (H2_WINDOW_BYTES).
 */
enum {
    H2_STREAM_WINDOW_BYTES = 256 * 1024,
    H2_CONNECTION_WINDOW_BYTES = 1024 * 1024,
    H2_NARROW = 16,
};

/* What is gathered for one send; more body than that waits on its streams. */
#define H2_OUT_BYTES_MAX ((size_t)64 * 1024)

static inline const struct http_server_options *h2_session_options(const struct h2_session *session)
{
    return http_connection_options(session->session.connection);
}

static inline struct loop *h2_session_loop(const struct h2_session *session)
{
    return http_connection_loop(session->session.connection);
}

static inline struct backlog *h2_session_backlog(const struct h2_session *session)
{
    return loop_backlog(h2_session_loop(session));
}

static inline nsec_t h2_session_now(const struct h2_session *session)
{
    return loop_now(h2_session_loop(session));
}

/* NULL: idle, or gone. */
struct h2_stream *h2_session_find(struct h2_session *session, int32_t id);

/* Puts a stream among those that can be found, and takes it out. 0 or -ENOMEM. */
int h2_session_link(struct h2_session *session, struct h2_stream *stream);
void h2_session_unlink(struct h2_session *session, struct h2_stream *stream);

/* Sees to it that what was written is sent, and news settled, before the turn ends. */
void h2_session_schedule(struct h2_session *session);

/* Sends now, unless frames are being dealt with (then it is sent right afterwards). */
void h2_session_flush(struct h2_session *session);

/* Remembers a failure; the connection ends at the next settling. */
void h2_session_fail(struct h2_session *session, int error);

/* Says goodbye: the last frame, behind which the connection ends. code: enum h2_error. */
void h2_session_terminate(struct h2_session *session, uint32_t code);

/* Takes the price of an offence; an empty account ends the connection with ENHANCE_YOUR_CALM. */
void h2_session_charge(struct h2_session *session, enum h2_offence offence);

/* The second step of a drain: what has begun may end, nothing else is accepted. */
void h2_session_end_drain(struct h2_session *session);

/* Deals with bytes that came, frames and pieces of their bodies, and gives their number; failures are in ->error. */
size_t h2_io_feed(struct h2_session *session, struct slice bytes);

/*
 * Receives until there is no more, until the peer should read first, or until it is the turn of other connections. True
 * when the peer has sent its last byte.
 */
bool h2_io_receive(struct h2_session *session);

/* There may be more to receive, but all is full. */
bool h2_io_is_held_up(const struct h2_session *session);

/* Sends what there is to send; does nothing while frames are dealt with. */
void h2_io_send(struct h2_session *session);

/* True when there is nothing more to say or to hear, and all is sent. */
bool h2_io_is_over(const struct h2_session *session);

/* Takes the next frame, or what has come of it, off *bytes, which are not empty. */
void h2_input_take(struct h2_session *session, struct slice *bytes);

/* Gives the connection's window back what was dealt with. */
void h2_input_consume(struct h2_session *session, size_t n);

/* A header block is complete; the flags of its HEADERS say whether more follows on the stream. */
void h2_head_take(struct h2_session *session, struct h2_frame frame, struct slice bytes);

/*
 * Frames, appended to session->out; after our last GOAWAY they are dropped. A header block: h2_output_head,
 * h2_output_field for each field, h2_output_head_end.
 */
void h2_output_open(struct h2_session *session);
void h2_output_settings_ack(struct h2_session *session);
void h2_output_ping(struct h2_session *session, uint8_t flags, const char payload[8]);
void h2_output_goaway(struct h2_session *session, int32_t last_id, uint32_t code);
void h2_output_reset(struct h2_session *session, int32_t id, uint32_t code);
void h2_output_window_update(struct h2_session *session, int32_t id, int32_t step);
/* Cut into as many frames as it takes, or added to the stream's frame before. */
void h2_output_data(struct h2_session *session, int32_t id, struct slice bytes);
/* Ends the stream, by a flag of its last frame of DATA if that is still there. */
void h2_output_data_end(struct h2_session *session, int32_t id);

/* Where the block begins, for h2_output_head_end. status: 0 for trailers. */
size_t h2_output_head(struct h2_session *session, int32_t id, unsigned status, bool end_stream);
/* A name in lower case; bytes that a value must not have are sent as blanks. */
void h2_output_field(struct h2_session *session, struct slice name, struct slice value);
/* The same for a name that came from elsewhere: its capitals are made small. */
void h2_output_any_case(struct h2_session *session, struct slice name, struct slice value);
void h2_output_head_end(struct h2_session *session, size_t at);

/* New windows for our answers: of the peer's SETTINGS, and by steps (id 0: the connection's). code: enum h2_error. */
uint32_t h2_answer_set_first_window(struct h2_session *session, uint32_t size);
uint32_t h2_answer_open_window(int32_t *window, int32_t step);
/* Frames what waits, as far as windows and room in `out` go. */
void h2_answer_frame_more(struct h2_session *session);
