/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include "support/test.h"

static const char *nearest(const char *wanted)
{
    static const char *const words[] = {"serve", "status", "version", "help", "http.head_timeout"};
    struct suggest suggest;
    suggest_init(&suggest, slice_from_str(wanted));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        suggest_offer(&suggest, words[i]);
    return suggest_best(&suggest);
}

static void slips_are_recognised(void)
{
    expect_str(nearest("serv"), "serve");
    expect_str(nearest("sevre"), "serve");
    expect_str(nearest("stauts"), "status");
    expect_str(nearest("vversion"), "version");
    expect_str(nearest("hepl"), "help");
    expect_str(nearest("http.head_timout"), "http.head_timeout");
    expect_str(nearest("http.headtimeout"), "http.head_timeout");
}

static void other_words_are_not_guessed_at(void)
{
    expect_str(nearest("launch"), NULL);
    expect_str(nearest("xy"), NULL);
    expect_str(nearest(""), NULL);
    expect_str(nearest("0123456789012345678901234567890123456789012345678901234567890123456789"), NULL);
}

static const struct test_case cases[] = {
    {"a slip of the fingers finds its word", slips_are_recognised},
    {"a word that is nothing like those known is not guessed at", other_words_are_not_guessed_at},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
