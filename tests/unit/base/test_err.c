/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "support/test.h"

#include <errno.h>

static void gives_back_the_code(void)
{
    struct err err = {0};
    expect_int(err_set(&err, -EINVAL, "port %d is %s", 70000, "too large"), -EINVAL);
    expect_str(err.text, "port 70000 is too large");
}

static void names_the_errno(void)
{
    struct err err = {0};
    expect_int(err_set_errno(&err, -ENOENT, "cannot open %s", "muster.yaml"), -ENOENT);
    expect_str(err.text, "cannot open muster.yaml: No such file or directory");
}

static void wraps_from_inside_to_outside(void)
{
    struct err err = {0};
    err_set(&err, -EINVAL, "expected a number");
    err_wrap(&err, -EINVAL, "line %d", 3);
    expect_int(err_wrap(&err, -EINVAL, "muster.yaml"), -EINVAL);
    expect_str(err.text, "muster.yaml: line 3: expected a number");
}

static void wraps_nothing_without_a_colon(void)
{
    struct err err = {0};
    err_wrap(&err, -EIO, "the log");
    expect_str(err.text, "the log");
}

static void may_quote_its_own_text(void)
{
    struct err err = {0};
    err_set(&err, -EIO, "first");
    err_set(&err, -EIO, "%s, then %s", err.text, err.text);
    expect_str(err.text, "first, then first");
}

static void accepts_no_err(void)
{
    expect_int(err_set(NULL, -EIO, "unheard"), -EIO);
    expect_int(err_set_errno(NULL, -EIO, "unheard"), -EIO);
    expect_int(err_wrap(NULL, -EIO, "unheard"), -EIO);
}

static void marks_a_cut(void)
{
    struct err err = {0};
    err_set(&err, -EINVAL, "%0600d", 1);
    expect_int(strlen(err.text), ERR_TEXT_MAX - 1);
    expect_str(err.text + ERR_TEXT_MAX - 1 - strlen("0…"), "0…");

    /* The same by wrapping, and a text that just fits is not marked. */
    err_set(&err, -EINVAL, "%0511d", 1);
    expect_str(err.text + ERR_TEXT_MAX - 1 - strlen("01"), "01");
    err_wrap(&err, -EINVAL, "context");
    expect_str(err.text + ERR_TEXT_MAX - 1 - strlen("0…"), "0…");
}

static void cuts_between_characters(void)
{
    struct err err = {0};
    char text[ERR_TEXT_MAX * 2] = {0};
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof(text); i += 2)
            memcpy(text + i, "ß", 3);
        err_set(&err, -EINVAL, "%s", text);
        expect_str(strstr(err.text, "…"), "…");
        expect_str(strstr(err.text, "…") - strlen("ß"), "ß…");
    }
}

static const struct test_case cases[] = {
    {"the code comes back and the text is set", gives_back_the_code},
    {"an errno is named", names_the_errno},
    {"context goes in front", wraps_from_inside_to_outside},
    {"context without a text stands alone", wraps_nothing_without_a_colon},
    {"a text may quote itself", may_quote_its_own_text},
    {"no err is accepted", accepts_no_err},
    {"a cut text is marked", marks_a_cut},
    {"a text is cut between characters", cuts_between_characters},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
