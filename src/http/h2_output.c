/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames as bytes, gathered in session->out until h2_io sends it.
 *
 * A stream's pieces of body that come one after the other are put into one frame, so that a message and what is in
 * front of it, each written by itself, cost the peer one frame.
 */
#include "http/h2_session.h"

#include "base/util.h"

#include <errno.h>

/* Values that are expected to be said again are small enough for our table. */
enum { LASTING_VALUE_MAX = 48 };

/* Room for n bytes; NULL: nothing is to be written any more. */
static char *reserve(struct h2_session *session, size_t n)
{
    char *room;
    if (session->is_terminated || session->error < 0)
        return NULL;
    int r = buf_reserve(&session->out, n, &room);
    if (r < 0) {
        h2_session_fail(session, r);
        return NULL;
    }
    return room;
}

/* The frame's payload, of head.len bytes, to be filled in; NULL as above. */
static char *add_frame(struct h2_session *session, struct h2_frame head)
{
    char *room = reserve(session, H2_FRAME_HEAD_BYTES + head.len);
    if (!room)
        return NULL;
    h2_frame_write(room, &head);
    buf_commit(&session->out, H2_FRAME_HEAD_BYTES + head.len);
    session->data_id = 0;
    return room + H2_FRAME_HEAD_BYTES;
}

static void put_setting(char *at, enum h2_setting id, uint32_t value)
{
    at[0] = 0;
    at[1] = (char)id;
    h2_write_u32(at + 2, value);
}

void h2_output_open(struct h2_session *session)
{
    const struct http_server_options *options = h2_session_options(session);
    char *at = add_frame(session, (struct h2_frame){.type = H2_FRAME_SETTINGS, .len = 3 * H2_SETTING_BYTES});
    if (!at)
        return;
    put_setting(at, H2_SETTING_MAX_CONCURRENT_STREAMS, session->n_streams_max);
    put_setting(at + H2_SETTING_BYTES, H2_SETTING_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW_BYTES);
    put_setting(at + 2 * H2_SETTING_BYTES, H2_SETTING_MAX_HEADER_LIST_SIZE, (uint32_t)options->limits.head_bytes);
}

void h2_output_settings_ack(struct h2_session *session)
{
    (void)add_frame(session, (struct h2_frame){.type = H2_FRAME_SETTINGS, .flags = H2_FLAG_ACK});
}

void h2_output_ping(struct h2_session *session, uint8_t flags, const char payload[8])
{
    char *at = add_frame(session, (struct h2_frame){.type = H2_FRAME_PING, .flags = flags, .len = 8});
    if (at)
        memcpy(at, payload, 8);
}

void h2_output_goaway(struct h2_session *session, int32_t last_id, uint32_t code)
{
    char *at = add_frame(session, (struct h2_frame){.type = H2_FRAME_GOAWAY, .len = 8});
    if (!at)
        return;
    h2_write_u32(at, (uint32_t)last_id);
    h2_write_u32(at + 4, code);
}

void h2_output_reset(struct h2_session *session, int32_t id, uint32_t code)
{
    char *at = add_frame(session, (struct h2_frame){.type = H2_FRAME_RST_STREAM, .id = id, .len = 4});
    if (at)
        h2_write_u32(at, code);
    session->reset_ns = h2_session_now(session);
    /* Resets that the front end asked for have other codes. */
    if (code != H2_NO_ERROR && code != H2_CANCEL && code != H2_INTERNAL_ERROR)
        h2_session_charge(session, H2_PROVOKED_RESET);
}

void h2_output_window_update(struct h2_session *session, int32_t id, int32_t step)
{
    char *at = add_frame(session, (struct h2_frame){.type = H2_FRAME_WINDOW_UPDATE, .id = id, .len = 4});
    if (at)
        h2_write_u32(at, (uint32_t)step);
}

/* ------------------------------------------------------------------------------------------------ body */

/* Adds to the stream's frame at the end of `out`; how many bytes of them. */
static size_t extend(struct h2_session *session, int32_t id, struct slice bytes)
{
    if (session->data_id != id)
        return 0;
    size_t len = session->out.len - session->data_at - H2_FRAME_HEAD_BYTES;
    size_t n = min_size(bytes.len, H2_FRAME_BYTES_MAX - len);
    char *room = n > 0 ? reserve(session, n) : NULL;
    if (!room)
        return 0;
    memcpy(room, bytes.ptr, n);
    buf_commit(&session->out, n);
    const struct h2_frame head = {.type = H2_FRAME_DATA, .id = id, .len = (uint32_t)(len + n)};
    h2_frame_write(session->out.ptr + session->data_at, &head);
    return n;
}

void h2_output_data(struct h2_session *session, int32_t id, struct slice bytes)
{
    bytes = slice_skip(bytes, extend(session, id, bytes));
    while (bytes.len > 0) {
        size_t n = min_size(bytes.len, H2_FRAME_BYTES_MAX), at = session->out.len;
        char *room = add_frame(session, (struct h2_frame){.type = H2_FRAME_DATA, .id = id, .len = (uint32_t)n});
        if (!room)
            return;
        memcpy(room, bytes.ptr, n);
        bytes = slice_skip(bytes, n);
        session->data_at = at;
        session->data_id = id;
    }
}

