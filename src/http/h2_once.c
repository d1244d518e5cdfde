/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that is said is said at once: preface, SETTINGS, HEADERS and DATA, all with defaults, so that nothing has to be
 * agreed upon; after it only what the server asks to be acknowledged. Bytes that come are gathered until a frame is
 * whole, and frames move the response: HEAD -> BODY -> DONE.
 *
 * No window is ever opened further and no field is remembered by our encoder, so there is no state but that of the one
 * stream.
 *
 * Invariants:
 *  1. on_done is called in the state DONE only, as the last thing that a tick does.
 *  2. `in` holds less than one frame between ticks, and a frame is at most H2_FRAME_BYTES_MAX long.
 */
#include "http/h2_once.h"

#include "base/assert.h"
#include "wire/h2.h"
#include "wire/hpack.h"

#include <errno.h>
#include <stdlib.h>

#define STREAM_ID  1
#define READ_BYTES 4096
#define ROOM_BYTES (HPACK_ROOM_MIN + H2_FRAME_BYTES_MAX)

enum h2_once_state {
    H2_ONCE_HEAD, /* waits for the response's head; 1xx are passed over */
    H2_ONCE_BODY, /* for its body, its trailers and its end */
    H2_ONCE_DONE,
};

struct h2_once {
    const struct h2_once_events *events;
    void *owner;
    struct stream *stream;
    struct loop_task task;
    struct buf out; /* not sent yet */
    bool was_sent;
    /* the response */
    enum h2_once_state state;
    int result;
    unsigned status;
    const char *fault;
    struct hpack_table fields;
    struct buf in;
    struct buf block; /* a header block that goes on in CONTINUATION */
    bool in_block, block_ends_stream;
    bool has_settings;      /* the first frame must be that */
    size_t n_in, n_in_body; /* bytes so far */
};

/* ------------------------------------------------------------------------------------------------ ending */

/* The call is over. True, for those who say whether it is. */
static bool done(struct h2_once *once, int result)
{
    once->state = H2_ONCE_DONE;
    once->result = result;
    return true;
}

static bool fault(struct h2_once *once, const char *words)
{
    once->fault = words;
    return done(once, -EBADMSG);
}

/* ------------------------------------------------------------------------------------------------ fields */

/* A block while it is read. */
struct head {
    unsigned status;
    bool is_trailers, has_regular;
    const char *fault;
};

static bool is_of_connection(enum http_field_id id)
{
    return id == HTTP_FIELD_CONNECTION || id == HTTP_FIELD_KEEP_ALIVE || id == HTTP_FIELD_PROXY_CONNECTION ||
           id == HTTP_FIELD_TRANSFER_ENCODING || id == HTTP_FIELD_UPGRADE;
}

/* 0: no status. */
static unsigned read_status(struct slice text)
{
    uint64_t status;
    bool is_number = text.len == 3 && slice_parse_u64(text, &status) == 0;
    return is_number && status >= 100 && status <= 599 ? (unsigned)status : 0;
}

static void add_field(struct h2_once *once, struct head *head, const struct hpack_field *field)
{
    if (!field->is_valid || is_of_connection(field->id)) {
        head->fault = "a field of the answer is not valid in HTTP/2";
    } else if (field->name.ptr[0] != ':') {
        head->has_regular = true;
        once->events->on_field(once->owner, field->name, field->value);
    } else if (field->id != HTTP_FIELD_STATUS || head->is_trailers || head->has_regular || head->status != 0) {
        head->fault = "a pseudo-field of the answer is not where it may be";
    } else {
        head->status = read_status(field->value);
        if (head->status == 0)
            head->fault = "the answer's :status is no status";
    }
}

/* False: the call is over. */
static bool read_block(struct h2_once *once, struct slice bytes, struct head *head)
{
    char room[ROOM_BYTES];
    struct hpack_block block;
    struct hpack_field field;
    int r;
    hpack_block_begin(&block, &once->fields, bytes, room, sizeof(room));
    while ((r = hpack_block_next(&block, &field)) > 0 && !head->fault)
        add_field(once, head, &field);
    if (block.is_overfull)
        head->fault = "the answer's fields are too large";
    hpack_block_end(&block);
    if (r == -EBADMSG)
        head->fault = "the answer's fields cannot be unpacked";
    if (r == -ENOMEM)
        return !done(once, r);
    return !head->fault || !fault(once, head->fault);
}

