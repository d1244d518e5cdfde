/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distance is the number of letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
 */
#include "base/suggest.h"

#include "base/util.h"

#define WORD_MAX 63

static size_t min_of_3(size_t a, size_t b, size_t c)
{
    return min_size(min_size(a, b), c);
}

static size_t word_distance(struct slice a, struct slice b)
{
    size_t rows[3][WORD_MAX + 1]; /* of the matrix of prefixes' distances: the current row and the two above it */
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.ptr[i - 1] == b.ptr[j - 1];
            row[j] = min_of_3(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = min_size(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

void suggest_init(struct suggest *suggest, struct slice wanted)
{
    *suggest = (struct suggest){.wanted = wanted, .distance = SIZE_MAX};
}

void suggest_offer(struct suggest *suggest, const char *word)
{
    struct slice offered = slice_from_str(word);
    if (offered.len > WORD_MAX || suggest->wanted.len > WORD_MAX)
        return;
    size_t distance = word_distance(suggest->wanted, offered);
    if (distance < suggest->distance) {
        suggest->distance = distance;
        suggest->best = word;
    }
}

const char *suggest_best(const struct suggest *suggest)
{
    /* One slip in a short word, one more for each further four letters. */
    return suggest->distance <= 1 + suggest->wanted.len / 4 ? suggest->best : NULL;
}
