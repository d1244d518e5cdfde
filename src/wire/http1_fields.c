/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and fields of HTTP/1 heads. One pass: each line is scanned once, its field is stored, and what the connection
 * must know of it is noted at once.
 *
 * A field that decides about framing or routing may stand once. Where RFC 9112 lets a recipient repair a message
 * (equal Content-Lengths, folded lines, bare line feeds), we refuse: two parties that repair differently are how
 * requests are smuggled.
 */
#include "wire/http1_fields.h"

#include "base/assert.h"
#include "base/util.h"
#include "wire/scan.h"

#include <errno.h>

int http1_refuse(struct http1_fault *ret_fault, uint16_t status, const char *text)
{
    *ret_fault = (struct http1_fault){.status = status, .text = text};
    return -EBADMSG;
}

size_t http1_head_end(struct slice bytes, size_t searched)
{
    ASSERT(searched <= bytes.len);
    size_t at = 0;
    while (at < bytes.len && (bytes.ptr[at] == '\r' || bytes.ptr[at] == '\n'))
        at++;
    /* The last two bytes seen before may begin what ends the head. */
    at = max_size(at, searched > 2 ? searched - 2 : 0);

    const char *end = bytes.ptr + bytes.len;
    for (const char *p = bytes.ptr + at; (p = scan_blank_line(p, end)) < end; p++) {
        if (p[1] == '\n')
            return (size_t)(p + 2 - bytes.ptr);
        if (end - p > 2 && p[2] == '\n')
            return (size_t)(p + 3 - bytes.ptr);
    }
    return 0;
}

int http1_skip_empty_lines(struct slice bytes, struct slice *ret_rest, struct http1_fault *ret_fault)
{
    for (unsigned n = 0; bytes.len > 0 && (bytes.ptr[0] == '\r' || bytes.ptr[0] == '\n'); n++) {
        if (bytes.ptr[0] == '\n')
            return http1_refuse(ret_fault, 400, "an empty line before the request ends with LF alone, not CRLF");
        if (bytes.len > 1 && bytes.ptr[1] != '\n')
            return http1_refuse(ret_fault, 400, "a CR without LF before the request");
        if (n == HTTP1_EMPTY_LINES_MAX)
            return http1_refuse(ret_fault, 400, "too many empty lines before the request");
        bytes = slice_skip(bytes, min_size(bytes.len, 2));
    }
    *ret_rest = bytes;
    return 0;
}

int http1_take_line(struct slice bytes, struct slice *ret_line, struct slice *ret_rest, struct http1_fault *ret_fault)
{
    size_t lf = slice_find(bytes, '\n');
    if (lf == bytes.len)
        return -EAGAIN;
    if (lf == 0 || bytes.ptr[lf - 1] != '\r')
        return http1_refuse(ret_fault, 400, "the first line ends with LF alone, not CRLF");
    *ret_line = slice_from(bytes.ptr, lf - 1);
    *ret_rest = slice_skip(bytes, lf + 1);
    return 0;
}

