/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the lines of the access log go: each worker puts whole lines into a lane of its own, without a lock or a system
 * call for each; a thread writes what is in the lanes, in batches. Who writes slowly (a full disk, a pipe that nobody
 * reads) costs lines, which are counted, and never a request.
 *
 * Lines of one worker stay in order, those of different ones mix.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "io/loop.h"

/* Lines that wait in one lane, at most. */
#define ACCESS_LANE_BYTES ((size_t)1 << 18)

struct access_log;

/* Nothing is written before access_log_open. log: where it is told when writing fails. 0 or -ENOMEM. */
int access_log_new(unsigned n_lanes, struct log *log, struct access_log **ret_access_log);
/* Writes what is there, as far as that goes within a second; no worker runs. Accepts NULL. */
void access_log_free(struct access_log *access_log);

/*
 * Main thread: lines go to this file from now on, which is opened anew even if it is the same; "-" is standard output.
 * Starts the thread at the first time. 0, or -errno with the reason in err; then all is as before.
 */
int access_log_open(struct access_log *access_log, const char *path, struct err *err);

/* The lane's worker: before its first line, and when it stops. */
void access_log_start_lane(struct access_log *access_log, unsigned lane, struct loop *loop);
void access_log_stop_lane(struct access_log *access_log, unsigned lane);

/* The lane's worker. A line in pieces, newline and all; dropped when it does not fit. */
void access_log_write(struct access_log *access_log, unsigned lane, const struct slice *pieces, unsigned n_pieces);

/* Lines that were dropped or could not be written. Any thread. */
uint64_t access_log_n_dropped(const struct access_log *access_log);
