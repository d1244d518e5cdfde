/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of a request target, taken apart to route by: its elements, percent-decoded. Empty ones and "." are left
 * out, ".." takes back the one before it, so all spellings of a path give the same elements. The path itself is not
 * changed: it is what is passed on. Pure; allocates nothing.
 */
#pragma once

#include "base/slice.h"

#define URI_PATH_ELEMENTS_MAX 32
#define URI_PATH_DECODED_MAX  1024

struct uri_path_element {
    struct slice name; /* decoded: part of the path or, when that has escapes, of uri_path.decoded */
    const char *end;   /* where it ends in the path */
    size_t n_decoded;  /* how much of uri_path.decoded is in use up to and with it */
};

struct uri_path {
    unsigned n; /* the first elements of the path */
    struct uri_path_element elements[URI_PATH_ELEMENTS_MAX];
    char decoded[URI_PATH_DECODED_MAX + 2];
};

/*
 * Looks at the whole path and gives its first elements: at most n_wanted and URI_PATH_ELEMENTS_MAX, and none from the
 * one on with which decoded ones would be more than URI_PATH_DECODED_MAX bytes. They are valid as long as path and
 * *ret_path. 0; -EINVAL with words in *ret_fault for what does not begin with '/', for a '%' without two hex digits,
 * for a '\' or NUL, encoded or not, and an encoded '/' (two readers may see two paths in them), and for ".." above the
 * root.
 */
int uri_path_split(struct slice path, unsigned n_wanted, struct uri_path *ret_path, const char **ret_fault);
