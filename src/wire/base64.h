/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648), as bytes travel in JSON. Pure. */
#pragma once

#include "base/buf.h"

/* Appends the bytes as text: the standard alphabet, padded. 0, or the buf's error. */
int base64_encode(struct slice bytes, struct buf *text);

/*
 * Appends the bytes that the text means: of the standard or the URL-safe alphabet, padded or not. 0, -EINVAL, or the
 * buf's error; on failure the buf is as it was, but for its sticky error.
 */
int base64_decode(struct slice text, struct buf *bytes);
