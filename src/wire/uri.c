/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All decoding goes through take_char, which gives one decoded byte at a time.
 */
#include "wire/uri.h"

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
