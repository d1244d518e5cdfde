/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: addresses are taken apart, JSON is read back as it was written, what is wrong is said, keys have one
 * spelling.
 */
#include "catalog/instance_record.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

#define FULL                                                                                                           \
    "{\"address\":\"http@[::]:8080\",\"host\":\"10.0.0.7\",\"weight\":3,\"zone\":\"a\",\"tags\":[\"v2\",\"canary\"],"  \
    "\"needs\":[\"db\",\"log\"],\"metadata\":{\"expose\":\"true\"},\"check\":{\"type\":\"http\",\"target\":\"/"        \
    "health\","                                                                                                        \
    "\"interval_ms\":5000,\"retry_ms\":250,\"timeout_ms\":1000,\"to_fail\":3,\"to_pass\":1,\"remove_after_ms\":60000}" \
    ","                                                                                                                \
    "\"origin\":\"rest\",\"owner\":\"alice\",\"session\":\"f3\"}"

static void addresses_are_taken_apart(void)
{
    static const struct {
        const char *address, *protocol, *host;
        unsigned port;
    } rows[] = {
        {"127.0.0.1:1212", "", "127.0.0.1", 1212},
        {"db:5432", "", "db", 5432},
        {"[::1]:80", "", "::1", 80},
        {"[fe80::1%eth0]:80", "", "fe80::1%eth0", 80},
        {"tcp@10.0.0.7:9000", "tcp", "10.0.0.7", 9000},
        {"tcp@[::]:9000", "tcp", "::", 9000},
        {"unix@/run/app.sock", "unix", "", 0},
        {"http://10.0.0.7:8080/a?b", "http", "10.0.0.7", 8080},
        {"https://web.example", "https", "web.example", 443},
        {"http://user:word@h/", "http", "h", 80},
        {"grpc://h:1", "grpc", "h", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct instance_record record = {0};
        if (!instance_record_set_address(&record, slice_from_str(rows[i].address)))
            test_fail(__FILE__, __LINE__, "%s is an address", rows[i].address);
        expect_slice(record.address, rows[i].address);
        expect_slice(record.protocol, rows[i].protocol);
        expect_slice(record.host, rows[i].host);
        expect_int(record.port, rows[i].port);
    }
}

static void other_texts_are_no_addresses(void)
{
    static const char *const texts[] = {"",         "db",     ":80",       "db:",     "db:0",      "db:65536",
                                        "db:1x",    "::1:80", "[::1]",     "[db]:80", "[::1%]:80", "@db:80",
                                        "1p@db:80", "unix@",  "unix@sock", "unix@/",  "tcp@db",    "grpc://db",
                                        "a b:80",   "a\n:80", "http://",   "x://:80", "a/b:80",    "http://h:1/\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct instance_record record = {.protocol = SLICE_LIT("old"), .host = SLICE_LIT("old"), .port = 1};
        if (instance_record_set_address(&record, slice_from_str(texts[i])))
            test_fail(__FILE__, __LINE__, "\"%s\" is no address", texts[i]);
        expect_slice(record.address, texts[i]);
        expect_slice(record.protocol, "");
        expect_int(record.port, 0);
    }
}

static void json_is_read_and_written_back(void)
{
    struct arena arena = {0};
    struct buf out = {0};
    struct instance_record record, again;
    expect_int(instance_record_parse(SLICE_LIT(FULL), INSTANCE_RECORD_STRICT, &arena, &record, NULL), 0);
    expect_slice(record.address, "http@[::]:8080");
    expect_slice(record.protocol, "http");
    expect_slice(record.host, "10.0.0.7");
    expect_int(record.port, 8080);
    expect_int(record.weight, 3);
    expect_int(instance_details(&record)->n_tags, 2);
    expect_slice(instance_details(&record)->tags[1], "canary");
    expect_slice(instance_details(&record)->needs[1], "log");
    expect_slice(instance_details(&record)->metadata[0].name, "expose");
    expect_int(instance_details(&record)->check->type, INSTANCE_CHECK_HTTP);
    expect_int(instance_details(&record)->check->retry_ms, 250);
    expect_int(instance_details(&record)->check->remove_after_ms, 60000);
    expect_slice(instance_details(&record)->session, "f3");
    instance_record_write(&out, &record);
    expect_slice(buf_slice(&out), FULL);
    expect_int(instance_record_parse(buf_slice(&out), INSTANCE_RECORD_STRICT, &arena, &again, NULL), 0);
    expect_true(instance_record_equal(&record, &again));
    again.weight = 4;
    expect_false(instance_record_equal(&record, &again));
    buf_deinit(&out);
    arena_deinit(&arena);
}

static void defaults_are_not_written(void)
{
    struct arena arena = {0};
    struct buf out = {0};
    struct instance_record record;
    const struct slice json = SLICE_LIT("{\"address\":\"tcp@h:1\"}");
    expect_int(instance_record_parse(json, INSTANCE_RECORD_STRICT, &arena, &record, NULL), 0);
    expect_int(record.weight, 1);
    expect_true(instance_details(&record)->check == NULL);
    instance_record_write(&out, &record);
    expect_bytes(buf_slice(&out), json);
    buf_deinit(&out);
    arena_deinit(&arena);
}

static void errors_say_what_was_expected(void)
{
    static const struct {
        const char *json, *words;
    } rows[] = {
        {"[]", "expected a JSON object with the members of an instance"},
        {"{}", "\"address\": expected SCHEME@HOST:PORT, SCHEME://HOST:PORT, HOST:PORT, [IPV6]:PORT or unix@/PATH"},
        {"{\"address\":\"db\"}",
         "\"address\": expected SCHEME@HOST:PORT, SCHEME://HOST:PORT, HOST:PORT, [IPV6]:PORT or unix@/PATH"},
        {"{\"address\":7}", "\"address\": expected a text"},
        {"{\"address\":\"h:1\",\"wieght\":7}", "\"wieght\" is no member, did you mean \"weight\"?"},
        {"{\"address\":\"h:1\",\"colour\":7}", "\"colour\" is no member"},
        {"{\"address\":\"h:1\",\"weight\":70000}", "\"weight\": expected a number from 0 to 65535"},
        {"{\"address\":\"h:1\",\"zone\":\"a\\nb\"}", "\"zone\": expected a text without control characters"},
        {"{\"address\":\"h:1\",\"tags\":\"v2\"}", "\"tags\": expected an array of texts, at most 256 of them"},
        {"{\"address\":\"h:1\",\"tags\":[2]}", "\"tags\": expected a text"},
        {"{\"address\":\"h:1\",\"metadata\":[]}", "\"metadata\": expected an object of texts, at most 256 of them"},
        {"{\"address\":\"h:1\",\"check\":{}}", "\"check\": expected an object with a \"type\""},
        {"{\"address\":\"h:1\",\"check\":{\"type\":\"udp\"}}", "\"check\": \"type\": expected tcp, http, grpc or ttl"},
        {"{\"address\":\"h:1\",\"check\":{\"type\":\"tcp\",\"interval_ms\":1}}",
         "\"check\": \"interval_ms\": expected a number from 100 to 86400000"},
        {"{\"address\"", "line 1, column 10: ':' expected near end of file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena = {0};
        struct instance_record record;
        struct err err = {""};
        expect_int(instance_record_parse(slice_from_str(rows[i].json), INSTANCE_RECORD_STRICT, &arena, &record, &err),
                   -EINVAL);
        expect_str(err.text, rows[i].words);
        arena_deinit(&arena);
    }
}

static void the_store_is_read_leniently(void)
{
    struct arena arena = {0};
    struct instance_record record;
    const struct slice json =
        SLICE_LIT("{\"address\":\"anything\",\"colour\":7,\"check\":{\"type\":\"tcp\",\"new\":1}}");
    expect_int(instance_record_parse(json, INSTANCE_RECORD_LENIENT, &arena, &record, NULL), 0);
    expect_slice(record.address, "anything");
    expect_slice(record.host, "");
    arena_deinit(&arena);
}

static void keys_have_one_spelling(void)
{
    struct arena arena = {0};
    struct buf key = {0};
    struct slice service, id;
    instance_record_key(&key, SLICE_LIT("a/b"), SLICE_LIT("tcp@[::]:1/50%\n"));
    expect_slice(buf_slice(&key), "/muster/services/a%2Fb/tcp@[::]:1%2F50%25%0A");
    expect_int(instance_record_split_key(buf_slice(&key), &arena, &service, &id), INSTANCE_RECORD_NO_KEY);
    buf_reset(&key);
    instance_record_key(&key, SLICE_LIT("a/b"), SLICE_LIT("50%"));
    expect_int(instance_record_split_key(buf_slice(&key), &arena, &service, &id), 0);
    expect_slice(service, "a/b");
    expect_slice(id, "50%");

    static const char *const others[] = {
        "/muster/services/",     "/muster/services/a",     "/muster/services/a/",    "/muster/services//b",
        "/muster/services/a/b/", "/muster/services/a/%2f", "/muster/services/a/%41", "/muster/services/a/%",
        "/muster/service/a/b",   "/muster/services/a/..",  "/muster/services/./b",   "/muster/services/a/\xff",
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        expect_int(instance_record_split_key(slice_from_str(others[i]), &arena, &service, &id), INSTANCE_RECORD_NO_KEY);
    buf_deinit(&key);
    arena_deinit(&arena);
}

static void expect_bad_name(struct slice service, struct slice id, const char *words)
{
    struct err err = {""};
    expect_int(instance_record_check_names(service, id, &err), -EINVAL);
    expect_str(err.text, words);
}

static void bad_names_are_refused(void)
{
    static char text[CATALOG_ID_MAX + 1];
    memset(text, 'a', sizeof(text));
    expect_int(instance_record_check_names(SLICE_LIT("web"), SLICE_LIT("tcp@h:1"), NULL), 0);
    expect_bad_name(SLICE_LIT(""), SLICE_LIT("1"), "the name of the service is empty");
    expect_bad_name(SLICE_LIT(".."), SLICE_LIT("1"), "\"..\" is no name of service: it would mean a folder");
    expect_bad_name(slice_from(text, 256), SLICE_LIT("1"),
                    "the name of the service has 256 bytes; at most 255 are accepted");
    expect_bad_name(SLICE_LIT("web"), slice_from(text, 1025),
                    "the name of the instance has 1025 bytes; at most 1024 are accepted");
    expect_bad_name(SLICE_LIT("web"), SLICE_LIT("a\n"),
                    "the name of the instance has a byte at 1 that is a control character");
    expect_bad_name(SLICE_LIT("\xc3"), SLICE_LIT("1"), "the name of the service has a byte at 0 that is no UTF-8");
}

static int parse_full(void *arg)
{
    struct arena arena = {0};
    struct instance_record record;
    (void)arg;
    int r = instance_record_parse(SLICE_LIT(FULL), INSTANCE_RECORD_STRICT, &arena, &record, NULL);
    arena_deinit(&arena);
    return r;
}

static void out_of_memory_is_an_error(void)
{
    expect_true(fault_alloc_sweep(parse_full, NULL) > 0);
}

static const struct test_case cases[] = {
    {"addresses are taken apart", addresses_are_taken_apart},
    {"other texts are no addresses, and kept", other_texts_are_no_addresses},
    {"JSON is read and written back", json_is_read_and_written_back},
    {"defaults are not written", defaults_are_not_written},
    {"errors say what was expected", errors_say_what_was_expected},
    {"what is in the store is read leniently", the_store_is_read_leniently},
    {"keys have one spelling", keys_have_one_spelling},
    {"bad names are refused with words", bad_names_are_refused},
    {"running out of memory is an error", out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
