/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_scan.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void scan_in_string(struct json_scan *scan, char c)
{
    if (scan->is_escaped)
        scan->is_escaped = false;
    else if (c == '\\')
        scan->is_escaped = true;
    else if (c == '"')
        scan->in_string = false;
}

static void scan_outside(struct json_scan *scan, char c)
{
    if (c == '"')
        scan->in_string = true;
    else if (c == '{' || c == '[')
        scan->depth++;
    else if (c == '}' || c == ']')
        scan->is_complete = --scan->depth == 0;
}

size_t json_scan(struct json_scan *scan, struct slice piece)
{
    size_t i = 0;
    while (!scan->is_begun && i < piece.len && is_blank(piece.ptr[i]))
        i++;
    if (!scan->is_begun && i < piece.len) {
        scan->is_begun = true;
        scan->is_complete = piece.ptr[i] != '{' && piece.ptr[i] != '[';
        if (scan->is_complete)
            return piece.len;
    }
    for (; i < piece.len && !scan->is_complete; i++) {
        if (scan->in_string)
            scan_in_string(scan, piece.ptr[i]);
        else
            scan_outside(scan, piece.ptr[i]);
    }
    return i;
}
