/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON into a buf as it is told, without building a tree: commas, colons and escapes are put in, compactly.
 * A wrong order of calls is a bug and asserted. Errors of the buf are sticky: write everything, then ask once.
 *
 *     struct json_writer json;
 *     json_writer_init(&json, &body);
 *     json_writer_begin_object(&json);
 *     json_writer_member_str(&json, SLICE_LIT("name"), name);
 *     json_writer_end_object(&json);
 *     r = json_writer_finish(&json);
 */
#pragma once

#include "base/buf.h"

#define JSON_WRITER_DEPTH_MAX 64

struct json_writer {
    struct buf *out;
    uint64_t objects;   /* a bit per level: is it an object? */
    uint64_t non_empty; /* a bit per level: has it a member yet? */
    unsigned depth;
    bool has_key; /* a key waits for its value */
};

void json_writer_init(struct json_writer *json, struct buf *out);

/* Everything that was begun must be ended. 0, or what the buf says. */
int json_writer_finish(const struct json_writer *json);

void json_writer_begin_object(struct json_writer *json);
void json_writer_end_object(struct json_writer *json);
void json_writer_begin_array(struct json_writer *json);
void json_writer_end_array(struct json_writer *json);

/* In objects, before each value. */
void json_writer_key(struct json_writer *json, struct slice key);

/* Any bytes; what is no UTF-8 becomes U+FFFD. */
void json_writer_str(struct json_writer *json, struct slice text);
/* A string: the bytes as base64. */
void json_writer_base64(struct json_writer *json, struct slice bytes);
void json_writer_u64(struct json_writer *json, uint64_t value);
void json_writer_i64(struct json_writer *json, int64_t value);
void json_writer_bool(struct json_writer *json, bool value);
void json_writer_null(struct json_writer *json);
/* A value that is JSON already. */
void json_writer_raw(struct json_writer *json, struct slice value);

/* In objects: a member, its key and its value. */
void json_writer_member_str(struct json_writer *json, struct slice key, struct slice text);
/* Left out when the text is empty. */
void json_writer_member_filled(struct json_writer *json, struct slice key, struct slice text);
void json_writer_member_i64(struct json_writer *json, struct slice key, int64_t value);
void json_writer_member_bool(struct json_writer *json, struct slice key, bool value);
/* Of strings. */
void json_writer_member_list(struct json_writer *json, struct slice key, const struct slice *list, unsigned n);
