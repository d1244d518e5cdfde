/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies: a length, until close, or chunks. What lies between the runs of data is a machine that takes one byte at a
 * time, so that it does not matter where the peer's packets end; runs are handed out where they lie. Trailers, which
 * hardly anybody sends, are parsed like the fields of a head once they are all there.
 *
 *     SIZE ─┬───────────────────────────> SIZE_LF -> CHUNK -> CHUNK_CR -> CHUNK_LF -> SIZE
 *           └─> EXT_… (";name[=value]")* ──┘  └─ size 0 ─> TRAILERS -> DONE
 */
#include "wire/http1_fields.h"

#include "base/assert.h"
#include "base/util.h"
#include "wire/chars.h"

#include <errno.h>

#define SIZE_DIGITS_MAX 16

enum state {
    RUN,   /* the last `left` bytes of the body */
    CLOSE, /* data until the connection ends */
    SIZE,
    SIZE_LF,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_VALUE_FIRST,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    CHUNK, /* `left` bytes of the chunk */
    CHUNK_CR,
    CHUNK_LF,
    TRAILERS, /* or the empty line that is there when there are none */
    DONE,
};

void http1_body_init(struct http1_body *body, enum http_framing framing, uint64_t content_length)
{
    *body = (struct http1_body){.framing = (uint8_t)framing};
    switch (framing) {
    case HTTP_BODY_NONE:
        body->state = DONE;
        break;
    case HTTP_BODY_LENGTH:
        body->left = content_length;
        body->state = content_length > 0 ? RUN : DONE;
        break;
    case HTTP_BODY_CHUNKED:
        body->state = SIZE;
        break;
    case HTTP_BODY_STREAM:
        body->state = CLOSE;
        break;
    }
}

/* All of these return NULL, or what is wrong with c. */

static const char *expect_lf(struct http1_body *body, char c, enum state next)
{
    if (c != '\n')
        return "a CR without LF in a chunked body";
    body->state = (uint8_t)next;
    return NULL;
}

/* What may follow a chunk's size or a complete extension. */
static const char *take_size_end(struct http1_body *body, char c)
{
    if (c != '\r' && c != ';')
        return c == '\n' ? "a chunk size line ends with LF alone, not CRLF" : "a chunk size is not 1 to 16 hex digits";
    body->state = c == ';' ? EXT_NAME_FIRST : SIZE_LF;
    return NULL;
}

static const char *take_size(struct http1_body *body, char c)
{
    int digit = char_hex_value(c);
    if (digit < 0)
        return body->n_digits > 0 ? take_size_end(body, c) : "a chunk size is not 1 to 16 hex digits";
    if (body->n_digits == SIZE_DIGITS_MAX)
        return "a chunk size is not 1 to 16 hex digits";
    body->n_digits++;
    body->left = body->left << 4 | (unsigned)digit;
    return NULL;
}

static const char *bad_extension(char c)
{
    return c == '\n' ? "a chunk size line ends with LF alone, not CRLF"
                     : "a chunk extension is not ;name or ;name=value";
}

static const char *take_extension_token(struct http1_body *body, char c, bool is_first, enum state next)
{
    if (char_is(c, CHAR_TOKEN)) {
        body->state = (uint8_t)next;
        return NULL;
    }
    if (is_first)
        return bad_extension(c);
    return take_size_end(body, c) ? bad_extension(c) : NULL;
}

static const char *take_extension(struct http1_body *body, char c)
{
    switch (body->state) {
    case EXT_NAME_FIRST:
        return take_extension_token(body, c, true, EXT_NAME);
    case EXT_NAME:
        if (c == '=') {
            body->state = EXT_VALUE_FIRST;
            return NULL;
        }
        return take_extension_token(body, c, false, EXT_NAME);
    case EXT_VALUE_FIRST:
        if (c == '"') {
            body->state = EXT_QUOTED;
            return NULL;
        }
        return take_extension_token(body, c, true, EXT_VALUE);
    case EXT_VALUE:
        return take_extension_token(body, c, false, EXT_VALUE);
    case EXT_QUOTED:
        if (!char_is(c, CHAR_VALUE))
            return bad_extension(c);
        body->state = c == '"' ? EXT_QUOTED_END : c == '\\' ? EXT_ESCAPED : EXT_QUOTED;
        return NULL;
    case EXT_ESCAPED:
        body->state = EXT_QUOTED;
        return char_is(c, CHAR_VALUE) ? NULL : bad_extension(c);
    default: /* EXT_QUOTED_END */
        return take_size_end(body, c) ? bad_extension(c) : NULL;
    }
}

