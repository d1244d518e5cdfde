/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HPACK's code is canonical: codes of one length are consecutive numbers, given to their symbols in the order of these,
 * and the shorter lengths come first. So the lengths of all symbols say everything, and appendix B's 257 lines are two
 * short tables: how many codes there are of each length, and the symbols in the order of their codes.
 *
 * A code is found by trying the lengths from the shortest: the bits of that length, less the first code of that length,
 * are an index, if small enough. What headers are made of has 5 to 8 bits, and is looked up by the next eight instead.
 */
#include "wire/hpack_huffman.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>

enum { END_OF_STRING = 256 };

static const struct {
    uint8_t bits, n_codes;
} lengths[] = {
    {5, 10}, {6, 26},  {7, 32},  {8, 6},   {10, 5},  {11, 3}, {12, 2},  {13, 6},  {14, 2},  {15, 3}, {19, 3},
    {20, 8}, {21, 13}, {22, 26}, {23, 29}, {24, 12}, {25, 4}, {26, 15}, {27, 19}, {28, 29}, {30, 4},
};

/* In the order of their codes; the last is END_OF_STRING. */
static const uint16_t symbols[] = {
    48,  49,  50,  97,  99,  101, 105, 111, 115, 116, 32,  37,  45,  46,  47,  51,  52,  53,  54,  55,  56,  57,
    61,  65,  95,  98,  100, 102, 103, 104, 108, 109, 110, 112, 114, 117, 58,  66,  67,  68,  69,  70,  71,  72,
    73,  74,  75,  76,  77,  78,  79,  80,  81,  82,  83,  84,  85,  86,  87,  89,  106, 107, 113, 118, 119, 120,
    121, 122, 38,  42,  44,  59,  88,  90,  33,  34,  40,  41,  63,  39,  43,  124, 35,  62,  0,   36,  64,  91,
    93,  126, 94,  125, 60,  96,  123, 92,  195, 208, 128, 130, 131, 162, 184, 194, 224, 226, 153, 161, 167, 172,
    176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170,
    173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1,   135, 137, 138, 139, 140, 141, 143, 147,
    149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239, 9,   142,
    144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193, 200, 201, 202, 205, 210, 213,
    218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250,
    251, 252, 253, 254, 2,   3,   4,   5,   6,   7,   8,   11,  12,  14,  15,  16,  17,  18,  19,  20,  21,  23,
    24,  25,  26,  27,  28,  29,  30,  31,  127, 220, 249, 10,  13,  22,  256};

