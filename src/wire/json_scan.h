/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the ends of JSON values that follow each other in a text that comes in pieces. Does not check them: that is
 * json_parse's. Pure.
 */
#pragma once

#include "base/slice.h"

/* One value; zero-initialised is before its beginning. */
struct json_scan {
    unsigned depth; /* of brackets */
    bool in_string, is_escaped;
    bool is_begun;    /* there was more than blanks */
    bool is_complete; /* the value has ended */
};

/*
 * How many bytes of the piece belong to the value, blanks before it included: all of them until it is complete. What is
 * no object and no array is no value that we take: it ends with its piece.
 */
size_t json_scan(struct json_scan *scan, struct slice piece);