void h2_output_data_end(struct h2_session *session, int32_t id)
{
    if (session->data_id == id) {
        enum { FLAGS_AT = 4 };
        session->out.ptr[session->data_at + FLAGS_AT] = H2_FLAG_END_STREAM;
        session->data_id = 0;
    } else {
        (void)add_frame(session, (struct h2_frame){.type = H2_FRAME_DATA, .flags = H2_FLAG_END_STREAM, .id = id});
    }
}

/* ------------------------------------------------------------------------------------------------ header blocks */

size_t h2_output_head(struct h2_session *session, int32_t id, unsigned status, bool end_stream)
{
    const uint8_t flags = H2_FLAG_END_HEADERS | (end_stream ? H2_FLAG_END_STREAM : 0);
    size_t at = session->out.len;
    (void)add_frame(session, (struct h2_frame){.type = H2_FRAME_HEADERS, .flags = flags, .id = id});
    if (reserve(session, 0))
        (void)hpack_write_begin(&session->encoder, &session->out); /* failures stick to the buf */
    if (status != 0 && reserve(session, 0))
        (void)hpack_write_status(&session->out, status);
    return at;
}

/* What could end a value becomes a blank, as on HTTP/1. */
static void write_cleaned(struct h2_session *session, struct slice name, struct slice value)
{
    CLEANUP(buf_deinit) struct buf cleaned = {0};
    char *room;
    int r = buf_reserve(&cleaned, value.len, &room);
    if (r < 0) {
        h2_session_fail(session, r);
        return;
    }
    for (size_t i = 0; i < value.len; i++)
        room[i] = (char)((uint8_t)value.ptr[i] < ' ' || value.ptr[i] == 0x7f ? ' ' : value.ptr[i]);
    (void)hpack_write(&session->encoder, &session->out, name, slice_from(room, value.len), false);
}

void h2_output_field(struct h2_session *session, struct slice name, struct slice value)
{
    value = slice_trim(value); /* RFC 9113 8.2.1 */
    if (!reserve(session, 0))
        return;
    bool is_lasting = value.len <= LASTING_VALUE_MAX && !slice_equal_str(name, "content-length");
    if (!http_is_field_value(value))
        write_cleaned(session, name, value);
    else if (hpack_write(&session->encoder, &session->out, name, value, is_lasting) < 0)
        h2_session_fail(session, -ENOMEM);
}

static bool has_capitals(struct slice text)
{
    bool found = false;
    for (size_t i = 0; i < text.len; i++)
        found |= text.ptr[i] >= 'A' && text.ptr[i] <= 'Z';
    return found;
}

void h2_output_any_case(struct h2_session *session, struct slice name, struct slice value)
{
    CLEANUP(buf_deinit) struct buf lowered = {0};
    char *room;
    if (!has_capitals(name)) {
        h2_output_field(session, name, value);
        return;
    }
    int r = buf_reserve(&lowered, name.len, &room);
    if (r < 0) {
        h2_session_fail(session, r);
        return;
    }
    for (size_t i = 0; i < name.len; i++)
        room[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i]);
    h2_output_field(session, slice_from(room, name.len), value);
}

/* Cuts a block that is too long for one frame: heads of CONTINUATION go in between, from the end. */
static void cut_block(struct h2_session *session, size_t at, struct h2_frame head, size_t len)
{
    size_t n_more = (len - 1) / H2_FRAME_BYTES_MAX;
    if (!reserve(session, n_more * H2_FRAME_HEAD_BYTES))
        return;
    buf_commit(&session->out, n_more * H2_FRAME_HEAD_BYTES);
    char *block = session->out.ptr + at + H2_FRAME_HEAD_BYTES;
    const struct h2_frame first = {
        .type = H2_FRAME_HEADERS,
        .flags = head.flags & H2_FLAG_END_STREAM,
        .id = head.id,
        .len = H2_FRAME_BYTES_MAX,
    };
    for (size_t i = n_more; i > 0; i--) {
        size_t begin = i * H2_FRAME_BYTES_MAX, n = min_size(len - begin, H2_FRAME_BYTES_MAX);
        const struct h2_frame more = {
            .type = H2_FRAME_CONTINUATION,
            .flags = i == n_more ? H2_FLAG_END_HEADERS : 0,
            .id = head.id,
            .len = (uint32_t)n,
        };
        char *to = block + begin + (i - 1) * H2_FRAME_HEAD_BYTES;
        memmove(to + H2_FRAME_HEAD_BYTES, block + begin, n);
        h2_frame_write(to, &more);
    }
    h2_frame_write(session->out.ptr + at, &first);
}

void h2_output_head_end(struct h2_session *session, size_t at)
{
    if (buf_error(&session->out) < 0)
        h2_session_fail(session, buf_error(&session->out));
    if (!reserve(session, 0))
        return;
    struct h2_frame head = h2_frame_read(session->out.ptr + at);
    size_t len = session->out.len - at - H2_FRAME_HEAD_BYTES;
    head.len = (uint32_t)len;
    if (len <= H2_FRAME_BYTES_MAX)
        h2_frame_write(session->out.ptr + at, &head);
    else
        cut_block(session, at, head, len);
}
