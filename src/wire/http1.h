/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 heads and bodies, strictly. Pure: bytes in, slices into those bytes out.
 *
 * A head is parsed whole, in one pass, which nearly all heads are ready for when they are looked at first. Where one
 * ends that is not, http1_head_end finds out (resuming where the last search stopped, so a head that drips in costs
 * linear time). What is refused, with which status, is the table in docs/http1.md; each row is a test. Strictness is
 * the same for everyone: there is no lenient mode.
 */
#pragma once

#include "wire/http.h"

#include <sys/types.h>

struct http1_limits {
    size_t head_bytes;   /* start line and fields; beyond: 431 */
    size_t target_bytes; /* beyond: 414 */
    unsigned n_fields;   /* at most HTTP_FIELDS_MAX; beyond: 431 */
};

/* Empty lines before a request line that are skipped; beyond: 400. */
#define HTTP1_EMPTY_LINES_MAX 8

/* Bytes of chunk extensions and trailers that one body may have; beyond: 400. */
#define HTTP1_OVERHEAD_MAX 4096

/* Why something was refused. */
struct http1_fault {
    uint16_t status;  /* what to answer: 400, 414, 417, 431, 501, 505; as a client: 502 */
    const char *text; /* static, names what was wrong and what was expected */
};

/*
 * Offset just behind the empty line that ends the head, or 0 when it is not there yet. `searched` is how many bytes
 * earlier calls have seen (0 at first). Empty lines before the start line belong to the head and do not end it. A head
 * whose lines end with bare line feeds is found too, for the parser to refuse.
 */
size_t http1_head_end(struct slice bytes, size_t searched);

/*
 * Parses a whole head (the first http1_head_end bytes). `fields` gives room and is pointed to by the result.
 * 0, or -EBADMSG with ret_fault filled.
 */
int http1_parse_request(struct slice head, const struct http1_limits *limits, struct http_fields *fields,
                        struct http_request *ret_request, struct http1_fault *ret_fault);

/*
 * The same for a response. `method` is the request's: HEAD and CONNECT change what a response's length means. 1xx are
 * responses like others. After 101, and after a 2xx to CONNECT, the framing is HTTP_BODY_NONE and what follows belongs
 * to the other protocol.
 */
int http1_parse_response(struct slice head, const struct http1_limits *limits, enum http_method method,
                         struct http_fields *fields, struct http_response *ret_response, struct http1_fault *ret_fault);

/*
 * Refuses early what can never become a head: called on an incomplete one (too long, not HTTP, TLS on a plain port, a
 * bad request line). 0 to wait for more, or -EBADMSG with ret_fault filled. Costs one look at the first line.
 */
int http1_check_partial(struct slice bytes, const struct http1_limits *limits, struct http1_fault *ret_fault);
int http1_check_partial_response(struct slice bytes, const struct http1_limits *limits, struct http1_fault *ret_fault);

/*
 * All of that in one: what a connection does with the bytes at hand, of which the first `searched` are known not to be
 * a whole head. The length of the head, which was parsed; 0 to wait for more; or -EBADMSG with ret_fault filled.
 */
ssize_t http1_take_request(struct slice bytes, size_t searched, const struct http1_limits *limits,
                           struct http_fields *fields, struct http_request *ret_request, struct http1_fault *ret_fault);
ssize_t http1_take_response(struct slice bytes, size_t searched, const struct http1_limits *limits,
                            enum http_method method, struct http_fields *fields, struct http_response *ret_response,
                            struct http1_fault *ret_fault);

/*
 * Takes a body apart. 16 bytes of state, so that it fits into a connection. Its faults have status 400; in a response
 * they mean 502 like all others.
 */
struct http1_body {
    uint64_t left;     /* of the length, or of the current chunk */
    uint16_t overhead; /* bytes of chunk extensions and trailers so far, limited */
    uint8_t state;
    uint8_t n_digits; /* of the current chunk size */
    uint8_t framing;  /* enum http_framing */
};

enum http1_body_step {
    HTTP1_BODY_DATA,     /* ret_data is the next run of the body, inside `bytes` */
    HTTP1_BODY_TRAILERS, /* `trailers` are what came behind the body, cleaned (http_trailers_clean); the end follows */
    HTTP1_BODY_MORE,     /* more must come: call again with what is not consumed in front of it */
    HTTP1_BODY_END,      /* the body is complete; bytes behind ret_consumed belong to the next message */
    HTTP1_BODY_BAD,      /* ret_fault says why; close the connection */
};

void http1_body_init(struct http1_body *body, enum http_framing framing, uint64_t content_length);

/*
 * One step. ret_consumed is how many of `bytes` it used up (data included). Call it again with the rest, perhaps empty,
 * while it says HTTP1_BODY_DATA or HTTP1_BODY_TRAILERS. Chunk extensions are checked, limited and dropped. Trailers are
 * taken whole: bytes of them, at most HTTP1_OVERHEAD_MAX, are not consumed before the last has come. `trailers` gives
 * room for them and is not touched before that.
 */
enum http1_body_step http1_body_step(struct http1_body *body, struct slice bytes, struct slice *ret_data,
                                     size_t *ret_consumed, struct http_fields *trailers, struct http1_fault *ret_fault);

/* The line in front of a chunk of so many bytes, not 0, made in `room`. */
#define HTTP1_CHUNK_HEAD_MAX 18
struct slice http1_chunk_head(size_t len, char room[HTTP1_CHUNK_HEAD_MAX]);

/* So many bytes of a body with a length were taken by other means; not more than body->left. */
void http1_body_skip(struct http1_body *body, uint64_t n);

/* The peer closed: 0 when the body was complete or is delimited by close, else -ECONNRESET. */
int http1_body_close(const struct http1_body *body);