static bool take_block(struct h2_once *once, struct slice bytes, bool ends_stream)
{
    struct head head = {.is_trailers = once->state == H2_ONCE_BODY};
    if (!read_block(once, bytes, &head))
        return true;
    if (head.is_trailers)
        return ends_stream ? done(once, 0) : fault(once, "trailers that are not the end of the answer");
    if (head.status == 0)
        return fault(once, "the answer has no :status");
    if (head.status < 200)
        return ends_stream && fault(once, "an interim answer that ends the call");
    once->status = head.status;
    once->state = H2_ONCE_BODY;
    return ends_stream && done(once, 0);
}

/* ------------------------------------------------------------------------------------------------ frames */
/* What takes a frame gives true when the call is over by it. */

/* What the frame carries, without padding and priority. False: it is not well-formed. */
static bool strip(const struct h2_frame *frame, struct slice *payload)
{
    size_t n_padding = 0;
    if (frame->flags & H2_FLAG_PADDED) {
        if (payload->len == 0)
            return false;
        n_padding = (uint8_t)payload->ptr[0];
        *payload = slice_skip(*payload, 1);
    }
    size_t n_priority = frame->type == H2_FRAME_HEADERS && frame->flags & H2_FLAG_PRIORITY ? 5 : 0;
    if (payload->len < n_priority + n_padding)
        return false;
    *payload = slice_from(payload->ptr + n_priority, payload->len - n_priority - n_padding);
    return true;
}

static bool on_data(struct h2_once *once, const struct h2_frame *frame, struct slice payload)
{
    if (once->state != H2_ONCE_BODY)
        return fault(once, "a body in front of its head");
    once->n_in_body += payload.len;
    if (once->n_in_body > H2_WINDOW_BYTES)
        return fault(once, "more of a body than the window allows");
    if (!strip(frame, &payload))
        return fault(once, "a frame whose padding is longer than itself");
    if (payload.len > 0)
        once->events->on_body(once->owner, payload);
    return frame->flags & H2_FLAG_END_STREAM && done(once, 0);
}

/* The beginning of a block, or its next part. */
static bool gather(struct h2_once *once, const struct h2_frame *frame, struct slice payload)
{
    once->block.limit = H2_FRAME_BYTES_MAX;
    int r = buf_append(&once->block, payload);
    if (r == -EMSGSIZE)
        return fault(once, "the answer's fields are too large");
    if (r < 0)
        return done(once, r);
    once->in_block = !(frame->flags & H2_FLAG_END_HEADERS);
    if (once->in_block)
        return false;
    bool is_over = take_block(once, buf_slice(&once->block), once->block_ends_stream);
    buf_reset(&once->block);
    return is_over;
}

static bool on_headers(struct h2_once *once, const struct h2_frame *frame, struct slice payload)
{
    if (!strip(frame, &payload))
        return fault(once, "a frame whose padding is longer than itself");
    once->block_ends_stream = frame->flags & H2_FLAG_END_STREAM;
    return gather(once, frame, payload);
}

static bool on_reset(struct h2_once *once, struct slice payload)
{
    if (payload.len != 4)
        return fault(once, "a frame of a wrong length");
    return done(once, -ECONNRESET);
}

/* Says that it was heard. True when that cannot be said. */
static bool acknowledge(struct h2_once *once, uint8_t type, struct slice payload)
{
    char head[H2_FRAME_HEAD_BYTES];
    h2_frame_write(head, &(struct h2_frame){.type = type, .flags = H2_FLAG_ACK, .len = (uint32_t)payload.len});
    (void)buf_append(&once->out, slice_from(head, sizeof(head)));
    (void)buf_append(&once->out, payload);
    return buf_error(&once->out) < 0 && done(once, -ENOMEM);
}

static bool on_settings(struct h2_once *once, const struct h2_frame *frame, struct slice payload)
{
    bool is_ack = frame->flags & H2_FLAG_ACK;
    if (payload.len % H2_SETTING_BYTES != 0 || (is_ack && payload.len > 0))
        return fault(once, "a frame of a wrong length");
    once->has_settings = true;
    if (is_ack)
        return false;
    for (; payload.len > 0; payload = slice_skip(payload, H2_SETTING_BYTES)) {
        unsigned id = (unsigned)(uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1];
        uint32_t value = h2_read_u32(payload.ptr + 2);
        if ((id == H2_SETTING_ENABLE_PUSH && value != 0) ||
            (id == H2_SETTING_INITIAL_WINDOW_SIZE && value > H2_NUMBER_MAX) ||
            (id == H2_SETTING_MAX_FRAME_SIZE && (value < H2_FRAME_BYTES_MAX || value > H2_FRAME_BYTES_LIMIT)))
            return fault(once, "a setting that no server may have");
    }
    return acknowledge(once, H2_FRAME_SETTINGS, (struct slice){0});
}

