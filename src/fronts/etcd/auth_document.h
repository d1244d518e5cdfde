/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model as bytes, which the store keeps as one document. Pure.
 *
 * Protocol Buffers; fields that are zero are left out, lists are in order of name (permissions: of key, then end):
 *
 *     1 format, 1 now     2 whether auth is enabled     3 auth revision     4 the last session that was given
 *     5 each user:  1 name   2 hash of the password, as crypt(3) has it   3 whether it has none   4 session
 *                   5 each role's name
 *     6 each role:  1 name   2 each permission: 1 access (0 read, 1 write, 2 both)   2 key   3 range end
 *
 * Unknown fields are passed over. What has another format, or breaks a rule of the model, is refused.
 *
 * A permission in it is etcd's message authpb.Permission, which its clients send and are shown too.
 */
#pragma once

#include "fronts/etcd/auth_model.h"

#define AUTH_DOCUMENT_NAME SLICE_LIT("etcd/auth")

/* Appends; 0 or the buf's error. */
int auth_document_write(const struct auth_model *model, struct buf *bytes);

/* The model is sealed. 0, -ENOMEM, or -EBADMSG with words: not a document of this kind. */
int auth_document_read(struct slice bytes, struct auth_model **ret_model, struct err *err);

/* The message, as the field of that number. The buf's error is sticky. */
void auth_document_add_permission(struct buf *bytes, uint32_t number, const struct auth_permission *permission);
/* Members that are missing stay as they are; whether it is a good one is not looked at. 0 or -EBADMSG. */
int auth_document_read_permission(struct slice bytes, struct auth_permission *permission);
