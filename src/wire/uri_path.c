/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearly all paths are usual ones, whose elements are simply what lies between slashes: one scan tells. The others are
 * walked element by element, as a stack: ".." pops. Elements beyond those that are wanted are only counted.
 */
#include "wire/uri_path.h"

#include "base/assert.h"
#include "base/util.h"
#include "wire/chars.h"
#include "wire/scan.h"

#include <errno.h>

static int refuse(const char *fault, const char **ret_fault)
{
    *ret_fault = fault;
    return -EINVAL;
}

static void split_usual(struct slice path, unsigned n_wanted, struct uri_path *out)
{
    const char *at = path.ptr + 1, *end = path.ptr + path.len;
    out->n = 0;
    while (at < end && out->n < n_wanted) {
        const char *stop = memchr(at, '/', (size_t)(end - at));
        if (!stop)
            stop = end;
        out->elements[out->n++] = (struct uri_path_element){slice_from(at, (size_t)(stop - at)), stop, 0};
        at = stop < end ? stop + 1 : end;
    }
}

/* Takes one byte, decoded, off the element. */
static int take_byte(struct slice *element, char *ret_byte, const char **ret_fault)
{
    bool is_encoded = element->ptr[0] == '%';
    *ret_byte = element->ptr[0];
    if (is_encoded) {
        int high = element->len > 2 ? char_hex_value(element->ptr[1]) : -1;
        int low = element->len > 2 ? char_hex_value(element->ptr[2]) : -1;
        if (high < 0 || low < 0)
            return refuse("the path has a % without two hex digits", ret_fault);
        *ret_byte = (char)(high << 4 | low);
    }
    if (*ret_byte == '/' || *ret_byte == '\\' || *ret_byte == '\0')
        return refuse("the path has an encoded slash, a backslash or a NUL", ret_fault);
    *element = slice_skip(*element, is_encoded ? 3 : 1);
    return 0;
}

/* Writes what fits of the decoded element; *ret_len is all of it. */
static int decode(struct slice element, char *room, size_t size, size_t *ret_len, const char **ret_fault)
{
    size_t n = 0;
    while (element.len > 0) {
        char byte;
        int r = take_byte(&element, &byte, ret_fault);
        if (r < 0)
            return r;
        if (n < size)
            room[n] = byte;
        n++;
    }
    *ret_len = n;
    return 0;
}

/* How much of out->decoded is taken; two bytes are always left, which is enough to tell "..". */
static size_t n_decoded(const struct uri_path *out)
{
    return out->n > 0 ? out->elements[out->n - 1].n_decoded : 0;
}

static int put_element(struct slice raw, unsigned n_wanted, struct uri_path *out, unsigned *depth,
                       const char **ret_fault)
{
    size_t used = n_decoded(out), len;
    char *room = out->decoded + used;
    int r = decode(raw, room, sizeof(out->decoded) - used, &len, ret_fault);
    if (r < 0)
        return r;
    if (len == 0 || (len == 1 && room[0] == '.'))
        return 0;
    if (len == 2 && room[0] == '.' && room[1] == '.') {
        if (*depth == 0)
            return refuse("the path climbs above its root", ret_fault);
        --*depth;
        out->n = (unsigned)min_size(out->n, *depth);
        return 0;
    }

    bool is_escaped = len < raw.len, fits = !is_escaped || used + len <= URI_PATH_DECODED_MAX;
    if (out->n == *depth && out->n < n_wanted && fits) {
        struct slice name = is_escaped ? slice_from(room, len) : raw;
        out->elements[out->n++] = (struct uri_path_element){name, raw.ptr + raw.len, is_escaped ? used + len : used};
    }
    ++*depth;
    return 0;
}

int uri_path_split(struct slice path, unsigned n_wanted, struct uri_path *ret_path, const char **ret_fault)
{
    if (path.len == 0 || path.ptr[0] != '/')
        return refuse("the path does not begin with /", ret_fault);
    n_wanted = (unsigned)min_size(n_wanted, URI_PATH_ELEMENTS_MAX);
    const char *end = path.ptr + path.len;
    if (scan_usual_path(path.ptr, end) == end) {
        split_usual(path, n_wanted, ret_path);
        return 0;
    }
    unsigned depth = 0;
    ret_path->n = 0;
    while (path.len > 0) {
        struct slice raw;
        path = slice_split(path, '/', &raw);
        int r = put_element(raw, n_wanted, ret_path, &depth, ret_fault);
        if (r < 0)
            return r;
        ASSERT(ret_path->n <= depth);
    }
    return 0;
}
