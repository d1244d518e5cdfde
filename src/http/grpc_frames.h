/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the length-prefixed messages of gRPC out of a flow of bytes that comes in pieces. Pure.
 *
 * A message that lies whole in the bytes at hand is given as it lies there; only what is cut is gathered. A flow of
 * whole messages thus owns no memory.
 */
#pragma once

#include "base/buf.h"

/* Every message has a byte of flags and four of length in front. */
#define GRPC_PREFIX_BYTES 5

struct grpc_frames {
    size_t max_message_bytes;
    struct buf held;   /* bytes that are kept */
    size_t held_taken; /* of them: given already */
};

void grpc_frames_init(struct grpc_frames *frames, size_t max_message_bytes);
void grpc_frames_deinit(struct grpc_frames *frames);

/*
 * Outcomes of grpc_frames_next; besides them -EMSGSIZE (a longer message than is taken), -EPROTONOSUPPORT (a compressed
 * one), -EBADMSG (no message at all), -ENOMEM: the flow is of no use any more.
 */
enum grpc_frames_step {
    GRPC_FRAMES_MORE,    /* all of *bytes is taken, and there is no message in it */
    GRPC_FRAMES_MESSAGE, /* ret_message, valid until the next call and as long as the bytes are */
};
int grpc_frames_next(struct grpc_frames *frames, struct slice *bytes, struct slice *ret_message);

/* Keeps bytes for later calls of grpc_frames_next, for a receiver that wants no messages now. 0 or -ENOMEM. */
int grpc_frames_hold(struct grpc_frames *frames, struct slice bytes);

/* True when nothing is held: the flow may end here. */
bool grpc_frames_is_empty(const struct grpc_frames *frames);

/* Writes the prefix of a message of len bytes. */
void grpc_frames_prefix(size_t len, char ret_prefix[GRPC_PREFIX_BYTES]);