int http1_parse_version(struct slice text, uint8_t *ret_minor, struct http1_fault *ret_fault)
{
    if (slice_equal(text, SLICE_LIT("HTTP/1.1"))) {
        *ret_minor = 1;
        return 0;
    }
    if (slice_equal(text, SLICE_LIT("HTTP/1.0"))) {
        *ret_minor = 0;
        return 0;
    }
    bool valid = text.len == 8 && slice_starts_with(text, SLICE_LIT("HTTP/")) && char_is(text.ptr[5], CHAR_DIGIT) &&
                 text.ptr[6] == '.' && char_is(text.ptr[7], CHAR_DIGIT);
    if (!valid)
        return http1_refuse(ret_fault, 400, "the first line does not have HTTP/1.0 or HTTP/1.1 where it belongs");
    return http1_refuse(ret_fault, 505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here");
}

static int bad_name(const char *name, const char *stop, const char *end, struct http1_fault *ret_fault)
{
    if (char_is_blank(*name))
        return http1_refuse(ret_fault, 400, "a line begins with a blank: folded field lines are not accepted");
    if (stop == end || *stop == '\r' || *stop == '\n')
        return http1_refuse(ret_fault, 400, "a field line has no colon");
    if (*stop == ':')
        return http1_refuse(ret_fault, 400, "a field line has no name before its colon");
    if (char_is_blank(*stop))
        return http1_refuse(ret_fault, 400, "a blank in a field name or between the name and its colon");
    return http1_refuse(ret_fault, 400, "a field name has a character that is not allowed there");
}

static int bad_value(const char *stop, const char *end, struct http1_fault *ret_fault)
{
    if (stop < end && *stop == '\n')
        return http1_refuse(ret_fault, 400, "a field line ends with LF alone, not CRLF");
    if (stop < end && *stop == '\r')
        return http1_refuse(ret_fault, 400, "a CR inside a field value");
    return http1_refuse(ret_fault, 400, "a NUL or control character in a field value");
}

/* One line; *at is moved behind its CRLF. There is at least one byte, and it is neither CR nor LF. */
static int parse_field(const char **at, const char *end, struct http_field *ret_field, struct http1_fault *ret_fault)
{
    const char *name = *at;
    const char *colon = scan_token(name, end);
    if (colon == end || *colon != ':' || colon == name)
        return bad_name(name, colon, end, ret_fault);

    const char *value = colon + 1;
    while (value < end && char_is_blank(*value))
        value++;
    const char *stop = scan_value(value, end);
    if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
        return bad_value(stop, end, ret_fault);
    *at = stop + 2;

    while (stop > value && char_is_blank(stop[-1]))
        stop--;
    ret_field->name = slice_from(name, (size_t)(colon - name));
    ret_field->value = slice_from(value, (size_t)(stop - value));
    ret_field->id = http_field_find(ret_field->name);
    return 0;
}

static int note_host(struct http1_meaning *meaning, const struct http_field *field, struct http1_fault *ret_fault)
{
    if (meaning->host)
        return http1_refuse(ret_fault, 400, "more than one Host");
    if (!http_is_authority(field->value))
        return http1_refuse(ret_fault, 400, "Host is not one name or address with an optional port");
    meaning->host = field;
    return 0;
}

static int note_content_length(struct http1_meaning *meaning, const struct http_field *field,
                               struct http1_fault *ret_fault)
{
    if (meaning->content_length)
        return http1_refuse(ret_fault, 400, "more than one Content-Length");
    int r = slice_parse_u64(field->value, &meaning->length);
    if (r == -ERANGE || (r == 0 && meaning->length > INT64_MAX))
        return http1_refuse(ret_fault, 400, "Content-Length is larger than 2^63-1");
    if (r < 0)
        return http1_refuse(ret_fault, 400, "Content-Length is not one decimal number");
    meaning->content_length = field;
    return 0;
}

/* True for "gzip, chunked" and the like: a correct list that we cannot decode. */
static bool is_foreign_coding(struct slice list)
{
    if (list.len == 0 || list.ptr[list.len - 1] == ',')
        return false;
    while (list.len > 0) {
        struct slice coding;
        list = slice_split(list, ',', &coding);
        coding = slice_trim(coding);
        if (!http_is_token(coding) || slice_equal_nocase(coding, SLICE_LIT("chunked")) != (list.len == 0))
            return false;
    }
    return true;
}

static int note_transfer_encoding(struct http1_meaning *meaning, const struct http_field *field,
                                  struct http1_fault *ret_fault)
{
    if (meaning->transfer_encoding)
        return http1_refuse(ret_fault, 400, "more than one Transfer-Encoding");
    if (!slice_equal_nocase(field->value, SLICE_LIT("chunked"))) {
        if (is_foreign_coding(field->value))
            return http1_refuse(ret_fault, 501, "the only Transfer-Encoding understood is chunked");
        return http1_refuse(ret_fault, 400, "Transfer-Encoding is not exactly: chunked");
    }
    meaning->transfer_encoding = field;
    return 0;
}

static int note_connection(struct http1_meaning *meaning, const struct http_field *field, struct http1_fault *ret_fault)
{
    struct slice list = field->value;
    while (list.len > 0) {
        struct slice item;
        list = slice_split(list, ',', &item);
        item = slice_trim(item);
        if (item.len == 0)
            continue;
        if (!http_is_token(item))
            return http1_refuse(ret_fault, 400, "Connection is not a list of field names and options");
        meaning->close |= slice_equal_nocase(item, SLICE_LIT("close"));
        meaning->keep_alive |= slice_equal_nocase(item, SLICE_LIT("keep-alive"));
        meaning->upgrade |= slice_equal_nocase(item, SLICE_LIT("upgrade"));
    }
    return 0;
}

/* h2c is never switched to: it is how requests are smuggled past a gateway, and clients may start HTTP/2 right away. */
static void note_upgrade(struct http1_meaning *meaning, const struct http_field *field)
{
    struct slice list = field->value;
    while (list.len > 0) {
        struct slice item;
        list = slice_split(list, ',', &item);
        item = slice_trim(item);
        bool is_h2c = slice_equal_nocase(item, SLICE_LIT("h2c"));
        meaning->upgrade_h2c |= is_h2c;
        meaning->upgrade_protocol |= item.len > 0 && !is_h2c;
    }
}

/* "timeout=5, max=100": of interest is the first, and nothing is wrong with what we do not understand. */
static void note_keep_alive(struct http1_meaning *meaning, const struct http_field *field)
{
    const struct slice timeout = SLICE_LIT("timeout=");
    struct slice list = field->value;
    while (list.len > 0) {
        struct slice item;
        uint64_t seconds;
        list = slice_split(list, ',', &item);
        item = slice_trim(item);
        if (item.len > timeout.len && slice_equal_nocase(slice_from(item.ptr, timeout.len), timeout) &&
            slice_parse_u64(slice_skip(item, timeout.len), &seconds) == 0 && seconds <= UINT32_MAX)
            meaning->idle_timeout_s = (uint32_t)seconds;
    }
}

static int note_expect(struct http1_meaning *meaning, const struct http_field *field, struct http1_fault *ret_fault)
{
    if (!slice_equal_nocase(field->value, SLICE_LIT("100-continue")))
        return http1_refuse(ret_fault, 417, "the only expectation understood is 100-continue");
    meaning->expect_continue = true;
    return 0;
}

static int note_field(enum http1_kind kind, struct http1_meaning *meaning, const struct http_field *field,
                      struct http1_fault *ret_fault)
{
    switch (field->id) {
    case HTTP_FIELD_HOST:
        return kind == HTTP1_REQUEST ? note_host(meaning, field, ret_fault) : 0;
    case HTTP_FIELD_EXPECT:
        return kind == HTTP1_REQUEST ? note_expect(meaning, field, ret_fault) : 0;
    case HTTP_FIELD_CONTENT_LENGTH:
        return note_content_length(meaning, field, ret_fault);
    case HTTP_FIELD_TRANSFER_ENCODING:
        return note_transfer_encoding(meaning, field, ret_fault);
    case HTTP_FIELD_CONNECTION:
        return note_connection(meaning, field, ret_fault);
    case HTTP_FIELD_KEEP_ALIVE:
        note_keep_alive(meaning, field);
        return 0;
    case HTTP_FIELD_UPGRADE:
        note_upgrade(meaning, field);
        return 0;
    default:
        return 0;
    }
}

int http1_parse_fields(enum http1_kind kind, struct slice bytes, unsigned n_max, struct http_fields *fields,
                       struct http1_meaning *ret_meaning, const char **ret_end, struct http1_fault *ret_fault)
{
    const char *at = bytes.ptr;
    const char *end = bytes.ptr + bytes.len;
    n_max = (unsigned)min_size(n_max, HTTP_FIELDS_MAX);
    *ret_meaning = (struct http1_meaning){0};
    fields->n = 0;
    while (at < end && *at != '\r' && *at != '\n') {
        if (fields->n == n_max)
            return http1_refuse(ret_fault, 431, "too many fields in the head");
        struct http_field *field = &fields->items[fields->n];
        int r = parse_field(&at, end, field, ret_fault);
        if (r < 0)
            return r;
        fields->n++;
        r = kind == HTTP1_TRAILERS ? 0 : note_field(kind, ret_meaning, field, ret_fault);
        if (r < 0)
            return r;
    }
    fields->lines = slice_from(bytes.ptr, (size_t)(at - bytes.ptr));
    if (at < end && *at == '\n')
        return http1_refuse(ret_fault, 400, "the head ends with LF alone, not CRLF");
    if (end - at < 2 || at[1] != '\n')
        return http1_refuse(ret_fault, 400, "a CR without LF at the beginning of a line");
    *ret_end = at + 2;
    return 0;
}

int http1_check_meaning(const struct http1_meaning *meaning, uint8_t version_minor, struct http1_fault *ret_fault)
{
    if (meaning->transfer_encoding && meaning->content_length)
        return http1_refuse(ret_fault, 400, "both Content-Length and Transfer-Encoding");
    if (meaning->transfer_encoding && version_minor == 0)
        return http1_refuse(ret_fault, 400, "Transfer-Encoding in HTTP/1.0");
    return 0;
}

bool http1_is_keep_alive(const struct http1_meaning *meaning, uint8_t version_minor)
{
    return !meaning->close && (version_minor >= 1 || meaning->keep_alive);
}
