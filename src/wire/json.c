/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson checks all but the depth, which it limits at 2048 calls only; so the brackets are counted before. What is
 * counted in a malformed text does not matter, as jansson refuses that anyway.
 */
#include "wire/json.h"

#include <errno.h>

/* Offset of the first bracket that opens more than `depth` levels, or text.len. */
static size_t find_too_deep(struct slice text, unsigned depth)
{
    unsigned level = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{') && level++ == depth)
            return i;
        else if (!in_string && (c == ']' || c == '}') && level > 0)
            level--;
    }
    return text.len;
}

static int refuse_depth(struct slice before, unsigned depth, struct err *err)
{
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < before.len; i++) {
        bool continues = ((unsigned char)before.ptr[i] & 0xc0) == 0x80;
        column = before.ptr[i] == '\n' ? 1 : column + !continues;
        line += before.ptr[i] == '\n';
    }
    return err_set(err, -EINVAL, "line %u, column %u: nested more than %u levels deep", line, column, depth);
}

int json_parse(struct slice text, const struct json_limits *limits, json_t **ret_value, struct err *err)
{
    if (text.len > limits->n_bytes)
        return err_set(err, -EINVAL, "%zu bytes of JSON are more than the %zu that are accepted", text.len,
                       limits->n_bytes);
    size_t too_deep = find_too_deep(text, limits->depth);
    if (too_deep < text.len)
        return refuse_depth(slice_from(text.ptr, too_deep), limits->depth, err);

    json_error_t error;
    errno = 0;
    json_t *value = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &error);
    if (value) {
        *ret_value = value;
        return 0;
    }
    /* jansson reports some failed allocations as bad tokens and others not at all; malloc's errno is always there. */
    if (errno == ENOMEM || error.text[0] == '\0')
        return -ENOMEM;
    return err_set(err, -EINVAL, "line %d, column %d: %s", error.line, error.column, error.text);
}
