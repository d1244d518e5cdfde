/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/base64.h"

#include "support/test.h"

#include <errno.h>

/* RFC 4648, section 10, and bytes of all sorts. */
static const struct {
    struct slice bytes, text;
} samples[] = {
    {SLICE_LIT(""), SLICE_LIT("")},
    {SLICE_LIT("f"), SLICE_LIT("Zg==")},
    {SLICE_LIT("fo"), SLICE_LIT("Zm8=")},
    {SLICE_LIT("foo"), SLICE_LIT("Zm9v")},
    {SLICE_LIT("foob"), SLICE_LIT("Zm9vYg==")},
    {SLICE_LIT("fooba"), SLICE_LIT("Zm9vYmE=")},
    {SLICE_LIT("foobar"), SLICE_LIT("Zm9vYmFy")},
    {SLICE_LIT("\0"), SLICE_LIT("AA==")},
    {SLICE_LIT("\xff\xfe\xfd"), SLICE_LIT("//79")},
    {SLICE_LIT("\xfb\xef\xbe"), SLICE_LIT("++++")},
};

static void encodes(void)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct buf text = {0};
        expect_int(base64_encode(samples[i].bytes, &text), 0);
        expect_bytes(buf_slice(&text), samples[i].text);
        buf_deinit(&text);
    }
}

static void expect_decoded(struct slice text, struct slice bytes)
{
    struct buf out = {0};
    expect_int(base64_decode(text, &out), 0);
    expect_bytes(buf_slice(&out), bytes);
    buf_deinit(&out);
}

static void decodes(void)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        expect_decoded(samples[i].text, samples[i].bytes);
}

static void decodes_without_padding_and_for_urls(void)
{
    expect_decoded(SLICE_LIT("Zg"), SLICE_LIT("f"));
    expect_decoded(SLICE_LIT("Zm8"), SLICE_LIT("fo"));
    expect_decoded(SLICE_LIT("__79"), SLICE_LIT("\xff\xfe\xfd"));
    expect_decoded(SLICE_LIT("----"), SLICE_LIT("\xfb\xef\xbe"));
}

static void refuses_what_is_none(void)
{
    static const char *const texts[] = {"Z",        "Zm9vY",    "=",    "==",    "Zg=",  "Zm8==", "Zm9v=",
                                        "Zm9v====", "Zg==Zg==", "Zm 9", "Zm9\n", "Zm!v", "Z===",  "\xc3\xa4zz"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf out = {0};
        expect_int(buf_append_str(&out, "kept"), 0);
        expect_int(base64_decode(slice_from_str(texts[i]), &out), -EINVAL);
        expect_slice(buf_slice(&out), "kept");
        buf_deinit(&out);
    }
}

static void any_bytes_come_back(void)
{
    uint64_t seed = test_seed();
    for (size_t len = 0; len < 300; len++) {
        struct buf bytes = {0}, text = {0};
        for (size_t i = 0; i < len; i++)
            expect_int(buf_append_char(&bytes, (char)test_random(&seed)), 0);
        expect_int(base64_encode(buf_slice(&bytes), &text), 0);
        expect_decoded(buf_slice(&text), buf_slice(&bytes));
        buf_deinit(&bytes);
        buf_deinit(&text);
    }
}

static const struct test_case cases[] = {
    {"bytes are encoded, padded", encodes},
    {"text is decoded", decodes},
    {"the alphabet of URLs and missing padding are taken", decodes_without_padding_and_for_urls},
    {"what is no base64 is refused, and nothing is appended", refuses_what_is_none},
    {"any bytes come back as they were", any_bytes_come_back},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
