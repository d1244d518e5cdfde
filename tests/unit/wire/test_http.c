/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http.h"

#include "support/test.h"

static void methods_are_found_by_name(void)
{
#define X(name, text) expect_int(http_method_find(SLICE_LIT(text)), HTTP_METHOD_##name);
    HTTP_METHODS(X)
#undef X
    expect_int(http_method_find(SLICE_LIT("get")), HTTP_METHOD_OTHER);
    expect_int(http_method_find(SLICE_LIT("GETS")), HTTP_METHOD_OTHER);
    expect_int(http_method_find(SLICE_LIT("")), HTTP_METHOD_OTHER);
    expect_str(http_method_name(HTTP_METHOD_DELETE), "DELETE");
    expect_str(http_method_name(HTTP_METHOD_OTHER), "");
}

static void idempotent_methods_may_be_retried(void)
{
    expect_true(http_method_is_idempotent(HTTP_METHOD_GET));
    expect_true(http_method_is_idempotent(HTTP_METHOD_DELETE));
    expect_false(http_method_is_idempotent(HTTP_METHOD_POST));
    expect_false(http_method_is_idempotent(HTTP_METHOD_PATCH));
    expect_false(http_method_is_idempotent(HTTP_METHOD_CONNECT));
    expect_false(http_method_is_idempotent(HTTP_METHOD_OTHER));
}

static void fields_are_found_in_any_case(void)
{
    for (unsigned id = HTTP_FIELD_OTHER + 1; id < HTTP_FIELD_IDS_; id++) {
        char name[64];
        struct slice text = slice_from_str(http_field_name((enum http_field_id)id));
        expect_true(text.len > 0 && text.len < sizeof(name));
        expect_int(http_field_find(text), id);
        for (size_t i = 0; i < text.len; i++)
            name[i] = text.ptr[i] >= 'a' && text.ptr[i] <= 'z' ? (char)(text.ptr[i] - 'a' + 'A') : text.ptr[i];
        expect_int(http_field_find(slice_from(name, text.len)), id);
        /* One letter off, at each place. */
        for (size_t i = 0; i < text.len; i++) {
            memcpy(name, text.ptr, text.len);
            name[i] = name[i] == 'x' ? 'y' : 'x';
            expect_int(http_field_find(slice_from(name, text.len)), HTTP_FIELD_OTHER);
        }
        expect_int(http_field_find(slice_from(text.ptr, text.len - 1)), HTTP_FIELD_OTHER);
    }
    expect_int(http_field_find(SLICE_LIT("")), HTTP_FIELD_OTHER);
    expect_int(http_field_find(SLICE_LIT("a-name-that-is-longer-than-all-of-them")), HTTP_FIELD_OTHER);
    expect_str(http_field_name(HTTP_FIELD_OTHER), "");
}

static void statuses_have_reasons(void)
{
    expect_str(http_status_reason(200), "OK");
    expect_str(http_status_reason(431), "Request Header Fields Too Large");
    expect_str(http_status_reason(299), "");
}

static void fields_are_looked_up(void)
{
    static struct http_fields fields = {
        .n = 3,
        .items = {{SLICE_LIT("X-One"), SLICE_LIT("1"), HTTP_FIELD_OTHER},
                  {SLICE_LIT("TE"), SLICE_LIT("trailers"), HTTP_FIELD_TE},
                  {SLICE_LIT("x-one"), SLICE_LIT("2"), HTTP_FIELD_OTHER}},
    };
    expect_slice(http_fields_get(&fields, HTTP_FIELD_TE)->value, "trailers");
    expect_true(http_fields_get(&fields, HTTP_FIELD_HOST) == NULL);
    expect_slice(http_fields_get_name(&fields, SLICE_LIT("x-ONE"))->value, "1");
    expect_true(http_fields_get_name(&fields, SLICE_LIT("x-two")) == NULL);
}

static void authorities_are_checked(void)
{
    static const char *const good[] = {
        "a", "example.com", "a_b-c~1.d", "1.2.3.4:80", "[::1]", "[::ffff:1.2.3.4]:65535", "a:0"};
    static const char *const bad[] = {"",
                                      ":80",
                                      "a:",
                                      "a:b",
                                      "a:65536",
                                      "a:080000",
                                      "a:-1",
                                      "a,b",
                                      "a b",
                                      "me@a",
                                      "a/b",
                                      "a?b",
                                      "a#b",
                                      "a%20b",
                                      "[]",
                                      "[::1",
                                      "[::1]80",
                                      "[::1]:",
                                      "::1",
                                      "[a]",
                                      "[::1%lo]",
                                      "[1.2.3.4]",
                                      "a[::1]",
                                      "\xc3\xa4",
                                      "[::1]:99999",
                                      "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!http_is_authority(slice_from_str(good[i])))
            test_fail(__FILE__, __LINE__, "%s is refused", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (http_is_authority(slice_from_str(bad[i])))
            test_fail(__FILE__, __LINE__, "%s is accepted", bad[i]);
    expect_false(http_is_authority(SLICE_LIT("[::1\0]")));
    expect_false(http_is_authority(SLICE_LIT("a\0b")));
}

static void tokens_and_values_are_checked(void)
{
    expect_true(http_is_token(SLICE_LIT("x-y_z!")));
    expect_false(http_is_token(SLICE_LIT("")));
    expect_false(http_is_token(SLICE_LIT("a b")));
    expect_true(http_is_field_value(SLICE_LIT("")));
    expect_true(http_is_field_value(SLICE_LIT("a\tb \xff")));
    expect_false(http_is_field_value(SLICE_LIT("a\r\nb")));
    expect_false(http_is_field_value(SLICE_LIT("a\0b")));
}

static void lists_are_searched_in_any_case(void)
{
    expect_true(http_list_has(SLICE_LIT("a, Trailers ,b"), SLICE_LIT("trailers")));
    expect_true(http_list_has(SLICE_LIT("trailers"), SLICE_LIT("trailers")));
    expect_false(http_list_has(SLICE_LIT("trailers2, trailer"), SLICE_LIT("trailers")));
    expect_false(http_list_has(SLICE_LIT(""), SLICE_LIT("trailers")));
}

static const struct test_case cases[] = {
    {"methods are found by their exact name", methods_are_found_by_name},
    {"idempotent methods are known", idempotent_methods_may_be_retried},
    {"fields are found by name in any case", fields_are_found_in_any_case},
    {"statuses have their reasons", statuses_have_reasons},
    {"fields of a head are looked up by id and by name", fields_are_looked_up},
    {"authorities are host[:port] and nothing else", authorities_are_checked},
    {"tokens and field values are checked", tokens_and_values_are_checked},
    {"comma-separated lists are searched in any case", lists_are_searched_in_any_case},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
