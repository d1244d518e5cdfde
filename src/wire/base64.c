/* SPDX-License-Identifier: Apache-2.0 */
/* Three bytes are four characters; what is left over at the end is two or three, and padding to four. */
#include "wire/base64.h"

#include <errno.h>

#define INVALID 0xff

static void encode_group(const unsigned char bytes[3], char text[4])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t group = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
    for (unsigned i = 0; i < 4; i++)
        text[i] = alphabet[group >> (18 - 6 * i) & 63];
}

int base64_encode(struct slice bytes, struct buf *text)
{
    char *out;
    size_t len = (bytes.len + 2) / 3 * 4;
    int r = buf_reserve(text, len, &out);
    if (r < 0)
        return r;
    for (; bytes.len >= 3; bytes = slice_skip(bytes, 3), out += 4)
        encode_group((const unsigned char *)bytes.ptr, out);
    if (bytes.len > 0) {
        unsigned char last[3] = {0};
        memcpy(last, bytes.ptr, bytes.len);
        encode_group(last, out);
        memset(out + bytes.len + 1, '=', 3 - bytes.len);
    }
    buf_commit(text, len);
    return 0;
}

/* What the character stands for, or INVALID. */
static uint32_t value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : INVALID;
}

/* Padding is for whole groups of four only. */
static int strip_padding(struct slice *text)
{
    size_t n = 0;
    while (n < 2 && n < text->len && text->ptr[text->len - 1 - n] == '=')
        n++;
    if (n > 0 && text->len % 4 != 0)
        return -EINVAL;
    text->len -= n;
    return text->len % 4 == 1 ? -EINVAL : 0;
}

int base64_decode(struct slice text, struct buf *bytes)
{
    int r = strip_padding(&text);
    char *out;
    if (r == 0)
        r = buf_reserve(bytes, text.len / 4 * 3 + 3, &out);
    if (r < 0)
        return r;
    uint32_t group = 0;
    size_t n_out = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t value = value_of(text.ptr[i]);
        if (value == INVALID)
            return -EINVAL;
        group = group << 6 | value;
        /* From the second character of a group on, each completes a byte. */
        if (i % 4 > 0)
            out[n_out++] = (char)(group >> (6 - 2 * (i % 4)));
    }
    buf_commit(bytes, n_out);
    return 0;
}
