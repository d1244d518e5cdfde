/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/docker/docker_event.h"

#include "support/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define ID "4d0faee468cbe2700acac3d3331d7123319f712997761b085c90eb8ab08cbae5"

/* As engine 20.10 says it. */
#define DIE                                                                                                            \
    "{\"status\":\"die\",\"id\":\"" ID "\",\"from\":\"hello\",\"Type\":\"container\",\"Action\":\"die\",\"Actor\":"    \
    "{\"ID\":\"" ID "\",\"Attributes\":{\"exitCode\":\"137\",\"image\":\"hello\",\"name\":\"web-1\"}},"                \
    "\"scope\":\"local\",\"time\":1795281756,\"timeNano\":1795281756235389434}"

static void what_an_event_says(void)
{
    struct docker_event event;
    expect_int(docker_event_parse(SLICE_LIT(DIE), &event), 0);
    expect_int(event.kind, DOCKER_EVENT_DIED);
    expect_str(event.id, "4d0faee468cb");
    expect_str(event.words, "web-1: die exitCode=137");
    expect_int(event.time_ns, 1795281756235389434);
}

/* The event with that type, action and attributes. */
static struct docker_event parse(const char *type, const char *action, const char *attributes)
{
    struct docker_event event;
    char json[1024];
    int n = snprintf(json, sizeof(json),
                     "{\"Type\":\"%s\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"" ID "\",\"Attributes\":{%s}},\"time\":5}",
                     type, action, attributes);
    expect_int(docker_event_parse(slice_from(json, (size_t)n), &event), 0);
    return event;
}

static void the_engines_words(void)
{
    struct docker_event event = parse("container", "kill", "\"name\":\"a\",\"signal\":\"15\"");
    expect_int(event.kind, DOCKER_EVENT_SIGNALLED);
    expect_int(event.signal, SIGTERM);
    expect_int(event.time_ns, 5000000000);
    expect_str(event.words, "a: kill signal=15");
    expect_str(parse("container", "health_status: unhealthy", "\"name\":\"a\"").words, "a: health_status: unhealthy");
    expect_str(parse("container", "rename", "\"name\":\"b\",\"oldName\":\"/a\"").words, "b: rename oldName=/a");
    expect_str(parse("container", "start", "\"name\":\"\\u0001\\n\"").words, "  : start");
    expect_int(parse("container", "oom", "").kind, DOCKER_EVENT_OOM);
    expect_int(parse("container", "destroy", "").kind, DOCKER_EVENT_DESTROYED);
    event = parse("network", "connect", "\"container\":\"0123456789abcdef\",\"name\":\"backend\"");
    expect_str(event.id, "0123456789ab");
    expect_str(event.words, "network connect backend");
}

static void words_of_any_length(void)
{
    char name[4096], attributes[5000];
    memset(name, 'x', sizeof(name));
    (void)snprintf(attributes, sizeof(attributes), "\"name\":\"%.4000s\",\"signal\":\"%.900s\"", name, name);
    struct docker_event event;
    struct buf json = {0};
    buf_printf(&json, "{\"Type\":\"container\",\"Action\":\"kill\",\"Actor\":{\"ID\":\"" ID "\",\"Attributes\":{%s}}}",
               attributes);
    expect_int(docker_event_parse(buf_slice(&json), &event), 0);
    expect_true(strlen(event.words) < DOCKER_WORDS_MAX);
    expect_int(event.signal, 0);
    buf_deinit(&json);
}

static void what_is_no_event(void)
{
    static const char *const bad[] = {
        "[]",
        "{",
        "{}",
        "{\"Type\":\"container\",\"Action\":\"die\"}",
        "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"short\"}}",
        "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"not hexadecimal\"}}",
        "{\"Type\":\"container\",\"Action\":3,\"Actor\":{\"ID\":\"0123456789abcdef\"}}",
    };
    struct docker_event event;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        expect_int(docker_event_parse(slice_from_str(bad[i]), &event), -EINVAL);
    expect_int(docker_event_parse(SLICE_LIT("{\"Type\":\"image\",\"Action\":\"pull\"}"), &event), DOCKER_EVENT_NONE);
    expect_int(docker_event_parse(SLICE_LIT("{\"Type\":\"container\",\"Action\":\"exec_die\"}"), &event),
               DOCKER_EVENT_NONE);
}

static void signals_by_name_and_number(void)
{
    expect_int(docker_signal_parse(SLICE_LIT("15")), SIGTERM);
    expect_int(docker_signal_parse(SLICE_LIT("SIGQUIT")), SIGQUIT);
    expect_int(docker_signal_parse(SLICE_LIT("KILL")), SIGKILL);
    expect_int(docker_signal_parse(SLICE_LIT("")), 0);
    expect_int(docker_signal_parse(SLICE_LIT("SIGNONSENSE")), 0);
    expect_int(docker_signal_parse(SLICE_LIT("4000")), 0);
}

/* ------------------------------------------------------------------------------------------------ the stream */

static void note(void *ctx, const struct docker_event *event)
{
    buf_printf(ctx, "%s\n", event->kind == DOCKER_EVENT_BAD ? "bad" : event->words);
}

/* What is heard of a stream that comes in pieces of that size. */
static void expect_heard(struct slice bytes, size_t piece, const char *expected)
{
    struct docker_event_stream stream = {.is_too_long = false};
    struct buf heard = {0};
    while (bytes.len > 0) {
        size_t n = min_size(piece, bytes.len);
        docker_event_stream_feed(&stream, slice_from(bytes.ptr, n), note, &heard);
        bytes = slice_skip(bytes, n);
    }
    docker_event_stream_deinit(&stream);
    expect_slice(buf_slice(&heard), expected);
    buf_deinit(&heard);
}

static void events_in_pieces(void)
{
    struct slice bytes = SLICE_LIT("\n\n" DIE DIE "\r\n{\"Type\":\"image\",\"Action\":\"pull\"}  " DIE);
    const char *expected = "web-1: die exitCode=137\nweb-1: die exitCode=137\nweb-1: die exitCode=137\n";
    for (size_t piece = 1; piece < bytes.len + 1; piece++)
        expect_heard(bytes, piece, expected);
}

static void what_is_not_understood_is_told(void)
{
    expect_heard(SLICE_LIT("{\"a\":}" DIE), 7, "bad\nweb-1: die exitCode=137\n");
    expect_heard(SLICE_LIT("no JSON\n"), 8, "bad\n");
    expect_heard(SLICE_LIT(DIE "\n{\"Type\":"), 1000, "web-1: die exitCode=137\n"); /* cut off */
}

static void one_that_is_too_long_is_passed_over(void)
{
    struct buf bytes = {0};
    buf_append_str(&bytes, "{\"Type\":\"");
    for (unsigned i = 0; i < 2000; i++)
        for (unsigned k = 0; k < 100; k++)
            buf_append_str(&bytes, "0123456789");
    buf_append_str(&bytes, "\"}" DIE);
    expect_heard(buf_slice(&bytes), 65536, "bad\nweb-1: die exitCode=137\n");
    buf_deinit(&bytes);
}

static const struct test_case cases[] = {
    {"what an event says", what_an_event_says},
    {"the engine's words", the_engines_words},
    {"words of any length are cut", words_of_any_length},
    {"what is no event, or one that does not matter", what_is_no_event},
    {"signals by name and by number", signals_by_name_and_number},
    {"events come in pieces of any size", events_in_pieces},
    {"what is not understood is told, and passed over", what_is_not_understood_is_told},
    {"an event that is too long is told, and passed over", one_that_is_too_long_is_passed_over},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
