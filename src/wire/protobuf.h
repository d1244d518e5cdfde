/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c with muster's manners: its memory is malloc's (so that tests can make it fail), messages are packed into a
 * buf, and running out of memory is told apart from a malformed message.
 */
#pragma once

#include "base/buf.h"

#include <protobuf-c/protobuf-c.h>

/* 0, -EBADMSG, -ENOMEM. The message is freed with protobuf_free. */
int protobuf_unpack(const ProtobufCMessageDescriptor *descriptor, struct slice bytes, ProtobufCMessage **ret_message);

/* Accepts NULL. */
void protobuf_free(ProtobufCMessage *message);

/* Appends the message. 0, or the buf's error. */
int protobuf_pack(const ProtobufCMessage *message, struct buf *buf);
