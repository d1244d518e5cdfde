/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON that registers an instance, from what the program says about it, or tells a result of its check. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "muster.h"

/*
 * Appends the body of the PUT; session "" when the registration is not held. 0; -EINVAL with words; errors of the buf
 * are sticky.
 */
int registration_write(struct buf *body, const struct muster_register_options *options, const char *session,
                       struct err *err);

void registration_write_report(struct buf *body, int passing, const char *output);
