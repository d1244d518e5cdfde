/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

static int print(const struct arguments *arguments, const struct muster_services *services)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    writer_open_list(writer, "services");
    for (size_t i = 0; i < services->n; i++) {
        writer_open_record(writer);
        writer_text(writer, "service", services->items[i].name);
        writer_number(writer, "instances", (int64_t)services->items[i].n_instances);
        writer_number(writer, "offered", (int64_t)services->items[i].n_offered);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    return words_finish(arguments, writer);
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct arguments arguments;
    struct muster_client *client;
    struct muster_services *services;
    int code = words_parse(&ls_command, io, argc, argv, NULL, 0, false, 0, 1, &arguments);
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    int result = muster_list_services(client, arguments.words[0], &services);
    code = result == MUSTER_OK ? print(&arguments, services) : words_fail(&arguments, client, result);
    muster_services_free(services);
    muster_client_free(client);
    return code;
}

const struct command ls_command = {
    .name = "ls",
    .summary = "List the services",
    .usage = "[PREFIX]",
    .example = "muster ls\nmuster ls shop- --output json",
    .print_options = words_print_common,
    .run = run,
};
