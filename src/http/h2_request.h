/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an HTTP/2 header block to a request. Pure.
 *
 * What RFC 9113 8.2 and 8.3 say of single fields (lower case, no connection-specific ones, pseudo-fields known, first
 * and once, `te: trailers` only) nghttp2 has checked by then; here is what needs the whole head.
 */
#pragma once

#include "wire/http1.h"

enum h2_request_outcome {
    H2_REQUEST_MALFORMED = 1, /* a stream error of RFC 9113 8.1.1 */
    H2_REQUEST_REFUSED = 2,   /* well-formed, but answered at once: ret_fault says how */
};

/*
 * block: as h2_fields_append wrote it; all slices of the result point into it. end_stream: no body follows.
 * 0, or an enum h2_request_outcome. `fields` gives room and is pointed to by the result.
 */
int h2_request_parse(struct slice block, bool end_stream, const struct http1_limits *limits, struct http_fields *fields,
                     struct http_request *ret_request, struct http1_fault *ret_fault);
