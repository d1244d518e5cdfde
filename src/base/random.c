/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xoshiro256** by Blackman and Vigna, its state filled by splitmix64 as they recommend: seeds that differ in one bit
 * give unrelated sequences, and the state is never all zero (the one state that xoshiro cannot leave).
 */
#include "base/random.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void random_init(struct random *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix64(&seed);
}

int random_init_system(struct random *rng)
{
    uint64_t seed;
    int r = random_system(&seed, sizeof(seed));
    if (r < 0)
        return r;
    random_init(rng, seed);
    return 0;
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t random_u64(struct random *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_below(struct random *rng, uint64_t bound)
{
    ASSERT(bound > 0);
    /*
     * Lemire: the high half of a 64x64-bit product is a number below bound without a division. The lowest 2^64 mod
     * bound values of the low half would make some results more likely; they are drawn again. The division that finds
     * their number is needed only in the rare case that the low half is below bound.
     */
    unsigned __int128 product = (unsigned __int128)random_u64(rng) * bound;
    if ((uint64_t)product < bound) {
        uint64_t biased = -bound % bound;
        while ((uint64_t)product < biased)
            product = (unsigned __int128)random_u64(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

int random_system(void *ret_bytes, size_t len)
{
    unsigned char *at = ret_bytes;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}
