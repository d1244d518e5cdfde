/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the fields of an HTTP/2 header block to a request, as RFC 9113 8.2 and 8.3 want it. Pure.
 *
 *     h2_head_init(&head, fields, limits)
 *     h2_head_add(&head, &field)           for each field of the block
 *     h2_request_parse(&head, …)           or h2_head_is_trailers
 */
#pragma once

#include "wire/hpack.h"
#include "wire/http1.h"

/* What has been seen of a block. Slices point where the block's fields do. */
struct h2_head {
    struct http_fields *fields; /* pseudo-fields left out; gives room */
    const struct http1_limits *limits;
    struct slice method, path, scheme, authority;
    size_t n_bytes;
    uint64_t seen;     /* a bit for each id of those that may come once */
    bool is_malformed; /* by a field alone, or by the order of them */
    bool is_too_large, has_too_many;
};

enum h2_request_outcome {
    H2_REQUEST_MALFORMED = 1, /* a stream error of RFC 9113 8.1.1 */
    H2_REQUEST_REFUSED = 2,   /* well-formed, but answered at once: ret_fault says how */
};

/* `fields` and `limits` outlive the head. */
void h2_head_init(struct h2_head *head, struct http_fields *fields, const struct http1_limits *limits);
void h2_head_add(struct h2_head *head, const struct hpack_field *field);

/* Whether it may stand behind a body. */
bool h2_head_is_trailers(const struct h2_head *head);

/* end_stream: no body follows. 0, or an enum h2_request_outcome. The result points to the head's fields. */
int h2_request_parse(const struct h2_head *head, bool end_stream, struct http_request *ret_request,
                     struct http1_fault *ret_fault);
