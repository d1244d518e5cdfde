/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of an HTTP/1 head that requests and responses share: its lines, its fields, and what the fields say about
 * framing and the connection. For http1_request.c and http1_response.c only.
 *
 * Faults carry the status for a request; the response parser turns each into 502.
 */
#pragma once

#include "wire/http1.h"

/* Host and Expect mean something in requests only; in trailers no field says anything about the message. */
enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE, HTTP1_TRAILERS };

/*
 * What the fields mean together. Pointers are into the http_fields that were filled; NULL when there is no such field.
 */
struct http1_meaning {
    const struct http_field *host;
    const struct http_field *content_length;
    const struct http_field *transfer_encoding; /* "chunked", or the head was refused */
    uint64_t length;                            /* of content_length */
    uint32_t idle_timeout_s;                    /* of Keep-Alive; 0: none */
    bool close, keep_alive, upgrade;            /* listed in Connection */
    bool upgrade_protocol, upgrade_h2c;         /* Upgrade names a protocol other than h2c; names h2c */
    bool expect_continue;
};

/* Fills ret_fault and returns -EBADMSG. */
int http1_refuse(struct http1_fault *ret_fault, uint16_t status, const char *text);

/* Behind the empty lines at the beginning. `bytes` may be incomplete. */
int http1_skip_empty_lines(struct slice bytes, struct slice *ret_rest, struct http1_fault *ret_fault);

/*
 * The first line of `bytes`, without its CRLF, and what follows. -EAGAIN when it has no end yet.
 */
int http1_take_line(struct slice bytes, struct slice *ret_line, struct slice *ret_rest, struct http1_fault *ret_fault);

/* "HTTP/1.0" or "HTTP/1.1"; other versions are refused with 505, what is no version with 400. */
int http1_parse_version(struct slice text, uint8_t *ret_minor, struct http1_fault *ret_fault);

/* The fields up to and including the empty line; *ret_end is behind it. */
int http1_parse_fields(enum http1_kind kind, struct slice bytes, unsigned n_max, struct http_fields *fields,
                       struct http1_meaning *ret_meaning, const char **ret_end, struct http1_fault *ret_fault);

/* The rules about fields that need the version too. */
int http1_check_meaning(const struct http1_meaning *meaning, uint8_t version_minor, struct http1_fault *ret_fault);

/* May the connection be used again? */
bool http1_is_keep_alive(const struct http1_meaning *meaning, uint8_t version_minor);
