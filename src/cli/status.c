/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

static void print_options(FILE *out)
{
    fputs("  --clients        show who asks the server most instead: in the last minute, and since it knows them\n",
          out);
    words_print_common(out);
    fputs("\nexits with 0 when the server is ready, 1 when it is not, 3 when it cannot be reached\n", out);
}

/* 0: there is none. */
static void write_moment(struct writer *writer, const char *name, int64_t wall_ms)
{
    char text[WORDS_TIME_MAX];
    writer_text(writer, name, wall_ms > 0 ? words_format_time(wall_ms, text) : "");
}

static void write_sources(struct writer *writer, const struct muster_status *status)
{
    writer_open_list(writer, "sources");
    for (size_t i = 0; i < status->n_sources; i++) {
        const struct muster_source *source = &status->sources[i];
        writer_open_record(writer);
        writer_text(writer, "source", source->name);
        writer_text(writer, "place", source->place);
        writer_text(writer, "state", source->state);
        write_moment(writer, "last_success", source->last_success_ms);
        write_moment(writer, "next_try", source->next_try_ms);
        writer_number(writer, "instances", source->n_instances);
        writer_number(writer, "drifts", source->n_drifts);
        writer_text(writer, "trouble", source->trouble);
        writer_close_record(writer);
    }
    writer_close_list(writer);
}

static void write_status(struct writer *writer, const struct muster_status *status)
{
    writer_truth(writer, "ready", status->ready);
    if (!status->ready)
        writer_text(writer, "reason", status->not_ready);
    writer_text(writer, "version", status->version);
    writer_text(writer, "role", status->role);
    writer_number(writer, "pid", status->pid);
    writer_number(writer, "uptime_ms", status->uptime_ms);
    writer_number(writer, "memory_bytes", (int64_t)status->memory_bytes);
    writer_open_list(writer, "listeners");
    for (size_t i = 0; i < status->n_listeners; i++) {
        writer_open_record(writer);
        writer_text(writer, "listener", status->listeners[i].role);
        writer_text(writer, "address", status->listeners[i].address);
        writer_text(writer, "speaks", status->listeners[i].protocols);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    writer_open_list(writer, "workers");
    for (size_t i = 0; i < status->n_workers; i++) {
        writer_open_record(writer);
        writer_number(writer, "worker", (int64_t)i);
        writer_number(writer, "connections", (int64_t)status->workers[i].n_connections);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    write_sources(writer, status);
}

static int print_status(const struct arguments *arguments, const struct muster_status *status)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    write_status(writer, status);
    int code = words_finish(arguments, writer);
    return code == EXIT_OK && !status->ready ? EXIT_NO : code;
}

static int show_status(const struct arguments *arguments, struct muster_client *client)
{
    struct muster_status *status;
    int result = muster_get_status(client, &status);
    int code = result == MUSTER_OK ? print_status(arguments, status) : words_fail(arguments, client, result);
    muster_status_free(status);
    return code;
}

static int print_callers(const struct arguments *arguments, const struct muster_callers *callers)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    writer_open_list(writer, "clients");
    for (size_t i = 0; i < callers->n; i++) {
        const struct muster_caller *caller = &callers->items[i];
        writer_open_record(writer);
        writer_text(writer, "address", caller->address);
        writer_number(writer, "requests_per_minute", (int64_t)caller->requests_per_minute);
        writer_number(writer, "per_minute_bytes", (int64_t)caller->bytes_per_minute);
        writer_number(writer, "requests", (int64_t)caller->n_requests);
        writer_number(writer, "sent_bytes", (int64_t)caller->n_bytes);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    return words_finish(arguments, writer);
}

static int show_callers(const struct arguments *arguments, struct muster_client *client)
{
    struct muster_callers *callers;
    int result = muster_get_callers(client, &callers);
    int code = result == MUSTER_OK ? print_callers(arguments, callers) : words_fail(arguments, client, result);
    muster_callers_free(callers);
    return code;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct arguments arguments;
    struct muster_client *client;
    bool wants_clients = false;
    const struct argument own[] = {{"clients", ARGUMENT_FLAG, &wants_clients}};
    int code = words_parse(&status_command, io, argc, argv, own, ARRAY_LEN(own), false, 0, 0, &arguments);
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    code = wants_clients ? show_callers(&arguments, client) : show_status(&arguments, client);
    muster_client_free(client);
    return code;
}

const struct command status_command = {
    .name = "status",
    .summary = "Show how a running muster is",
    .usage = "[--clients] [--address LIST] [--output table|json]",
    .example = "muster status\nmuster status --address http://10.0.0.5:2379 --output json",
    .print_options = print_options,
    .run = run,
};