/* What the first eight bits say when they hold a whole code; {0, 0}: the code is longer. */
static const struct {
    uint8_t symbol, bits;
} short_codes[256] = {
    [0x00 ... 0x07] = {'0', 5}, [0x08 ... 0x0f] = {'1', 5}, [0x10 ... 0x17] = {'2', 5}, [0x18 ... 0x1f] = {'a', 5},
    [0x20 ... 0x27] = {'c', 5}, [0x28 ... 0x2f] = {'e', 5}, [0x30 ... 0x37] = {'i', 5}, [0x38 ... 0x3f] = {'o', 5},
    [0x40 ... 0x47] = {'s', 5}, [0x48 ... 0x4f] = {'t', 5}, [0x50 ... 0x53] = {' ', 6}, [0x54 ... 0x57] = {'%', 6},
    [0x58 ... 0x5b] = {'-', 6}, [0x5c ... 0x5f] = {'.', 6}, [0x60 ... 0x63] = {'/', 6}, [0x64 ... 0x67] = {'3', 6},
    [0x68 ... 0x6b] = {'4', 6}, [0x6c ... 0x6f] = {'5', 6}, [0x70 ... 0x73] = {'6', 6}, [0x74 ... 0x77] = {'7', 6},
    [0x78 ... 0x7b] = {'8', 6}, [0x7c ... 0x7f] = {'9', 6}, [0x80 ... 0x83] = {'=', 6}, [0x84 ... 0x87] = {'A', 6},
    [0x88 ... 0x8b] = {'_', 6}, [0x8c ... 0x8f] = {'b', 6}, [0x90 ... 0x93] = {'d', 6}, [0x94 ... 0x97] = {'f', 6},
    [0x98 ... 0x9b] = {'g', 6}, [0x9c ... 0x9f] = {'h', 6}, [0xa0 ... 0xa3] = {'l', 6}, [0xa4 ... 0xa7] = {'m', 6},
    [0xa8 ... 0xab] = {'n', 6}, [0xac ... 0xaf] = {'p', 6}, [0xb0 ... 0xb3] = {'r', 6}, [0xb4 ... 0xb7] = {'u', 6},
    [0xb8 ... 0xb9] = {':', 7}, [0xba ... 0xbb] = {'B', 7}, [0xbc ... 0xbd] = {'C', 7}, [0xbe ... 0xbf] = {'D', 7},
    [0xc0 ... 0xc1] = {'E', 7}, [0xc2 ... 0xc3] = {'F', 7}, [0xc4 ... 0xc5] = {'G', 7}, [0xc6 ... 0xc7] = {'H', 7},
    [0xc8 ... 0xc9] = {'I', 7}, [0xca ... 0xcb] = {'J', 7}, [0xcc ... 0xcd] = {'K', 7}, [0xce ... 0xcf] = {'L', 7},
    [0xd0 ... 0xd1] = {'M', 7}, [0xd2 ... 0xd3] = {'N', 7}, [0xd4 ... 0xd5] = {'O', 7}, [0xd6 ... 0xd7] = {'P', 7},
    [0xd8 ... 0xd9] = {'Q', 7}, [0xda ... 0xdb] = {'R', 7}, [0xdc ... 0xdd] = {'S', 7}, [0xde ... 0xdf] = {'T', 7},
    [0xe0 ... 0xe1] = {'U', 7}, [0xe2 ... 0xe3] = {'V', 7}, [0xe4 ... 0xe5] = {'W', 7}, [0xe6 ... 0xe7] = {'Y', 7},
    [0xe8 ... 0xe9] = {'j', 7}, [0xea ... 0xeb] = {'k', 7}, [0xec ... 0xed] = {'q', 7}, [0xee ... 0xef] = {'v', 7},
    [0xf0 ... 0xf1] = {'w', 7}, [0xf2 ... 0xf3] = {'x', 7}, [0xf4 ... 0xf5] = {'y', 7}, [0xf6 ... 0xf7] = {'z', 7},
    [0xf8] = {'&', 8},          [0xf9] = {'*', 8},          [0xfa] = {',', 8},          [0xfb] = {';', 8},
    [0xfc] = {'X', 8},          [0xfd] = {'Z', 8}};

/* The symbol whose code `window` begins with; every row of bits begins with one. */
static unsigned find_symbol(uint64_t window, unsigned *ret_bits)
{
    const unsigned first = (unsigned)(window >> 56);
    if (short_codes[first].bits > 0) {
        *ret_bits = short_codes[first].bits;
        return short_codes[first].symbol;
    }
    uint64_t code = 0; /* the first of the length that is tried */
    unsigned n_before = 0, bits_before = 0;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        code <<= lengths[i].bits - bits_before;
        uint64_t offset = (window >> (64 - lengths[i].bits)) - code;
        if (offset < lengths[i].n_codes) {
            *ret_bits = lengths[i].bits;
            return symbols[n_before + offset];
        }
        code += lengths[i].n_codes;
        n_before += lengths[i].n_codes;
        bits_before = lengths[i].bits;
    }
    ASSERT(false);
    return END_OF_STRING;
}

int hpack_huffman_read(struct slice coded, char *room, size_t size, size_t *ret_len)
{
    uint64_t window = 0; /* the next bits, from the top */
    unsigned n_bits = 0; /* how many of them are the string's */
    size_t n_read = 0, len = 0;
    for (;;) {
        for (; n_bits <= 56 && n_read < coded.len; n_bits += 8)
            window |= (uint64_t)(uint8_t)coded.ptr[n_read++] << (56 - n_bits);
        /* What is missing behind the end is taken for ones, as the padding is. */
        uint64_t padded = n_bits < 64 ? window | UINT64_MAX >> n_bits : window;
        if (n_bits < 8 && padded == UINT64_MAX)
            break;
        unsigned bits, symbol = find_symbol(padded, &bits);
        if (bits > n_bits || symbol == END_OF_STRING)
            return -EBADMSG;
        if (len < size)
            room[len] = (char)symbol;
        len++;
        window <<= bits;
        n_bits -= bits;
    }
    *ret_len = len;
    return 0;
}
