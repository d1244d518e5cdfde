/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/writer.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

static void write_sample(struct writer *writer)
{
    writer_truth(writer, "ready", true);
    writer_text(writer, "version", "0.1.0");
    writer_number(writer, "uptime_ms", 90061000);
    writer_number(writer, "memory_bytes", 5200000);
    writer_open_list(writer, "listeners");
    writer_open_record(writer);
    writer_text(writer, "address", "127.0.0.1:2379");
    writer_number(writer, "open_connections", 3);
    writer_close_record(writer);
    writer_open_record(writer);
    writer_text(writer, "address", "[::1]:1");
    writer_number(writer, "open_connections", 12345);
    writer_close_record(writer);
    writer_close_list(writer);
    writer_open_list(writer, "nothing");
    writer_close_list(writer);
    writer_text(writer, "note", "");
}

static void tables_are_aligned(void)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct writer *writer = writer_new_table(out, false);
    write_sample(writer);
    expect_int(writer_finish(writer), 0);
    fclose(out);
    expect_str(text, "ready    yes\n"
                     "version  0.1.0\n"
                     "uptime   1d 1h\n"
                     "memory   5.2 MB\n"
                     "\n"
                     "address         open connections\n"
                     "127.0.0.1:2379  3\n"
                     "[::1]:1         12345\n"
                     "\n"
                     "note  -\n");
    free(text);
}

static void json_is_valid_and_stable(void)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct writer *writer = writer_new_json(out);
    write_sample(writer);
    expect_int(writer_finish(writer), 0);
    fclose(out);
    expect_str(text, "{\n"
                     "  \"ready\": true,\n"
                     "  \"version\": \"0.1.0\",\n"
                     "  \"uptime_ms\": 90061000,\n"
                     "  \"memory_bytes\": 5200000,\n"
                     "  \"listeners\": [\n"
                     "    {\n"
                     "      \"address\": \"127.0.0.1:2379\",\n"
                     "      \"open_connections\": 3\n"
                     "    },\n"
                     "    {\n"
                     "      \"address\": \"[::1]:1\",\n"
                     "      \"open_connections\": 12345\n"
                     "    }\n"
                     "  ],\n"
                     "  \"nothing\": [],\n"
                     "  \"note\": \"\"\n"
                     "}\n");
    free(text);
}

static void write_hostile(struct writer *writer, const char *expected, char **text, FILE *out)
{
    writer_text(writer, "name", "a\"b\\c\n\x1b[2Jd");
    expect_int(writer_finish(writer), 0);
    fclose(out);
    expect_str(*text, expected);
    free(*text);
}

static void what_a_server_says_cannot_break_out(void)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    write_hostile(writer_new_table(out, false), "name  a\"b\\c??[2Jd\n", &text, out);
    out = open_memstream(&text, &len);
    write_hostile(writer_new_json(out), "{\n  \"name\": \"a\\\"b\\\\c\\u000a\\u001b[2Jd\"\n}\n", &text, out);
}

static void durations_read_well(void)
{
    static const struct {
        int64_t ms;
        const char *shown;
    } rows[] = {
        {0, "0.0s"}, {1500, "1.5s"}, {61000, "1m 1s"}, {3600000, "1h 0m"}, {86400000, "1d 0h"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text, expected[64];
        size_t len;
        FILE *out = open_memstream(&text, &len);
        struct writer *writer = writer_new_table(out, false);
        writer_number(writer, "age_ms", rows[i].ms);
        expect_int(writer_finish(writer), 0);
        fclose(out);
        snprintf(expected, sizeof(expected), "age  %s\n", rows[i].shown);
        expect_str(text, expected);
        free(text);
    }
}

static int write_table(void *out)
{
    struct writer *writer = writer_new_table(out, false);
    if (!writer)
        return -ENOMEM;
    write_sample(writer);
    return writer_finish(writer);
}

static void running_out_of_memory_is_told(void)
{
    FILE *out = fopen("/dev/null", "w");
    expect_true(fault_alloc_sweep(write_table, out) >= 2);
    fclose(out);
}

static const struct test_case cases[] = {
    {"tables are aligned, in units that read well", tables_are_aligned},
    {"JSON is valid, with exact numbers", json_is_valid_and_stable},
    {"what a server says cannot drive the terminal or break the JSON", what_a_server_says_cannot_break_out},
    {"durations read well", durations_read_well},
    {"running out of memory is told by the end", running_out_of_memory_is_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
