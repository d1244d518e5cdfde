/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON: jansson, held to what we accept from strangers. Writing is in json_writer.h.
 *
 * Strict: valid UTF-8, an object or array at the top and nothing behind it, no duplicate keys, no NUL in strings,
 * limited in size and depth. Values are jansson's; json_auto_t drops a reference at the end of a scope.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <jansson.h>

struct json_limits {
    size_t n_bytes;
    unsigned depth; /* of objects and arrays in each other */
};

/*
 * 0 and a reference that the caller owns; -EINVAL with err filled ("line 3, column 7: ..."); -ENOMEM.
 */
int json_parse(struct slice text, const struct json_limits *limits, json_t **ret_value, struct err *err);
