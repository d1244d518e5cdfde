/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"
#include "support/test.h"

typedef uint32_t (*crc_fn)(uint32_t before, struct slice bytes);

/* The instruction's, where there is one, and the table's. */
static const crc_fn ways[] = {crc32c, crc32c_portable};

static void gives_the_published_values(void)
{
    char zeroes[32] = {0}, ones[32], rising[32];
    for (int i = 0; i < 32; i++) {
        ones[i] = (char)0xff;
        rising[i] = (char)i;
    }
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        expect_int(ways[i](0, SLICE_LIT("")), 0);
        expect_int(ways[i](0, SLICE_LIT("123456789")), 0xe3069283);
        /* RFC 3720, B.4 */
        expect_int(ways[i](0, slice_from(zeroes, 32)), 0x8a9136aa);
        expect_int(ways[i](0, slice_from(ones, 32)), 0x62a8ab43);
        expect_int(ways[i](0, slice_from(rising, 32)), 0x46dd794e);
    }
}

static void pieces_give_what_the_whole_gives(void)
{
    uint64_t state = test_seed();
    char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)test_random(&state);
    for (int round = 0; round < 2000; round++) {
        size_t begin = test_random(&state) % 16, end = begin + test_random(&state) % (sizeof(bytes) - begin);
        size_t cut = begin + test_random(&state) % (end - begin + 1);
        uint32_t salt = (uint32_t)test_random(&state);
        uint32_t whole = crc32c_portable(salt, slice_from(bytes + begin, end - begin));
        for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
            uint32_t first = ways[i](salt, slice_from(bytes + begin, cut - begin));
            expect_int(ways[i](first, slice_from(bytes + cut, end - cut)), whole);
        }
    }
}

static void a_flipped_bit_shows(void)
{
    char bytes[64] = "some bytes that are kept on a disk";
    uint32_t whole = crc32c(7, slice_from(bytes, sizeof(bytes)));
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        expect_true(crc32c(7, slice_from(bytes, sizeof(bytes))) != whole);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    expect_true(crc32c(8, slice_from(bytes, sizeof(bytes))) != whole);
}

static const struct test_case cases[] = {
    {"gives the published values", gives_the_published_values},
    {"pieces give what the whole gives", pieces_give_what_the_whole_gives},
    {"a flipped bit or another salt shows", a_flipped_bit_shows},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
