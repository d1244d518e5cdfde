/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, in words for a person.
 *
 * Functions return negative errno values for programs. Where a person must read the reason too, the caller hands down a
 * struct err (on its stack); the function that first sees the failure fills it, callers may put context in front, and
 * the daemon or the command line prints it once. Every function accepts a NULL err. Never allocates.
 */
#pragma once

#include "base/util.h"

#define ERR_TEXT_MAX 512

struct err {
    char text[ERR_TEXT_MAX]; /* NUL-terminated, "" when nothing was set; cut with "…" when too long */
};

/* Sets the text and returns `code`, so that `return err_set(err, -EINVAL, …)` reads well. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with ": <text of errno>" appended for the errno in -code. */
int err_set_errno(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "<context>: " in front of the text and returns `code`. */
int err_wrap(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