static bool on_ping(struct h2_once *once, const struct h2_frame *frame, struct slice payload)
{
    if (payload.len != 8)
        return fault(once, "a frame of a wrong length");
    return !(frame->flags & H2_FLAG_ACK) && acknowledge(once, H2_FRAME_PING, payload);
}

static bool on_goaway(struct h2_once *once, struct slice payload)
{
    if (payload.len < 8)
        return fault(once, "a frame of a wrong length");
    return h2_read_number(payload.ptr) < STREAM_ID && done(once, -ECONNRESET); /* else it is still answered */
}

static bool on_window(struct h2_once *once, struct slice payload)
{
    if (payload.len != 4 || h2_read_number(payload.ptr) == 0)
        return fault(once, "a step of a window that is none");
    return false;
}

/* Whether such a frame may come for that stream, now. */
static bool is_expected(const struct h2_once *once, const struct h2_frame *frame)
{
    if (once->in_block)
        return frame->type == H2_FRAME_CONTINUATION && frame->id == STREAM_ID;
    if (!once->has_settings)
        return frame->type == H2_FRAME_SETTINGS && frame->id == 0 && !(frame->flags & H2_FLAG_ACK);
    switch (frame->type) {
    case H2_FRAME_DATA:
    case H2_FRAME_HEADERS:
    case H2_FRAME_RST_STREAM:
        return frame->id == STREAM_ID;
    case H2_FRAME_SETTINGS:
    case H2_FRAME_PING:
    case H2_FRAME_GOAWAY:
        return frame->id == 0;
    case H2_FRAME_WINDOW_UPDATE:
        return frame->id == 0 || frame->id == STREAM_ID;
    case H2_FRAME_PUSH_PROMISE:
    case H2_FRAME_CONTINUATION:
        return false;
    default: /* PRIORITY, and what nobody knows, may come at any time */
        return true;
    }
}

static bool take_frame(struct h2_once *once, const struct h2_frame *frame, struct slice payload)
{
    switch (frame->type) {
    case H2_FRAME_DATA:
        return on_data(once, frame, payload);
    case H2_FRAME_HEADERS:
        return on_headers(once, frame, payload);
    case H2_FRAME_CONTINUATION:
        return gather(once, frame, payload);
    case H2_FRAME_RST_STREAM:
        return on_reset(once, payload);
    case H2_FRAME_SETTINGS:
        return on_settings(once, frame, payload);
    case H2_FRAME_PING:
        return on_ping(once, frame, payload);
    case H2_FRAME_GOAWAY:
        return on_goaway(once, payload);
    case H2_FRAME_WINDOW_UPDATE:
        return on_window(once, payload);
    default:
        return false;
    }
}

/* ------------------------------------------------------------------------------------------------ reading */

/* Takes the next frame off what was received. False: it is not whole, or the call is over. */
static bool next_frame(struct h2_once *once)
{
    if (once->in.len < H2_FRAME_HEAD_BYTES)
        return false;
    const struct h2_frame frame = h2_frame_read(once->in.ptr);
    if (!is_expected(once, &frame))
        return !fault(once, once->has_settings ? "a frame that may not come there" : "the answer is not HTTP/2");
    if (frame.len > H2_FRAME_BYTES_MAX)
        return !fault(once, "a frame that is too long");
    if (once->in.len < H2_FRAME_HEAD_BYTES + frame.len)
        return false;
    if (take_frame(once, &frame, slice_from(once->in.ptr + H2_FRAME_HEAD_BYTES, frame.len)))
        return false;
    buf_consume(&once->in, H2_FRAME_HEAD_BYTES + frame.len);
    return true;
}

/* True: there are more bytes now. */
static bool fill(struct h2_once *once)
{
    char *room;
    int r = buf_reserve(&once->in, READ_BYTES, &room);
    if (r < 0)
        return !done(once, r);
    ssize_t n = stream_recv(once->stream, room, READ_BYTES);
    if (n == -EAGAIN)
        return false;
    if (n <= 0)
        return !done(once, n == 0 ? -ECONNRESET : (int)n);
    buf_commit(&once->in, (size_t)n);
    once->n_in += (size_t)n;
    return once->n_in <= H2_ONCE_BYTES_MAX || !fault(once, "the server says too much");
}

/* 0, perhaps with bytes left, or the stream's -errno. */
static int flush(struct h2_once *once)
{
    if (once->out.len == 0)
        return 0;
    ssize_t n = stream_send(once->stream, buf_slice(&once->out));
    if (n < 0)
        return n == -EAGAIN ? 0 : (int)n;
    once->was_sent |= n > 0;
    buf_consume(&once->out, (size_t)n);
    return 0;
}

