/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/file/file_entries.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

static void parse(const char *text, struct file_entries *ret_entries)
{
    struct err err = {""};
    int r = file_entries_parse(slice_from_str(text), "f", ret_entries, &err);
    if (r < 0)
        test_fail(__FILE__, __LINE__, "%d: %s", r, err.text);
}

static void expect_refused(const char *text, const char *words)
{
    struct file_entries entries;
    struct err err = {""};
    expect_int(file_entries_parse(slice_from_str(text), "f", &entries, &err), -EINVAL);
    expect_str(err.text, words);
}

static void all_members(void)
{
    struct file_entries entries;
    parse("# by hand\n"
          "- service: web\n"
          "  id: w1\n"
          "  address: http@10.0.0.7:8080\n"
          "  weight: 3\n"
          "  zone: 1\n"
          "  tags: [v2, 7]\n"
          "  needs: [db]\n"
          "  metadata: {expose: true, weight: 9, team: \"\"}\n"
          "  check: {type: http, target: /health, interval_ms: 2000}\n"
          "- service: db\n"
          "  address: 10.0.0.9:5432\n",
          &entries);
    expect_int(entries.n, 2);
    const struct file_entry *web = &entries.list[0];
    const struct instance_details *details = instance_details(&web->record);
    expect_slice(web->service, "web");
    expect_slice(web->id, "w1");
    expect_slice(web->name, "web/w1");
    expect_int(web->line, 2);
    expect_slice(web->record.address, "http@10.0.0.7:8080");
    expect_slice(web->record.origin, "file");
    expect_int(web->record.weight, 3);
    expect_slice(details->zone, "1");
    expect_slice(details->tags[1], "7");
    expect_slice(details->needs[0], "db");
    expect_slice(details->metadata[0].value, "true");
    expect_slice(details->metadata[1].value, "9");
    expect_slice(details->metadata[2].value, "");
    expect_int(details->check->type, INSTANCE_CHECK_HTTP);
    expect_int(details->check->interval_ms, 2000);
    expect_slice(entries.list[1].id, "10.0.0.9:5432");
    expect_int(entries.list[1].line, 11);
    file_entries_deinit(&entries);
}

static void json_is_yaml(void)
{
    struct file_entries entries;
    parse(
        "[\n\t{\"service\":\"web\",\"address\":\"http:\\/\\/10.0.0.7:80\",\"weight\":0,\"tags\":[\"a\",\"\\u00e4\"],\n"
        "\t \"check\":{\"type\":\"tcp\",\"interval_ms\":500}}\n]\n",
        &entries);
    expect_int(entries.n, 1);
    expect_slice(entries.list[0].record.address, "http://10.0.0.7:80");
    expect_int(entries.list[0].record.weight, 0);
    expect_slice(instance_details(&entries.list[0].record)->tags[1], "ä");
    file_entries_deinit(&entries);
}

static void one_or_none(void)
{
    struct file_entries entries;
    parse("service: web\naddress: 10.0.0.7:80\n", &entries);
    expect_int(entries.n, 1);
    file_entries_deinit(&entries);
    parse("[]", &entries);
    expect_int(entries.n, 0);
    file_entries_deinit(&entries);
    expect_refused("", "f:1:1: expected a list of instances; [] if there are none");
    expect_refused("# only a comment\n", "f:1:1: expected a list of instances; [] if there are none");
    expect_refused("null", "f:1:1: expected a list of instances; [] if there are none");
}

