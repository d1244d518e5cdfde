/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Space on the disk for the log, made ready by a thread of its own when the log has none ahead. Where the disk has no
 * room for that, the log helps itself to less, and this is tried again later.
 */
#include "base/assert.h"
#include "keeper/keeper_priv.h"

#define RETRY_NS (60 * NSEC_PER_SEC)

static void *space_main(void *arg)
{
    struct keeper *keeper = arg;
    wal_spare_make(&keeper->spare);
    loop_post(keeper->loop, &keeper->spare_mail);
    return NULL;
}

bool keeper_wants_space(const struct keeper *keeper)
{
    return !keeper->is_making_space && !keeper->is_stopping && local_wants_spare(keeper->local) &&
           loop_now(keeper->loop) >= keeper->space_retry_ns;
}

void keeper_begin_space(struct keeper *keeper)
{
    ASSERT(keeper->log_state == LOG_RESTS && !keeper->is_making_space);
    local_spare_begin(keeper->local, &keeper->spare);
    keeper->is_making_space = pthread_create(&keeper->space_thread, NULL, space_main, keeper) == 0;
    keeper->space_retry_ns = keeper->is_making_space ? 0 : loop_now(keeper->loop) + RETRY_NS;
}

void keeper_end_space(struct keeper *keeper)
{
    pthread_join(keeper->space_thread, NULL);
    local_spare_end(keeper->local, &keeper->spare);
    keeper->is_making_space = keeper->space_is_made = false;
    if (keeper->spare.result < 0)
        keeper->space_retry_ns = loop_now(keeper->loop) + RETRY_NS;
}
