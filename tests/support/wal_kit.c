/* SPDX-License-Identifier: Apache-2.0 */
#include "support/wal_kit.h"

#include <errno.h>

void wal_kit_init(struct wal_kit *kit, uint64_t seed)
{
    *kit = (struct wal_kit){
        .disk = sim_disk_new(seed ^ 1),
        .options.segment_bytes = WAL_KIT_SEGMENT_BYTES,
        .random = seed,
        .from = 1,
    };
}

void wal_kit_deinit(struct wal_kit *kit)
{
    wal_close(kit->wal);
    sim_disk_free(kit->disk);
}

/* The bytes of a record, until the next call. */
static struct slice make_bytes(struct wal_kit *kit, const struct wal_kit_record *record)
{
    expect_true(record->length <= WAL_KIT_LENGTH_MAX);
    uint64_t state = record->seed;
    for (size_t i = 0; i < record->length; i += 8) {
        uint64_t word = test_random(&state);
        memcpy(kit->bytes + i, &word, 8);
    }
    return slice_from(kit->bytes, record->length);
}

static int check_record(void *ctx, uint64_t number, struct slice bytes, struct err *err)
{
    (void)err;
    struct wal_kit *kit = ctx;
    expect_int(number, kit->replay_next);
    expect_true(number <= kit->n_appended);
    kit->replay_next++;
    expect_bytes(bytes, make_bytes(kit, &kit->records[number]));
    return 0;
}

int wal_kit_open(struct wal_kit *kit)
{
    expect_true(kit->wal == NULL);
    kit->replay_next = kit->from;
    kit->torn_bytes = 0;
    int result = wal_open(sim_disk_files(kit->disk), &kit->options, kit->from, check_record, kit, &kit->wal,
                          &kit->torn_bytes, &kit->err);
    if (result < 0)
        return result;
    kit->is_relaxed = kit->options.relaxed;
    uint64_t n_present = kit->replay_next - 1;
    expect_int(wal_next(kit->wal), n_present + 1);
    if (n_present < kit->n_durable)
        test_fail(__FILE__, __LINE__, "%" PRIu64 " records are there, but %" PRIu64 " were acknowledged", n_present,
                  kit->n_durable);
    kit->n_appended = kit->n_durable = n_present;
    return 0;
}

int wal_kit_sync(struct wal_kit *kit)
{
    int result = kit->wal ? wal_sync(kit->wal, &kit->err) : 0;
    if (kit->wal && result == 0)
        kit->n_durable = wal_next(kit->wal) - 1;
    return result;
}

void wal_kit_close(struct wal_kit *kit)
{
    wal_kit_sync(kit);
    wal_close(TAKE(kit->wal));
}

int wal_kit_append(struct wal_kit *kit, size_t length)
{
    uint64_t number = wal_next(kit->wal);
    expect_true(number < WAL_KIT_RECORDS_MAX);
    struct wal_kit_record record = {.seed = test_random(&kit->random), .length = (uint32_t)length};
    make_bytes(kit, &record);
    size_t cut = test_random(&kit->random) % (length + 1);
    struct iovec iov[] = {{kit->bytes, cut}, {kit->bytes + cut, length - cut}};

    /* In the model before it is written: one whose writing failed may be found all the same. */
    kit->records[number] = record;
    kit->n_appended = number;
    int result = wal_append(kit->wal, iov, 2, &kit->err);
    if (result == -ENOSPC || result == -ENOMEM)
        kit->n_appended = number - 1;
    if (result == 0 && !kit->is_relaxed)
        kit->n_durable = number;
    expect_int(wal_next(kit->wal), result == 0 ? number + 1 : number);
    return result;
}

size_t wal_kit_length(struct wal_kit *kit)
{
    uint64_t luck = test_random(&kit->random) % 100;
    size_t limit = luck < 80 ? 200 : luck < 98 ? 6000 : 2 * WAL_KIT_SEGMENT_BYTES;
    return test_random(&kit->random) % limit;
}

void wal_kit_append_some(struct wal_kit *kit, unsigned n)
{
    while (n-- > 0)
        expect_int(wal_kit_append(kit, wal_kit_length(kit)), 0);
}

void wal_kit_forget(struct wal_kit *kit, uint64_t number)
{
    kit->from = number;
    while (wal_forget_below(kit->wal, number))
        continue;
}

void wal_kit_lose_power(struct wal_kit *kit)
{
    /* Nothing that closing does reaches the disk. */
    sim_disk_cut_power_at(kit->disk, 1);
    wal_close(TAKE(kit->wal));
    sim_disk_lose_power(kit->disk);
    if (wal_kit_open(kit) < 0)
        test_fail(__FILE__, __LINE__, "the log does not open after a loss of power: %s", kit->err.text);
}
