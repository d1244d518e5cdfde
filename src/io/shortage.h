/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said when a connection needs a descriptor and there is none, by the limit of the process (EMFILE) or of the
 * system (ENFILE): it is counted, and the log tells of it at once and then now and then, with what to do about it.
 *
 * One for the process. Any thread.
 */
#pragma once

#include "base/log.h"
#include "base/metrics.h"

struct shortage;

/* The log may be NULL. 0 or -ENOMEM. */
int shortage_new(struct log *log, struct shortage **ret_shortage);
void shortage_free(struct shortage *shortage); /* accepts NULL */

/* 0 or what registering returned. The shortage must outlive the metrics. */
int shortage_register_metrics(struct shortage *shortage, struct metrics *metrics);

/* error: -EMFILE or -ENFILE. These accept NULL. */
void shortage_of_accept(struct shortage *shortage, int error, unsigned n_closed, nsec_t now_ns);
void shortage_of_connect(struct shortage *shortage, int error, nsec_t now_ns);
