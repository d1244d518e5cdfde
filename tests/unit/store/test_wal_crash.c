/* SPDX-License-Identifier: Apache-2.0 */
/* The log after a loss of power at any moment, with any damage: nothing acknowledged is lost, nothing is made up. */
#include "store/local/wal_segment.h"
#include "support/wal_kit.h"

#include <errno.h>

#define FIRST_SEGMENT "0000000000000001.log"

/* Puts the first segment of `kit`, cut at `len` bytes, with zeroes or nothing behind, on a fresh disk. */
static void make_image(const struct wal_kit *kit, size_t len, bool has_zeroes, struct wal_kit *ret_image)
{
    struct slice whole = sim_disk_bytes(kit->disk, FIRST_SEGMENT);
    static char bytes[WAL_KIT_SEGMENT_BYTES];
    expect_true(whole.len <= sizeof(bytes));
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, whole.ptr, len);
    wal_kit_init(ret_image, len);
    sim_disk_put(ret_image->disk, FIRST_SEGMENT, slice_from(bytes, has_zeroes ? whole.len : len));
    memcpy(ret_image->records, kit->records, sizeof(kit->records));
    ret_image->n_appended = kit->n_appended;
}

static void every_prefix_of_a_log_is_a_log(void)
{
    static struct wal_kit kit, image;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    size_t ends[13] = {SEGMENT_HEAD_BYTES};
    for (size_t i = 1; i < ARRAY_LEN(ends); i++) {
        size_t length = test_random(&kit.random) % 300;
        ends[i] = ends[i - 1] + segment_record_bytes(length);
        expect_int(wal_kit_append(&kit, length), 0);
    }
    size_t n_whole = 0;
    size_t len = SEGMENT_HEAD_BYTES + test_random(&kit.random) % test_step();
    for (; len <= ends[12] + SEGMENT_END_BYTES; len += test_step()) {
        while (n_whole < 12 && ends[n_whole + 1] <= len)
            n_whole++;
        for (int has_zeroes = 0; has_zeroes < 2; has_zeroes++) {
            make_image(&kit, len, has_zeroes, &image);
            image.n_durable = n_whole;
            expect_int(wal_kit_open(&image), 0);
            /* One more may be whole: when nothing but zeroes was cut off. */
            expect_true(image.n_appended <= n_whole + 1);
            expect_true(image.torn_bytes > 0 || image.n_appended > n_whole ||
                        len >= ends[n_whole] + SEGMENT_END_BYTES - 8);
            wal_kit_append_some(&image, 2);
            wal_kit_close(&image);
            expect_int(wal_kit_open(&image), 0);
            expect_int(image.torn_bytes, 0);
            wal_kit_deinit(&image);
        }
    }
    /* A head is on the disk before its segment has a name: less than a head is damage. Its last byte alone may be 0. */
    make_image(&kit, SEGMENT_HEAD_BYTES - 4, true, &image);
    expect_int(wal_kit_open(&image), -EBADMSG);
    wal_kit_deinit(&image);
    wal_kit_deinit(&kit);
}

/* A life with everything in it. Ends early when the power goes. */
static void live(struct wal_kit *kit)
{
    for (int life = 0; life < 3 && sim_disk_has_power(kit->disk); life++) {
        if (wal_kit_open(kit) < 0)
            return;
        for (int i = 0; i < 30 && sim_disk_has_power(kit->disk); i++) {
            if (wal_kit_append(kit, wal_kit_length(kit)) == 0 && i % 10 == 0)
                (void)wal_kit_sync(kit);
            if (i == 20 && kit->n_durable > 25)
                wal_kit_forget(kit, kit->n_durable - 20);
        }
        wal_kit_close(kit);
    }
}

static void lose_power_at_every_change(uint64_t seed, bool is_relaxed)
{
    static struct wal_kit kit;
    bool was_cut = true;
    for (uint64_t n = 1; was_cut; n++) {
        wal_kit_init(&kit, seed);
        kit.options.relaxed = is_relaxed;
        sim_disk_cut_power_at(kit.disk, n);
        live(&kit);
        was_cut = !sim_disk_has_power(kit.disk);
        wal_kit_lose_power(&kit);
        wal_kit_append_some(&kit, 5);
        wal_kit_close(&kit);
        if (wal_kit_open(&kit) < 0)
            test_fail(__FILE__, __LINE__, "cut at change %" PRIu64 ": %s", n, kit.err.text);
        expect_int(kit.torn_bytes, 0);
        wal_kit_deinit(&kit);
    }
}

