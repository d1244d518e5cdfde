/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All decoding goes through take_char, which gives one decoded byte at a time.
 */
#include "wire/uri.h"

#include "base/assert.h"
#include "wire/chars.h"

#include <errno.h>

/* Takes one byte, decoded, off the text, which is not empty. 0; or -EINVAL for a bad escape. */
static int take_char(struct slice *text, char *ret_char, bool *ret_was_encoded)
{
    *ret_was_encoded = text->ptr[0] == '%';
    *ret_char = text->ptr[0];
    if (*ret_was_encoded) {
        int high = text->len > 2 ? char_hex_value(text->ptr[1]) : -1;
        int low = text->len > 2 ? char_hex_value(text->ptr[2]) : -1;
        if (high < 0 || low < 0)
            return -EINVAL;
        *ret_char = (char)(high << 4 | low);
    }
    *text = slice_skip(*text, *ret_was_encoded ? 3 : 1);
    return 0;
}

static int decode(struct slice text, bool plus_is_blank, struct buf *out)
{
    char *room;
    int r = buf_reserve(out, text.len, &room);
    if (r < 0)
        return r;
    size_t n = 0;
    while (text.len > 0) {
        bool was_encoded;
        r = take_char(&text, &room[n], &was_encoded);
        if (r < 0)
            return r;
        if (plus_is_blank && !was_encoded && room[n] == '+')
            room[n] = ' ';
        n++;
    }
    buf_commit(out, n);
    return 0;
}

int uri_decode(struct slice text, struct buf *out)
{
    return decode(text, false, out);
}

bool uri_query_next(struct slice *query, struct uri_param *ret_param)
{
    while (query->len > 0) {
        struct slice item;
        *query = slice_split(*query, '&', &item);
        if (item.len == 0)
            continue;
        ret_param->value = slice_split(item, '=', &ret_param->name);
        return true;
    }
    return false;
}

static bool is_named(struct slice encoded, struct slice name)
{
    for (; encoded.len > 0 && name.len > 0; name = slice_skip(name, 1)) {
        char c;
        bool was_encoded;
        if (take_char(&encoded, &c, &was_encoded) < 0)
            return false;
        if (c == '+' && !was_encoded)
            c = ' ';
        if (c != name.ptr[0])
            return false;
    }
    return encoded.len == 0 && name.len == 0;
}

int uri_query_get(struct slice query, struct slice name, struct buf *out)
{
    struct uri_param param;
    while (uri_query_next(&query, &param))
        if (is_named(param.name, name))
            return decode(param.value, true, out);
    return URI_ABSENT;
}

/* True when normalising may change something or refuse. */
static bool is_unusual(struct slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (c == '%' || c == '\\' || c == '\0' || (i > 0 && path.ptr[i - 1] == '/' && (c == '/' || c == '.')))
            return true;
    }
    return false;
}

static size_t put_escape(char *room, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    room[0] = '%';
    room[1] = digits[(unsigned char)c >> 4];
    room[2] = digits[(unsigned char)c & 15];
    return 3;
}

/* Writes one segment in its normal spelling, never longer than it was. */
static int put_segment(struct slice segment, enum uri_encoded encoded, char *room, size_t *ret_len)
{
    size_t n = 0;
    while (segment.len > 0) {
        char c;
        bool was_encoded;
        if (take_char(&segment, &c, &was_encoded) < 0)
            return -EINVAL;
        bool is_ambiguous = c == '/' || c == '\\' || c == '\0';
        if (is_ambiguous && (!was_encoded || encoded == URI_ENCODED_REFUSE))
            return -EINVAL;
        if (was_encoded && !char_is(c, CHAR_UNRESERVED))
            n += put_escape(room + n, c);
        else
            room[n++] = c;
    }
    *ret_len = n;
    return 0;
}

/* Drops the last segment of "/a/b/". */
static int drop_last(const char *room, size_t *len)
{
    if (*len == 1)
        return -EINVAL;
    do
        --*len;
    while (room[*len - 1] != '/');
    return 0;
}

/* The result ends with '/' between the steps, ready for the next segment. */
static int put_path(struct slice path, enum uri_encoded encoded, char *room, size_t *ret_len)
{
    size_t len = 1;
    room[0] = '/';
    for (path = slice_skip(path, 1); path.len > 0;) {
        struct slice segment, rest = slice_split(path, '/', &segment);
        bool has_slash = segment.len < path.len;
        size_t n;
        int r = put_segment(segment, encoded, room + len, &n);
        if (r < 0)
            return r;
        struct slice put = slice_from(room + len, n);
        if (slice_equal(put, SLICE_LIT(".."))) {
            r = drop_last(room, &len);
            if (r < 0)
                return r;
        } else if (n > 0 && !slice_equal(put, SLICE_LIT("."))) {
            len += n;
            if (has_slash)
                room[len++] = '/';
        }
        path = rest;
    }
    *ret_len = len;
    return 0;
}

int uri_path_normalise(struct slice path, enum uri_encoded encoded, struct buf *scratch, struct slice *ret_path)
{
    if (path.len == 0 || path.ptr[0] != '/' || !is_unusual(path)) {
        *ret_path = path;
        return 0;
    }
    char *room;
    size_t len;
    int r = buf_reserve(scratch, path.len, &room);
    if (r < 0)
        return r;
    r = put_path(path, encoded, room, &len);
    if (r < 0)
        return r;
    ASSERT(len <= path.len);
    buf_commit(scratch, len);
    *ret_path = slice_from(room, len);
    return 0;
}
