/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/events.h"
#include "cli/words.h"

#include <time.h>

static void print_options(FILE *out)
{
    fputs("  --since TIME     what happened in the last 10m, 2h, 1d (default: all that is known)\n"
          "  --limit N        at most so many entries, the newest\n"
          "  --at TIME        instead, who was there then: 2026-11-21T10:00:00Z, milliseconds since 1970, or r and a\n"
          "                   revision; needs a service\n",
          out);
    words_print_common(out);
}

void events_write(struct writer *writer, const char *name, const struct muster_event *events, size_t n)
{
    char time[WORDS_TIME_MAX];
    writer_open_list(writer, name);
    for (size_t i = 0; i < n; i++) {
        writer_open_record(writer);
        writer_text(writer, "time", words_format_time(events[i].wall_ms, time));
        writer_number(writer, "revision", events[i].revision);
        writer_text(writer, "service", events[i].service);
        writer_text(writer, "instance", events[i].instance);
        writer_text(writer, "what", events[i].kind);
        writer_text(writer, "by", events[i].actor);
        writer_text(writer, "evidence", events[i].evidence);
        writer_number(writer, "silence_ms", events[i].silence_ms);
        writer_close_record(writer);
    }
    writer_close_list(writer);
}

static int print_events(const struct arguments *arguments, const struct muster_history *history)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    events_write(writer, "entries", history->items, history->n);
    return words_finish(arguments, writer);
}

static int print_present(const struct arguments *arguments, const struct muster_instances *instances)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    writer_open_list(writer, "instances");
    for (size_t i = 0; i < instances->n; i++) {
        writer_open_record(writer);
        writer_text(writer, "instance", instances->items[i]->id);
        writer_text(writer, "address", instances->items[i]->address);
        writer_text(writer, "status", instances->items[i]->status);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    return words_finish(arguments, writer);
}

static int show_present(const struct arguments *arguments, struct muster_client *client, const char *service,
                        const char *at)
{
    struct muster_instances *instances;
    if (!service)
        return command_fail_usage(&history_command, arguments->io, "--at needs a service");
    int result = muster_show(client, service, at, &instances);
    int code = result == MUSTER_OK ? print_present(arguments, instances) : words_fail(arguments, client, result);
    muster_instances_free(instances);
    return code;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    const char *at = NULL, *service = NULL, *id = NULL;
    int64_t since_ms = 0;
    unsigned limit = 0;
    const struct argument own[] = {
        {"since", ARGUMENT_DURATION, &since_ms}, {"limit", ARGUMENT_NUMBER, &limit}, {"at", ARGUMENT_TEXT, &at}};
    struct arguments arguments;
    struct muster_client *client;
    struct muster_history *history = NULL;
    int code = words_parse(&history_command, io, argc, argv, own, ARRAY_LEN(own), false, 0, 1, &arguments);
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    if (arguments.n_words > 0)
        words_split(arguments.words[0], &service, &id);
    if (at) {
        code = show_present(&arguments, client, service, at);
    } else {
        int64_t from_ms = since_ms > 0 ? (int64_t)time(NULL) * 1000 - since_ms : 0;
        int result = muster_get_history(client, service, id, from_ms, limit, &history);
        code = result == MUSTER_OK ? print_events(&arguments, history) : words_fail(&arguments, client, result);
    }
    muster_history_free(history);
    muster_client_free(client);
    return code;
}

const struct command history_command = {
    .name = "history",
    .summary = "Show what became of instances, and who was there at a time",
    .usage = "[SERVICE[/INSTANCE]] [--since TIME] [--at TIME]",
    .example = "muster history web --since 1h\nmuster history web --at 2026-11-21T10:00:00Z",
    .print_options = print_options,
    .run = run,
};
