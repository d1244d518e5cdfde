/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of requests that change something: an object of known members. Strict, since what is silently not understood
 * is silently not done.
 */
#pragma once

#include "fronts/change.h"

#include <jansson.h>

/* A member that may be there. */
struct api_member {
    const char *name;
    enum { API_TEXT, API_NUMBER, API_BOOL, API_OTHER } type; /* OTHER: any value; who asked looks at it */
    int64_t min, max;                                        /* NUMBER; TEXT: its longest */
};

/*
 * Answers 415 or 413 when the head says that the body will not do. Without a content type it is taken for JSON; any
 * other type is refused, above all those that a web page can have a browser send here.
 */
bool api_body_is_welcome(struct exchange *exchange, size_t max_bytes);

/*
 * The object, of which the caller owns the reference; an empty body is an empty object. `members` ends with a NULL
 * name. False: the exchange of `change` has been answered.
 */
bool api_body_read(struct change *change, struct slice body, const struct api_member *members, json_t **ret_object);

/* What a member has; a copy of a text lives as long as the change. */
struct slice api_body_text(struct change *change, json_t *object, const char *name);
int64_t api_body_number(json_t *object, const char *name, int64_t absent);
