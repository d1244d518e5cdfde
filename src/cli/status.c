/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/writer.h"
#include "muster.h"

#include <getopt.h>
#include <string.h>

struct status_arguments {
    struct muster_options options;
    bool json;
};

static void print_options(FILE *out)
{
    fputs("  --address LIST   http://HOST:PORT, https://HOST:PORT or unix:/PATH, several separated by commas\n"
          "                   (default: $MUSTER_ADDR, else http://127.0.0.1:2379)\n"
          "  --output FORMAT  table (default) or json\n"
          "  --ca FILE        trust these authorities (PEM) instead of the system's\n"
          "  --cert FILE      show this certificate (PEM)\n"
          "  --key FILE       its key, when it is not in the same file\n"
          "\n"
          "exits with 0 when the server is ready, 1 when it is not, 3 when it cannot be reached\n",
          out);
}

/* 0, or the exit code. */
static int parse_arguments(int argc, char **argv, const struct command_io *io, struct status_arguments *arguments)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'}, {"output", required_argument, NULL, 'o'},
        {"ca", required_argument, NULL, 'A'},      {"cert", required_argument, NULL, 'C'},
        {"key", required_argument, NULL, 'K'},     {NULL, 0, NULL, 0},
    };
    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
        switch (c) {
        case 'a':
            arguments->options.addresses = optarg;
            break;
        case 'o':
            if (strcmp(optarg, "json") != 0 && strcmp(optarg, "table") != 0)
                return command_fail_usage(&status_command, io, "--output is table or json, not \"%s\"", optarg);
            arguments->json = strcmp(optarg, "json") == 0;
            break;
        case 'A':
            arguments->options.ca_file = optarg;
            break;
        case 'C':
            arguments->options.cert_file = optarg;
            break;
        case 'K':
            arguments->options.key_file = optarg;
            break;
        case ':':
            return command_fail_usage(&status_command, io, "%s needs a value", argv[optind - 1]);
        default:
            return command_fail_usage(&status_command, io, "unknown option \"%s\"", argv[optind - 1]);
        }
    }
    if (optind < argc)
        return command_fail_usage(&status_command, io, "unexpected argument \"%s\"", argv[optind]);
    return 0;
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
}

static int fail(const struct command_io *io, int result, const char *text)
{
    fprintf(io->err, "muster status: %s\n", text);
    return result == MUSTER_UNREACHABLE ? EXIT_UNREACHABLE : result == MUSTER_BAD_OPTIONS ? EXIT_USAGE : EXIT_NO;
}

static int print_status(const struct command_io *io, const struct muster_status *status, bool json)
{
    struct writer *writer = json ? writer_new_json(io->out) : writer_new_table(io->out, io->color);
    if (!writer)
        return fail(io, MUSTER_OUT_OF_MEMORY, "out of memory");
    write_status(writer, status);
    if (writer_finish(writer) < 0)
        return fail(io, MUSTER_OUT_OF_MEMORY, "out of memory");
    return status->ready ? EXIT_OK : EXIT_NO;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct status_arguments arguments = {.options = MUSTER_OPTIONS_INIT};
    int code = parse_arguments(argc, argv, io, &arguments);
    if (code != 0)
        return code;
    struct muster_client *client;
    struct muster_status *status;
    int result = muster_client_new(&arguments.options, &client);
    if (result != MUSTER_OK)
        return fail(io, result, "out of memory");
    result = muster_get_status(client, &status);
    code = result == MUSTER_OK ? print_status(io, status, arguments.json) : fail(io, result, muster_error(client));
    muster_status_free(status);
    muster_client_free(client);
    return code;
}

const struct command status_command = {
    .name = "status",
    .summary = "Show how a running muster is",
    .usage = "[--address LIST] [--output table|json]",
    .example = "muster status\nmuster status --address http://10.0.0.5:2379 --output json",
    .print_options = print_options,
    .run = run,
};
