/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escapes and queries of request targets; their paths are uri_path.h's. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

/*
 * Appends `text` with each %XX decoded. 0; -EINVAL for a '%' without two hex digits; -ENOMEM, -EMSGSIZE from the buf.
 * After an error what was appended is of no use.
 */
int uri_decode(struct slice text, struct buf *out);

/* One name=value of a query, still encoded; the value is empty without '='. */
struct uri_param {
    struct slice name, value;
};

/* Takes the first parameter off *query; false when there is none left. Empty ones ("a=1&&b=2") are skipped. */
bool uri_query_next(struct slice *query, struct uri_param *ret_param);

/*
 * Appends the decoded value of the first parameter with that (decoded) name; in queries '+' is a blank.
 * 0; URI_ABSENT when there is none; -EINVAL when its value is badly encoded; -ENOMEM, -EMSGSIZE from the buf.
 */
enum { URI_ABSENT = 1 };
int uri_query_get(struct slice query, struct slice name, struct buf *out);