static void power_may_go_at_every_change(void)
{
    uint64_t seed = test_seed();
    for (unsigned n = test_rounds(10); n > 0; n--)
        lose_power_at_every_change(test_random(&seed), false);
}

static void power_may_go_at_every_change_when_relaxed(void)
{
    uint64_t seed = test_seed();
    for (unsigned n = test_rounds(10); n > 0; n--)
        lose_power_at_every_change(test_random(&seed), true);
}

/*
 * Records of one length in segments that are used again and again: after a loss of power old records stand exactly
 * where new ones would.
 */
static void old_records_never_pass_for_new_ones(void)
{
    static struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 40; i++)
            expect_int(wal_kit_append(&kit, 1000), 0);
        wal_kit_forget(&kit, wal_next(kit.wal) - 5);
        if (wal_next(kit.wal) > WAL_KIT_RECORDS_MAX - 50)
            break;
        expect_int(wal_kit_sync(&kit), 0);
        if (round % 3 == 0)
            expect_int(wal_kit_append(&kit, 1000), 0);
        kit.options.relaxed = round % 2 == 0; /* from the next opening on */
        wal_kit_lose_power(&kit);
    }
    wal_kit_deinit(&kit);
}

/* After a clean stop the last record is protected too: a flipped bit is refused, or it does not matter. */
static void a_flipped_bit_never_goes_unseen_after_a_clean_stop(void)
{
    static struct wal_kit kit;
    uint64_t seed = test_seed();
    for (unsigned n = test_rounds(400); n > 0; n--) {
        wal_kit_init(&kit, test_random(&seed));
        expect_int(wal_kit_open(&kit), 0);
        wal_kit_append_some(&kit, 25);
        wal_kit_close(&kit);
        size_t n_segments = 0;
        while (sim_disk_name(kit.disk, ".log", n_segments))
            n_segments++;
        expect_true(n_segments > 0);
        for (int flip = 0; flip < 20; flip++) {
            const char *name = sim_disk_name(kit.disk, ".log", test_random(&seed) % n_segments);
            uint64_t bit = test_random(&seed) % (8 * sim_disk_bytes(kit.disk, name).len);
            sim_disk_flip(kit.disk, name, bit);
            int result = wal_kit_open(&kit);
            expect_true(result == 0 || result == -EBADMSG);
            expect_int(kit.n_appended, 25);
            wal_close(TAKE(kit.wal));
            sim_disk_flip(kit.disk, name, bit);
        }
        wal_kit_deinit(&kit);
    }
}

/* Without one, damage to the last record looks like a torn tail, which is told. */
static void a_flipped_bit_never_goes_unseen_after_a_crash(void)
{
    static struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int i = 0; i < 20; i++)
        expect_int(wal_kit_append(&kit, 100), 0);
    uint64_t end = SEGMENT_HEAD_BYTES + 20 * segment_record_bytes(100) + SEGMENT_END_BYTES;
    sim_disk_cut_power_at(kit.disk, 1);
    wal_close(TAKE(kit.wal));
    sim_disk_lose_power(kit.disk);
    for (uint64_t bit = test_random(&kit.random) % test_step(); bit < 8 * end; bit += test_step()) {
        sim_disk_flip(kit.disk, FIRST_SEGMENT, bit);
        kit.n_durable = 19;
        kit.n_appended = 20;
        int result = wal_kit_open(&kit);
        expect_true(result == -EBADMSG || (result == 0 && (kit.n_appended == 20 || kit.torn_bytes > 0)));
        wal_close(TAKE(kit.wal));
        sim_disk_flip(kit.disk, FIRST_SEGMENT, bit);
    }
    wal_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"every prefix of a log is a log", every_prefix_of_a_log_is_a_log},
    {"the power may go at every change of the disk", power_may_go_at_every_change},
    {"the power may go at every change of the disk under a relaxed log", power_may_go_at_every_change_when_relaxed},
    {"old records of a recycled segment never pass for new ones", old_records_never_pass_for_new_ones},
    {"a flipped bit never goes unseen after a clean stop", a_flipped_bit_never_goes_unseen_after_a_clean_stop},
    {"a flipped bit never goes unseen after a crash", a_flipped_bit_never_goes_unseen_after_a_crash},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
