/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <string.h>

static void print_options(FILE *out)
{
    fputs("  --at TIME        as it was then: 2026-11-21T10:00:00Z, milliseconds since 1970, or r and a revision\n",
          out);
    words_print_common(out);
    fputs("\nexits with 1 when there is no such service or instance\n", out);
}

/* "a, b" */
static void write_joined(struct writer *writer, const char *name, const char *const *texts, size_t n)
{
    char joined[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < n && len < sizeof(joined); i++)
        len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s", i > 0 ? ", " : "", texts[i]);
    writer_text(writer, name, joined);
}

static void write_instance(struct writer *writer, const struct muster_instance *instance)
{
    char time[WORDS_TIME_MAX];
    writer_open_record(writer);
    writer_text(writer, "instance", instance->id);
    writer_text(writer, "address", instance->address);
    writer_text(writer, "status", instance->status);
    writer_truth(writer, "offered", instance->offered != 0);
    write_joined(writer, "reasons", instance->reasons, instance->n_reasons);
    writer_number(writer, "weight", instance->weight);
    writer_text(writer, "zone", instance->zone);
    write_joined(writer, "tags", instance->tags, instance->n_tags);
    write_joined(writer, "needs", instance->needs, instance->n_needs);
    writer_text(writer, "by", instance->origin);
    writer_text(writer, "changed", words_format_time(instance->changed_ms, time));
    writer_close_record(writer);
}

/* Those with the id, or all. */
static int print(const struct arguments *arguments, const struct muster_instances *instances, const char *id)
{
    struct writer *writer = words_writer(arguments);
    bool is_found = !id;
    if (!writer)
        return words_fail_memory(arguments);
    writer_open_list(writer, "instances");
    for (size_t i = 0; i < instances->n; i++) {
        if (id && strcmp(instances->items[i]->id, id) != 0)
            continue;
        write_instance(writer, instances->items[i]);
        is_found = true;
    }
    writer_close_list(writer);
    int code = words_finish(arguments, writer);
    return code == EXIT_OK && !is_found ? EXIT_NO : code;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    const char *at = NULL, *service, *id;
    const struct argument own[] = {{"at", ARGUMENT_TEXT, &at}};
    struct arguments arguments;
    struct muster_client *client;
    struct muster_instances *instances;
    int code = words_parse(&show_command, io, argc, argv, own, ARRAY_LEN(own), false, 1, 1, &arguments);
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    words_split(arguments.words[0], &service, &id);
    int result = muster_show(client, service, at, &instances);
    code = result == MUSTER_OK ? print(&arguments, instances, id) : words_fail(&arguments, client, result);
    muster_instances_free(instances);
    muster_client_free(client);
    return code;
}

const struct command show_command = {
    .name = "show",
    .summary = "Show the instances of a service",
    .usage = "SERVICE[/INSTANCE] [--at TIME]",
    .example = "muster show web\nmuster show web --at 2026-11-21T10:00:00Z",
    .print_options = print_options,
    .run = run,
};
