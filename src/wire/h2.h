/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of HTTP/2 (RFC 9113 4 to 7): their heads, and the numbers that mean something. Pure. */
#pragma once

#include "base/slice.h"

#include <arpa/inet.h>

enum {
    H2_FRAME_HEAD_BYTES = 9,
    H2_FRAME_BYTES_MAX = 16384,      /* payload that everybody takes */
    H2_FRAME_BYTES_LIMIT = 0xffffff, /* what a peer may say that it takes */
    H2_WINDOW_BYTES = 65535,         /* at the beginning */
    H2_SETTING_BYTES = 6,
};

/* Of windows and stream numbers. */
#define H2_NUMBER_MAX 0x7fffffff

enum h2_frame_type {
    H2_FRAME_DATA,
    H2_FRAME_HEADERS,
    H2_FRAME_PRIORITY,
    H2_FRAME_RST_STREAM,
    H2_FRAME_SETTINGS,
    H2_FRAME_PUSH_PROMISE,
    H2_FRAME_PING,
    H2_FRAME_GOAWAY,
    H2_FRAME_WINDOW_UPDATE,
    H2_FRAME_CONTINUATION,
};

enum h2_flag {
    H2_FLAG_END_STREAM = 0x1,
    H2_FLAG_ACK = 0x1, /* of SETTINGS and PING */
    H2_FLAG_END_HEADERS = 0x4,
    H2_FLAG_PADDED = 0x8,
    H2_FLAG_PRIORITY = 0x20,
};

enum h2_setting {
    H2_SETTING_HEADER_TABLE_SIZE = 1,
    H2_SETTING_ENABLE_PUSH,
    H2_SETTING_MAX_CONCURRENT_STREAMS,
    H2_SETTING_INITIAL_WINDOW_SIZE,
    H2_SETTING_MAX_FRAME_SIZE,
    H2_SETTING_MAX_HEADER_LIST_SIZE,
};

enum h2_error {
    H2_NO_ERROR,
    H2_PROTOCOL_ERROR,
    H2_INTERNAL_ERROR,
    H2_FLOW_CONTROL_ERROR,
    H2_SETTINGS_TIMEOUT,
    H2_STREAM_CLOSED,
    H2_FRAME_SIZE_ERROR,
    H2_REFUSED_STREAM,
    H2_CANCEL,
    H2_COMPRESSION_ERROR,
    H2_CONNECT_ERROR,
    H2_ENHANCE_YOUR_CALM,
};

struct h2_frame {
    uint32_t len; /* of the payload */
    uint8_t type; /* enum h2_frame_type, or one that is not known */
    uint8_t flags;
    int32_t id; /* of the stream; 0: the connection */
};

/* Numbers in network order. */
static inline uint32_t h2_read_u32(const char *at)
{
    const uint8_t *bytes = (const uint8_t *)at;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void h2_write_u32(char *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, sizeof(value));
}

/* The number of a stream or a step of a window, without its reserved bit. */
static inline int32_t h2_read_number(const char *at)
{
    return (int32_t)(h2_read_u32(at) & H2_NUMBER_MAX);
}

/* Of H2_FRAME_HEAD_BYTES bytes. */
static inline struct h2_frame h2_frame_read(const char *at)
{
    return (struct h2_frame){
        .len = h2_read_u32(at) >> 8,
        .type = (uint8_t)at[3],
        .flags = (uint8_t)at[4],
        .id = h2_read_number(at + 5),
    };
}

static inline void h2_frame_write(char *at, const struct h2_frame *frame)
{
    h2_write_u32(at, frame->len << 8 | frame->type);
    at[4] = (char)frame->flags;
    h2_write_u32(at + 5, (uint32_t)frame->id);
}
