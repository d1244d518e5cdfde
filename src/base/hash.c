/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) with one round per 8-byte word and three at
 * the end. The authors' default is 2-4; 1-3 is the variant that they name for hash tables, where an attacker sees no
 * hash value, and costs half on short keys. Numbers in comments are sections of the paper.
 */
#include "base/hash.h"

#include <endian.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* 2.4, figure 2.1 */
static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

/* 2.2: the last word is the 0 to 7 bytes that are left, little-endian, with the length modulo 256 on top. */
static inline uint64_t last_word(const char *rest, size_t len)
{
    uint64_t word = (uint64_t)len << 56;
    for (size_t i = 0; i < len % 8; i++)
        word |= (uint64_t)(unsigned char)rest[i] << (8 * i);
    return word;
}

uint64_t hash_bytes(const struct hash_key *key, struct slice bytes)
{
    /* 2.1: the constants are "somepseudorandomlygeneratedbytes". */
    struct sip s = {
        .v0 = key->k0 ^ 0x736f6d6570736575,
        .v1 = key->k1 ^ 0x646f72616e646f6d,
        .v2 = key->k0 ^ 0x6c7967656e657261,
        .v3 = key->k1 ^ 0x7465646279746573,
    };

    const char *at = bytes.ptr;
    for (size_t words = bytes.len / 8; words > 0; words--, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        sip_word(&s, le64toh(word));
    }
    sip_word(&s, last_word(at, bytes.len));

    /* 2.3 */
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_pair(const struct hash_key *key, struct slice first, struct slice second)
{
    return hash_bytes(key, first) ^ (hash_bytes(key, second) << 1);
}
