/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of Protocol Buffers as JSON and back, for any message of which protoc-c has made a descriptor. No message is
 * built in between: bytes become text, and text becomes bytes. Pure.
 *
 * The mapping is the one of Protocol Buffers, with the names of the .proto file: bytes are base64, integers of 64 bits
 * are strings, enums are names, and fields that are zero are left out. Taken are also names in camelCase, base64 for
 * URLs or without padding, numbers or strings for any integer, numbers for enums, and null for a field that is not
 * there; unknown fields are passed over. Messages that recur deeper than JSON_WRITER_DEPTH_MAX are not written.
 *
 * Types that no message of ours has (floats, fixed-size and zigzag integers) are not known here, and asserted.
 */
#pragma once

#include "wire/json.h"
#include "wire/json_writer.h"

#include <protobuf-c/protobuf-c.h>

/*
 * Writes the message as an object. 0, or -EBADMSG: it is no message of this type, and what the writer wrote is of no
 * use. Running out of memory is the sticky error of the writer's buf.
 */
int pb_json_write(const ProtobufCMessageDescriptor *type, struct slice message, struct json_writer *json);

/* Appends the message that the text means. 0; -EINVAL with err filled ("limit: …"); -ENOMEM; -EMSGSIZE: of the buf. */
int pb_json_read(const ProtobufCMessageDescriptor *type, struct slice text, const struct json_limits *limits,
                 struct buf *message, struct err *err);
