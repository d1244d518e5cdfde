/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of byte classes. A row per kind of byte; what is not named belongs to no class.
 */
#include "wire/chars.h"

#define PUNCT_TOKEN (CHAR_TOKEN | CHAR_VALUE | CHAR_TARGET)
#define PUNCT_OTHER (CHAR_VALUE | CHAR_TARGET)
#define ALPHA       (CHAR_TOKEN | CHAR_VALUE | CHAR_TARGET | CHAR_UNRESERVED)

const uint8_t char_classes[256] = {
    ['\t'] = CHAR_VALUE,
    [' '] = CHAR_VALUE,
    ['!'] = PUNCT_TOKEN,
    ['"'] = PUNCT_OTHER,
    ['#'] = CHAR_TOKEN | CHAR_VALUE, /* no fragment is ever sent to a server */
    ['$' ... '\''] = PUNCT_TOKEN,
    ['(' ... ')'] = PUNCT_OTHER,
    ['*' ... '+'] = PUNCT_TOKEN,
    [','] = PUNCT_OTHER,
    ['-' ... '.'] = ALPHA,
    ['/'] = PUNCT_OTHER,
    ['0' ... '9'] = ALPHA | CHAR_DIGIT | CHAR_HEX,
    [':' ... '@'] = PUNCT_OTHER,
    ['A' ... 'F'] = ALPHA | CHAR_HEX,
    ['G' ... 'Z'] = ALPHA,
    ['[' ... ']'] = PUNCT_OTHER,
    ['^'] = PUNCT_TOKEN,
    ['_'] = ALPHA,
    ['`'] = PUNCT_TOKEN,
    ['a' ... 'f'] = ALPHA | CHAR_HEX,
    ['g' ... 'z'] = ALPHA,
    ['{'] = PUNCT_OTHER,
    ['|'] = PUNCT_TOKEN,
    ['}'] = PUNCT_OTHER,
    ['~'] = ALPHA,
    [0x80 ... 0xff] = CHAR_VALUE, /* obs-text */
};
