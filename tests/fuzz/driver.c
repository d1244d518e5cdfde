/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over its seed corpus, without a fuzzer: one test case, which holds when no input crashes, leaks or
 * hangs. The file that runs is named first, so that it stands last in the output of a crash.
 */
#include "support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The folder of the corpus, for the case, which has no argument. */
static const char *corpus;

static void run_file(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", corpus, name);
    FILE *file = fopen(path, "rb");
    expect_true(file != NULL);
    /* A copy of exactly its size, so that ASan sees a read past its end. */
    expect_int(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(size + (size == 0));
    expect_true(data != NULL);
    expect_int(fread(data, 1, size, file), size);
    fclose(file);
    printf("# %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static void every_seed_passes(void)
{
    DIR *dir = opendir(corpus);
    expect_true(dir != NULL);
    size_t n_files = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        run_file(entry->d_name);
        n_files++;
    }
    closedir(dir);
    expect_true(n_files > 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {{"every input of the seed corpus passes", every_seed_passes}};
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return EXIT_FAILURE;
    }
    corpus = argv[1];
    return test_main(cases, ARRAY_LEN(cases), 1, argv);
}
