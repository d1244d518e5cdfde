/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/random.h"
#include "support/test.h"

/*
 * Key 00 01 .. 0f over the bytes 00 01 .. len-1, as in the paper's appendix; the values are OpenSSL's for 1-3 rounds.
 */
static void gives_the_published_values(void)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } rows[] = {
        {0, 0xabac0158050fc4dc},  {1, 0xc9f49bf37d57ca93},  {7, 0xd3927d989bb11140},  {8, 0x369095118d299a8e},
        {15, 0xd320d86d2a519956}, {16, 0xcc4fdd1a7d908b66}, {63, 0x9d199062b7bbb3a8},
    };
    const struct hash_key key = {.k0 = 0x0706050403020100, .k1 = 0x0f0e0d0c0b0a0908};
    char bytes[64];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_true(hash_bytes(&key, slice_from(bytes, rows[i].len)) == rows[i].hash);
}

static void reads_unaligned_bytes(void)
{
    const struct hash_key key = {1, 2};
    char bytes[32] = "x0123456789abcdef";
    expect_true(hash_bytes(&key, slice_from(bytes + 1, 16)) == hash_bytes(&key, SLICE_LIT("0123456789abcdef")));
}

static void differs_by_key(void)
{
    struct hash_key one, two;
    expect_int(random_system(&one, sizeof(one)), 0);
    expect_int(random_system(&two, sizeof(two)), 0);
    expect_true(hash_bytes(&one, SLICE_LIT("web")) != hash_bytes(&two, SLICE_LIT("web")));
}

static void hashes_nothing(void)
{
    const struct hash_key key = {1, 2};
    expect_true(hash_bytes(&key, slice_from(NULL, 0)) == hash_bytes(&key, SLICE_LIT("")));
}

static const struct test_case cases[] = {
    {"the published values come out", gives_the_published_values},
    {"unaligned bytes are read", reads_unaligned_bytes},
    {"another key gives another hash", differs_by_key},
    {"the empty slice has a hash", hashes_nothing},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
