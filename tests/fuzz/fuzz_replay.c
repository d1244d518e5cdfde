/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries as if their checksums had been right: a snapshot, then a log, as a restart reads them. Either they fit each
 * other, or they are refused with words. The first byte says how long the snapshot is.
 */
#include "base/assert.h"
#include "store/local/local_priv.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_all(struct replay *replay, struct slice bytes)
{
    struct err err = {0};
    int result = 0;
    while (result == 0 && !slice_is_empty(bytes)) {
        struct record_entry entry;
        if (record_read(&bytes, &entry) < 0)
            return -EBADMSG;
        result = local_replay_entry(replay, &entry, &err);
    }
    if (result == 0)
        result = local_replay_end(replay, &err);
    ASSERT(result == 0 || ((result == -EBADMSG || result == -ENOMEM) && err.text[0]));
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t len = min_size(data[0], size - 1);
    struct rcu_domain rcu;
    struct local local = {.rcu = &rcu};
    rcu_init(&rcu);
    local_options_init(&local.options);
    if (local_parts_new(&local, 0) == 0) {
        struct replay replay = {.local = &local, .is_snapshot = true};
        int result = replay_all(&replay, slice_from(data + 1, len));
        replay.is_snapshot = false;
        if (result == 0)
            (void)replay_all(&replay, slice_from(data + 1 + len, size - 1 - len));
    }
    local_parts_free(&local);
    rcu_deinit(&rcu);
    return 0;
}
