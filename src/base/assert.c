/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a program that found itself wrong. The line is built in an array on the stack and leaves by one plain
 * write(2): no allocation, no stdio lock, since the heap or a lock may be what is broken.
 */
#include "base/assert.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

struct line {
    char text[512];
    size_t len;
};

static void put_str(struct line *line, const char *str)
{
    while (*str && line->len < sizeof(line->text) - 1)
        line->text[line->len++] = *str++;
}

static void put_number(struct line *line, unsigned number)
{
    char digits[12];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_str(line, digits + at);
}

_Noreturn void assert_fail(const char *file, int line, const char *func, const char *what)
{
    struct line out = {.len = 0};
    put_str(&out, "muster: bug: ");
    put_str(&out, file);
    put_str(&out, ":");
    put_number(&out, (unsigned)line);
    put_str(&out, ": ");
    put_str(&out, func);
    put_str(&out, ": `");
    put_str(&out, what);
    put_str(&out, "' does not hold");
    out.text[out.len++] = '\n'; /* put_str leaves room for it even when a long condition was cut */
    /* Nothing can be done about a failing write; the abort says the rest. */
    ssize_t ignored = write(STDERR_FILENO, out.text, out.len);
    (void)ignored;
    abort();
}
