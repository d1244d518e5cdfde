/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a path. What is accepted has elements that nobody takes for something else, and the path that is spelt
 * from them, with each byte escaped, has the same ones. Fewer wanted are the first of more.
 */
#include "wire/uri_path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_element(struct slice path, const struct uri_path_element *element)
{
    struct slice name = element->name;
    if (name.len == 0 || slice_equal_str(name, ".") || slice_equal_str(name, ".."))
        abort();
    if (slice_find(name, '/') < name.len || slice_find(name, '\\') < name.len || slice_find(name, '\0') < name.len)
        abort();
    if (element->end <= path.ptr || element->end > path.ptr + path.len)
        abort();
}

static size_t spell(const struct uri_path *split, char *room)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    for (unsigned i = 0; i < split->n; i++) {
        struct slice name = split->elements[i].name;
        room[n++] = '/';
        for (size_t k = 0; k < name.len; k++) {
            unsigned char byte = (unsigned char)name.ptr[k];
            room[n++] = '%';
            room[n++] = digits[byte >> 4];
            room[n++] = digits[byte & 15];
        }
    }
    return n;
}

static void check_same(const struct uri_path *a, const struct uri_path *b, unsigned n)
{
    if (b->n != n)
        abort();
    for (unsigned i = 0; i < n; i++) {
        if (!slice_equal(a->elements[i].name, b->elements[i].name))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice path = slice_from(data, size);
    struct uri_path split, again;
    const char *fault;
    if (uri_path_split(path, URI_PATH_ELEMENTS_MAX, &split, &fault) < 0)
        return fault ? 0 : 1;
    for (unsigned i = 0; i < split.n; i++)
        check_element(path, &split.elements[i]);
    if (uri_path_split(path, 1, &again, &fault) < 0)
        abort();
    check_same(&split, &again, split.n > 0);

    char room[3 * URI_PATH_DECODED_MAX + URI_PATH_ELEMENTS_MAX];
    if (split.n == 0 || size > URI_PATH_DECODED_MAX)
        return 0;
    if (uri_path_split(slice_from(room, spell(&split, room)), URI_PATH_ELEMENTS_MAX, &again, &fault) < 0)
        abort();
    check_same(&split, &again, split.n);
    return 0;
}
