/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two opinions on an HTTP/1 message: ours and llhttp's. What our parser accepts, llhttp must accept with the same
 * method, target, version or status, fields, keep-alive, body and end. The other way round we may be stricter: that is
 * what docs/http1.md is about.
 *
 * Where llhttp refuses or reads differently what is right, the oracle knows it; see http1_oracle.c.
 */
#pragma once

#include "base/slice.h"
#include "wire/http.h"

/* `bytes` is a message or the beginning of one. NULL, or what the two disagree about (static text). */
const char *http1_oracle_request(struct slice bytes);
/* `method` is that of the request. */
const char *http1_oracle_response(struct slice bytes, enum http_method method);
