/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See grpc_frames.h. Of a message that is cut no more is taken over than it lacks, so that what lies behind it is given
 * as it lies again.
 */
#include "http/grpc_frames.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <errno.h>

/* An empty buffer up to this size is kept, so that not every cut message allocates; a larger one is given back. */
#define HELD_KEPT_BYTES 1024

void grpc_frames_init(struct grpc_frames *frames, size_t max_message_bytes)
{
    *frames = (struct grpc_frames){.max_message_bytes = max_message_bytes};
}

void grpc_frames_deinit(struct grpc_frames *frames)
{
    buf_deinit(&frames->held);
    frames->held_taken = 0;
}

static size_t n_held(const struct grpc_frames *frames)
{
    return frames->held.len - frames->held_taken;
}

bool grpc_frames_is_empty(const struct grpc_frames *frames)
{
    return n_held(frames) == 0;
}

void grpc_frames_prefix(size_t len, char ret_prefix[GRPC_PREFIX_BYTES])
{
    ASSERT(len <= UINT32_MAX);
    uint32_t wire_len = htonl((uint32_t)len);
    ret_prefix[0] = 0;
    memcpy(ret_prefix + 1, &wire_len, sizeof(wire_len));
}

/* What a prefix says. 0, or why the message is not taken. */
static int read_prefix(const struct grpc_frames *frames, const char *prefix, size_t *ret_len)
{
    uint32_t wire_len;
    memcpy(&wire_len, prefix + 1, sizeof(wire_len));
    size_t len = ntohl(wire_len);
    if (prefix[0] == 1)
        return -EPROTONOSUPPORT;
    if (prefix[0] != 0)
        return -EBADMSG;
    if (len > frames->max_message_bytes)
        return -EMSGSIZE;
    *ret_len = len;
    return 0;
}

/* Moves bytes over until n are held. True when they are; *ret_error is set when they cannot be. */
static bool hold_until(struct grpc_frames *frames, size_t n, struct slice *bytes, int *ret_error)
{
    if (n_held(frames) >= n)
        return true;
    size_t part = min_size(n - n_held(frames), bytes->len);
    *ret_error = grpc_frames_hold(frames, slice_from(bytes->ptr, part));
    *bytes = slice_skip(*bytes, part);
    return *ret_error == 0 && n_held(frames) >= n;
}

/* A message whose beginning is held. */
static int next_held(struct grpc_frames *frames, struct slice *bytes, struct slice *ret_message)
{
    size_t len;
    int r = 0;
    if (!hold_until(frames, GRPC_PREFIX_BYTES, bytes, &r))
        return r < 0 ? r : GRPC_FRAMES_MORE;
    r = read_prefix(frames, frames->held.ptr + frames->held_taken, &len);
    if (r < 0)
        return r;
    if (!hold_until(frames, GRPC_PREFIX_BYTES + len, bytes, &r))
        return r < 0 ? r : GRPC_FRAMES_MORE;
    *ret_message = slice_from(frames->held.ptr + frames->held_taken + GRPC_PREFIX_BYTES, len);
    frames->held_taken += GRPC_PREFIX_BYTES + len;
    return GRPC_FRAMES_MESSAGE;
}

/* A message that lies whole in *bytes, or whose beginning does. */
static int next_direct(struct grpc_frames *frames, struct slice *bytes, struct slice *ret_message)
{
    size_t len;
    if (bytes->len < GRPC_PREFIX_BYTES)
        return next_held(frames, bytes, ret_message);
    int r = read_prefix(frames, bytes->ptr, &len);
    if (r < 0)
        return r;
    if (bytes->len < GRPC_PREFIX_BYTES + len)
        return next_held(frames, bytes, ret_message);
    *ret_message = slice_from(bytes->ptr + GRPC_PREFIX_BYTES, len);
    *bytes = slice_skip(*bytes, GRPC_PREFIX_BYTES + len);
    return GRPC_FRAMES_MESSAGE;
}

int grpc_frames_next(struct grpc_frames *frames, struct slice *bytes, struct slice *ret_message)
{
    if (!grpc_frames_is_empty(frames))
        return next_held(frames, bytes, ret_message);
    frames->held_taken = 0;
    buf_reset(&frames->held);
    if (frames->held.cap > HELD_KEPT_BYTES)
        buf_deinit(&frames->held);
    return slice_is_empty(*bytes) ? GRPC_FRAMES_MORE : next_direct(frames, bytes, ret_message);
}

int grpc_frames_hold(struct grpc_frames *frames, struct slice bytes)
{
    /* Moving the rest to the front only when it is the smaller half keeps the cost linear. */
    if (frames->held_taken > frames->held.len / 2) {
        buf_consume(&frames->held, frames->held_taken);
        frames->held_taken = 0;
    }
    return buf_append(&frames->held, bytes);
}
