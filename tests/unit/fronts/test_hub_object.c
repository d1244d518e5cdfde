/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/hub/hub_object.h"

#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

static void expect_refused(const char *json, const char *words)
{
    struct arena arena = {0};
    struct hub_object object;
    struct err err;
    expect_int(hub_object_parse(slice_from_str(json), &arena, &object, &err), -EINVAL);
    expect_str(err.text, words);
    arena_deinit(&arena);
}

static void an_object_is_read(void)
{
    struct arena arena = {0};
    struct hub_object object;
    struct slice json =
        SLICE_LIT("{\"Name\":\"web\",\"Addr\":\"h:1\",\"RequiredServices\":[\"log\",\"db\"],\"More\":{}}");
    expect_int(hub_object_parse(json, &arena, &object, NULL), 0);
    expect_slice(object.name, "web");
    expect_slice(object.addr, "h:1");
    expect_int(object.n_required, 2);
    expect_slice(object.required[1], "db");
    arena_deinit(&arena);
}

static void names_of_members_have_any_case(void)
{
    struct arena arena = {0};
    struct hub_object object;
    struct slice json = SLICE_LIT("{\"name\":\"web\",\"ADDR\":\"h:1\",\"requiredServices\":null}");
    expect_int(hub_object_parse(json, &arena, &object, NULL), 0);
    expect_slice(object.name, "web");
    expect_int(object.n_required, 0);
    arena_deinit(&arena);
}

static void what_is_wrong_is_told(void)
{
    expect_refused("[1]", "an object is expected: {\"Name\":…,\"Addr\":\"HOST:PORT\",\"RequiredServices\":[…]}");
    expect_refused("{}", "\"Name\" is missing");
    expect_refused("{\"Name\":\"\"}", "\"Name\" must be a string that is not empty");
    expect_refused("{\"Name\":\"a\",\"Addr\":7}", "\"Addr\" must be a string that is not empty");
    expect_refused("{\"Name\":\"a\",\"Addr\":\"h:1\",\"RequiredServices\":{}}",
                   "\"RequiredServices\" must be an array of strings");
    expect_refused("{\"Name\":\"a\",\"Addr\":\"h:1\",\"RequiredServices\":[\"b\",null]}",
                   "\"RequiredServices\" must be an array of strings that are not empty");
}

static void too_many_names_are_refused(void)
{
    struct buf json = {0};
    buf_append_str(&json, "{\"Name\":\"a\",\"Addr\":\"h:1\",\"RequiredServices\":[\"b\"");
    for (int i = 0; i < HUB_REQUIRED_MAX; i++)
        buf_append_str(&json, ",\"b\"");
    buf_append_str(&json, "]}");
    buf_append(&json, slice_from("", 1)); /* its end, for a string */
    expect_int(buf_error(&json), 0);
    expect_refused(json.ptr, "\"RequiredServices\" must not have more than 256 names");
    buf_deinit(&json);
}

static void expect_written(const struct instance *instance, const char *expected)
{
    struct buf buf = {0};
    struct json_writer json;
    json_writer_init(&json, &buf);
    hub_object_write(&json, instance);
    expect_int(json_writer_finish(&json), 0);
    expect_slice(buf_slice(&buf), expected);
    buf_deinit(&buf);
}

static void an_instance_is_written(void)
{
    const struct slice needs[] = {SLICE_LIT("db"), SLICE_LIT("log")};
    struct instance instance = {
        .service = SLICE_LIT("web"),
        .record = {.address = SLICE_LIT("box:80"), .host = SLICE_LIT("box"), .port = 80, .origin = SLICE_LIT("hub")},
    };
    expect_written(&instance, "{\"Name\":\"web\",\"Addr\":\"box:80\",\"RequiredServices\":[]}");
    const struct instance_details details = {.needs = needs, .n_needs = 2};
    instance.record.details = &details;
    expect_written(&instance, "{\"Name\":\"web\",\"Addr\":\"box:80\",\"RequiredServices\":[\"db\",\"log\"]}");
}

/* Clients of the hub dial what they are given. */
static void others_are_written_as_host_and_port(void)
{
    struct instance instance = {
        .service = SLICE_LIT("web"),
        .record = {.address = SLICE_LIT("tcp@[::]:80"), .host = SLICE_LIT("fd00::1"), .port = 80},
    };
    expect_written(&instance, "{\"Name\":\"web\",\"Addr\":\"[fd00::1]:80\",\"RequiredServices\":[]}");
    instance.record.host = SLICE_LIT("10.0.0.1");
    expect_written(&instance, "{\"Name\":\"web\",\"Addr\":\"10.0.0.1:80\",\"RequiredServices\":[]}");
    instance.record.host = (struct slice){0};
    expect_written(&instance, "{\"Name\":\"web\",\"Addr\":\"tcp@[::]:80\",\"RequiredServices\":[]}");
}

static const struct test_case cases[] = {
    {"an object is read", an_object_is_read},
    {"names of members have any case", names_of_members_have_any_case},
    {"what is wrong is told", what_is_wrong_is_told},
    {"too many names are refused", too_many_names_are_refused},
    {"an instance is written", an_instance_is_written},
    {"others are written as host and port", others_are_written_as_host_and_port},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