static void faults_have_their_place(void)
{
    expect_refused("- service: web\n  adress: 10.0.0.7:80\n",
                   "f:2:3: \"adress\" is no member of an instance, did you mean \"address\"?");
    expect_refused("- service: web\n  address: 10.0.0.7:80\n  owner: root\n",
                   "f:3:3: \"owner\" is no member of an instance");
    expect_refused("- service: web\n  address: 10.0.0.7:80\n\n  weight: heavy\n",
                   "f:4:3: \"weight\": expected a number from 0 to 65535");
    expect_refused("- service: web\n  address: 10.0.0.7:80\n  weight: \"3\"\n",
                   "f:3:3: \"weight\": expected a number from 0 to 65535");
    expect_refused("- service: web\n  address: 10.0.0.7:80\n  weight: -1\n",
                   "f:3:3: \"weight\": expected a number from 0 to 65535");
    expect_refused("- service: web\n  address: 10.0.0.7:80\n  check: {type: tcp, interval_ms: 1}\n",
                   "f:3:3: \"check\": \"interval_ms\": expected a number from 100 to 86400000");
    expect_refused("- service: web\n  address: 10.0.0.7:80\n  check: {type: tcp, intervall_ms: 1000}\n",
                   "f:3:3: \"check\": \"intervall_ms\" is no member, did you mean \"interval_ms\"?");
    expect_refused("- service: web\n  address: nowhere\n", "f:2:3: \"address\": expected SCHEME@HOST:PORT, "
                                                           "SCHEME://HOST:PORT, HOST:PORT, [IPV6]:PORT or unix@/PATH");
    expect_refused("- service: web\n  address: 10.0.0.7:80\n  tags: v2\n",
                   "f:3:3: \"tags\": expected an array of texts, at most 256 of them");
    expect_refused("- service: web\n", "f:1:3: an instance needs a \"address\"");
    expect_refused("- address: 10.0.0.7:80\n", "f:1:3: an instance needs a \"service\"");
    expect_refused("- service:\n  address: 10.0.0.7:80\n", "f:1:3: \"service\": expected a text");
    expect_refused("- service: ..\n  address: 10.0.0.7:80\n",
                   "f:1:3: \"..\" is no name of service: it would mean a folder");
    expect_refused("- web\n", "f:1:3: expected an instance: a mapping with service and address");
    expect_refused("- service: web\n  address: [\n", "f:3:1: did not find expected node content");
}

static void twins_are_refused(void)
{
    expect_refused("- service: web\n  address: 10.0.0.7:80\n- service: web\n  id: x\n  address: 10.0.0.7:80\n"
                   "- service: web\n  id: 10.0.0.7:80\n  address: 10.0.0.8:80\n",
                   "f:6:1: the instance \"web/10.0.0.7:80\" is here twice, first in line 1");
    struct file_entries entries;
    parse("- {service: a/b, id: c, address: 'x:1'}\n- {service: a, id: b/c, address: 'x:1'}\n", &entries);
    expect_slice(entries.list[0].name, "a%2Fb/c");
    expect_slice(entries.list[1].name, "a/b%2Fc");
    file_entries_deinit(&entries);
}

static void limits_hold(void)
{
    struct buf text = {0};
    struct file_entries entries;
    struct err err = {""};
    for (unsigned i = 0; i <= FILE_ENTRIES_MAX; i++)
        buf_printf(&text, "- {service: a, address: 'h:%u'}\n", i + 1);
    expect_int(file_entries_parse(buf_slice(&text), "f", &entries, &err), -EINVAL);
    expect_str(err.text, "f: 10001 instances are more than the 10000 that are accepted in one file");
    text.len = (size_t)(strstr(text.ptr, "h:10001") - text.ptr) - strlen("- {service: a, address: '");
    expect_int(file_entries_parse(buf_slice(&text), "f", &entries, &err), 0);
    expect_int(entries.n, FILE_ENTRIES_MAX);
    file_entries_deinit(&entries);
    buf_deinit(&text);
}

static int parse_once(void *arg)
{
    struct file_entries entries;
    (void)arg;
    int r = file_entries_parse(SLICE_LIT("- {service: web, address: 'h:1', tags: [a], check: {type: tcp}}"), "f",
                               &entries, NULL);
    if (r == 0)
        file_entries_deinit(&entries);
    return r;
}

static void memory_runs_out(void)
{
    expect_true(fault_alloc_sweep(parse_once, NULL) > 5);
}

static const struct test_case cases[] = {
    {"an entry has the members of a registration, whose texts are texts however they look", all_members},
    {"JSON is read as the YAML that it is", json_is_yaml},
    {"a file has one instance, several, or none by saying so", one_or_none},
    {"faults are told with their place and what was expected", faults_have_their_place},
    {"one instance twice is refused", twins_are_refused},
    {"more instances than a file may have are refused", limits_hold},
    {"each allocation may fail", memory_runs_out},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
