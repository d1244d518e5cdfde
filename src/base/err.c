/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error texts. Each text is composed in a local array first and then copied, because the arguments of a call may well
 * point into the text that the call replaces (`err_set(err, code, "%s, twice", err->text)`).
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS "…"

/* Puts "…" at the end of a full text, in front of no half UTF-8 character. */
static void mark_cut(char text[ERR_TEXT_MAX])
{
    size_t end = ERR_TEXT_MAX - sizeof(ELLIPSIS);
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, ELLIPSIS, sizeof(ELLIPSIS));
}

/* Sets "<head>" or, with a tail, "<head>: <tail>". */
PRINTF_LIKE(3, 0)
static void compose(struct err *err, const char *tail, const char *fmt, va_list args)
{
    char text[ERR_TEXT_MAX];
    int n = vsnprintf(text, sizeof(text), fmt, args);
    size_t len = n < 0 ? 0 : (size_t)n;
    text[min_size(len, sizeof(text) - 1)] = '\0';

    if (tail && len < sizeof(text)) {
        n = snprintf(text + len, sizeof(text) - len, ": %s", tail);
        len += n < 0 ? 0 : (size_t)n;
    }
    if (len >= sizeof(text))
        mark_cut(text);
    memcpy(err->text, text, sizeof(text));
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, fmt);
    compose(err, NULL, fmt, args);
    va_end(args);
    return code;
}

int err_set_errno(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    char unknown[64];
    va_list args;
    va_start(args, fmt);
    compose(err, strerror_r(-code, unknown, sizeof(unknown)), fmt, args);
    va_end(args);
    return code;
}

int err_wrap(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, fmt);
    compose(err, err->text[0] != '\0' ? err->text : NULL, fmt, args);
    va_end(args);
    return code;
}