/* One byte between the runs of data. */
static const char *take(struct http1_body *body, char c)
{
    switch (body->state) {
    case SIZE:
        return take_size(body, c);
    case SIZE_LF:
        return expect_lf(body, c, body->left > 0 ? CHUNK : TRAILERS);
    case CHUNK_CR:
        body->state = CHUNK_LF;
        return c == '\r' ? NULL : "a chunk is longer than its size says";
    case CHUNK_LF:
        body->n_digits = 0;
        return expect_lf(body, c, SIZE);
    default:
        if (body->overhead == HTTP1_OVERHEAD_MAX)
            return "too many bytes of chunk extensions and trailers";
        body->overhead++;
        return take_extension(body, c);
    }
}

static bool is_data(const struct http1_body *body)
{
    return body->state == RUN || body->state == CHUNK || body->state == CLOSE;
}

/* Hands out what is there of the run; the run's end moves the state on. */
static struct slice take_run(struct http1_body *body, struct slice bytes)
{
    if (body->state == CLOSE)
        return bytes;
    if (bytes.len > body->left)
        bytes.len = (size_t)body->left;
    body->left -= bytes.len;
    if (body->left == 0)
        body->state = body->state == RUN ? DONE : CHUNK_CR;
    return bytes;
}

static enum http1_body_step bad(struct http1_fault *ret_fault, const char *text)
{
    *ret_fault = (struct http1_fault){.status = 400, .text = text};
    return HTTP1_BODY_BAD;
}

/* What is there of the trailers; ret_consumed is how many bytes of them were taken. */
static enum http1_body_step take_trailers(struct http1_body *body, struct slice bytes, size_t *ret_consumed,
                                          struct http_fields *trailers, struct http1_fault *ret_fault)
{
    struct http1_meaning meaning;
    const char *end;
    *ret_consumed = 0;
    if (slice_starts_with(SLICE_LIT("\r\n"), bytes) && bytes.len < 2)
        return HTTP1_BODY_MORE;
    bool are_none = bytes.ptr[0] == '\r' || bytes.ptr[0] == '\n';
    size_t n = are_none ? min_size(bytes.len, 2) : http1_head_end(bytes, 0);
    const size_t n_max = (size_t)HTTP1_OVERHEAD_MAX - body->overhead;
    if (n == 0 && bytes.len <= n_max)
        return HTTP1_BODY_MORE;
    if (n == 0 || n > n_max)
        return bad(ret_fault, "too many bytes of chunk extensions and trailers");
    int r = http1_parse_fields(HTTP1_TRAILERS, slice_from(bytes.ptr, n), HTTP_FIELDS_MAX, trailers, &meaning, &end,
                               ret_fault);
    if (r < 0)
        return bad(ret_fault, ret_fault->text);
    ASSERT(end == bytes.ptr + n);
    http_trailers_clean(trailers);
    body->state = DONE;
    *ret_consumed = n;
    return trailers->n > 0 ? HTTP1_BODY_TRAILERS : HTTP1_BODY_END;
}

enum http1_body_step http1_body_step(struct http1_body *body, struct slice bytes, struct slice *ret_data,
                                     size_t *ret_consumed, struct http_fields *trailers, struct http1_fault *ret_fault)
{
    size_t at = 0;
    while (at < bytes.len && body->state != DONE) {
        if (is_data(body)) {
            *ret_data = take_run(body, slice_skip(bytes, at));
            *ret_consumed = at + ret_data->len;
            return HTTP1_BODY_DATA;
        }
        if (body->state == TRAILERS) {
            enum http1_body_step step = take_trailers(body, slice_skip(bytes, at), ret_consumed, trailers, ret_fault);
            *ret_consumed += at;
            return step;
        }
        const char *wrong = take(body, bytes.ptr[at]);
        if (wrong)
            return bad(ret_fault, wrong);
        at++;
    }
    *ret_consumed = at;
    return body->state == DONE ? HTTP1_BODY_END : HTTP1_BODY_MORE;
}

struct slice http1_chunk_head(size_t len, char room[HTTP1_CHUNK_HEAD_MAX])
{
    size_t at = HTTP1_CHUNK_HEAD_MAX;
    room[--at] = '\n';
    room[--at] = '\r';
    for (; len > 0; len >>= 4)
        room[--at] = "0123456789abcdef"[len & 15];
    return slice_from(room + at, HTTP1_CHUNK_HEAD_MAX - at);
}

void http1_body_skip(struct http1_body *body, uint64_t n)
{
    ASSERT(body->state == RUN && n <= body->left);
    body->left -= n;
    if (body->left == 0)
        body->state = DONE;
}

int http1_body_close(const struct http1_body *body)
{
    return body->state == DONE || body->state == CLOSE ? 0 : -ECONNRESET;
}