static void tick(struct h2_once *once)
{
    if (!(once->stream->bits & (STREAM_OPEN | STREAM_FAILED)))
        return;
    int r = flush(once);
    while (once->state != H2_ONCE_DONE && fill(once))
        while (next_frame(once))
            continue;
    if (once->state != H2_ONCE_DONE && r == 0)
        r = flush(once); /* what was acknowledged meanwhile */
    if (once->state != H2_ONCE_DONE && r < 0)
        (void)done(once, r);
    if (once->state == H2_ONCE_DONE)
        once->events->on_done(once->owner, once->result, once->result == 0 ? once->status : 0, once->fault);
}

static void on_event(struct stream *stream, unsigned new_bits)
{
    (void)new_bits;
    struct h2_once *once = stream->owner;
    if (once->state != H2_ONCE_DONE)
        tick(once);
}

static void on_task(struct loop_task *task)
{
    struct h2_once *once = container_of(task, struct h2_once, task);
    if (once->state != H2_ONCE_DONE)
        tick(once);
}

/* ------------------------------------------------------------------------------------------------ the request */

static void write_frame(struct buf *out, const struct h2_frame *frame)
{
    char head[H2_FRAME_HEAD_BYTES];
    h2_frame_write(head, frame);
    (void)buf_append(out, slice_from(head, sizeof(head)));
}

static void write_fields(struct buf *out, const struct h2_once_request *request)
{
    struct hpack_encoder encoder = {0};
    const struct header pseudo[] = {
        {SLICE_LIT(":method"), request->method},
        {SLICE_LIT(":scheme"), request->scheme},
        {SLICE_LIT(":authority"), request->authority},
        {SLICE_LIT(":path"), request->target},
    };
    hpack_encoder_init(&encoder);
    (void)hpack_write_begin(&encoder, out);
    for (size_t i = 0; i < ARRAY_LEN(pseudo); i++)
        (void)hpack_write(&encoder, out, pseudo[i].name, pseudo[i].value, false);
    for (unsigned i = 0; i < request->n_headers; i++)
        (void)hpack_write(&encoder, out, request->headers[i].name, request->headers[i].value, false);
    hpack_encoder_deinit(&encoder);
}

/* No server may push anything. */
static void write_request(struct buf *out, const struct h2_once_request *request)
{
    CLEANUP(buf_deinit) struct buf fields = {0};
    const uint8_t last = slice_is_empty(request->body) ? H2_FLAG_END_STREAM : 0;
    ASSERT(request->body.len <= H2_FRAME_BYTES_MAX);
    (void)buf_append(out, SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    write_frame(out, &(struct h2_frame){.type = H2_FRAME_SETTINGS, .len = H2_SETTING_BYTES});
    (void)buf_append(out, SLICE_LIT("\0\2\0\0\0\0")); /* ENABLE_PUSH: 0 */
    write_fields(&fields, request);
    ASSERT(fields.len <= H2_FRAME_BYTES_MAX);
    write_frame(out, &(struct h2_frame){.type = H2_FRAME_HEADERS,
                                        .flags = H2_FLAG_END_HEADERS | last,
                                        .id = STREAM_ID,
                                        .len = (uint32_t)fields.len});
    out->error = out->error ? out->error : fields.error;
    (void)buf_append(out, buf_slice(&fields));
    if (last)
        return;
    write_frame(out, &(struct h2_frame){.type = H2_FRAME_DATA,
                                        .flags = H2_FLAG_END_STREAM,
                                        .id = STREAM_ID,
                                        .len = (uint32_t)request->body.len});
    (void)buf_append(out, request->body);
}

int h2_once_start(struct stream *stream, const struct h2_once_request *request, const struct h2_once_events *events,
                  void *owner, struct h2_once **ret_once)
{
    struct h2_once *once = calloc(1, sizeof(*once));
    if (!once) {
        stream_close(stream);
        return -ENOMEM;
    }
    once->events = events;
    once->owner = owner;
    once->stream = stream;
    once->fields.max = HPACK_TABLE_MAX;
    loop_task_init(&once->task, on_task);
    stream->on_event = on_event;
    stream->owner = once;
    write_request(&once->out, request);
    if (buf_error(&once->out) < 0) {
        h2_once_free(once);
        return -ENOMEM;
    }
    loop_defer(stream->loop, &once->task); /* what the stream has told already it does not tell again */
    *ret_once = once;
    return 0;
}

bool h2_once_was_sent(const struct h2_once *once)
{
    return once->was_sent;
}

void h2_once_free(struct h2_once *once)
{
    if (!once)
        return;
    loop_undefer(&once->task);
    buf_deinit(&once->out);
    hpack_table_deinit(&once->fields);
    buf_deinit(&once->in);
    buf_deinit(&once->block);
    stream_close(once->stream);
    free(once);
}
