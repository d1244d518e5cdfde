/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>

static void pieces_are_zeroed_aligned_and_apart(void)
{
    struct arena arena = {0};
    char *pieces[200];
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        size_t n_bytes = 1 + i * 7;
        pieces[i] = arena_alloc(&arena, n_bytes);
        expect_int((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < n_bytes; k++)
            expect_int(pieces[i][k], 0);
        memset(pieces[i], (int)i + 1, n_bytes);
    }
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        expect_int(pieces[i][i * 7], (char)(i + 1));
    arena_deinit(&arena);
}

static void a_large_piece_gets_a_block_of_its_own(void)
{
    struct arena arena = {0};
    enum { LARGE = 300 * 1000 };
    char *large = arena_alloc(&arena, LARGE);
    memset(large, 'x', LARGE);
    expect_true(arena_alloc(&arena, 1) != NULL);
    expect_int(large[LARGE - 1], 'x');
    expect_true(arena_alloc(&arena, SIZE_MAX) == NULL);
    arena_deinit(&arena);
}

static void lent_memory_is_used_first(void)
{
    alignas(max_align_t) char memory[64];
    struct arena arena = {0};
    memset(memory, 'x', sizeof(memory));
    arena_lend(&arena, memory, sizeof(memory));
    char *first = arena_alloc(&arena, 40); /* 48, rounded up */
    expect_true(first == memory);
    expect_int(first[39], 0);
    char *second = arena_alloc(&arena, 17); /* there are but 16 left */
    expect_true(second < memory || second >= memory + sizeof(memory));
    expect_true(arena_alloc(&arena, 16) == memory + 48);
    arena_deinit(&arena);
    expect_true(arena_alloc(&arena, 16) != memory); /* no more lent */
    arena_deinit(&arena);
}

static void slices_are_copied(void)
{
    struct arena arena = {0};
    struct slice copy;
    expect_int(arena_copy(&arena, SLICE_LIT("hello"), &copy), 0);
    expect_slice(copy, "hello");
    expect_int(arena_copy(&arena, (struct slice){0}, &copy), 0);
    expect_int(copy.len, 0);
    arena_deinit(&arena);
}

static int fill(void *arg)
{
    (void)arg;
    struct arena arena = {0};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < 100; i++)
        r = arena_alloc(&arena, 100) ? 0 : -ENOMEM;
    arena_deinit(&arena);
    return r;
}

static void lack_of_memory_is_told(void)
{
    expect_true(fault_alloc_sweep(fill, NULL) > 3);
}

static const struct test_case cases[] = {
    {"pieces are zeroed, aligned and apart", pieces_are_zeroed_aligned_and_apart},
    {"a large piece gets a block of its own", a_large_piece_gets_a_block_of_its_own},
    {"lent memory is used first, once", lent_memory_is_used_first},
    {"slices are copied", slices_are_copied},
    {"lack of memory is told", lack_of_memory_is_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
