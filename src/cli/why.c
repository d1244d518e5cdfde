/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/events.h"
#include "cli/words.h"

static void print_options(FILE *out)
{
    words_print_common(out);
    fputs("\nexits with 0 when the instance is given to clients, 1 when it is not\n", out);
}

static int print(const struct arguments *arguments, const struct muster_explanation *explanation)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    writer_truth(writer, "offered", explanation->in_answer != 0);
    writer_open_list(writer, "because");
    for (size_t i = 0; i < explanation->n_steps; i++) {
        writer_open_record(writer);
        writer_text(writer, "step", explanation->steps[i].step);
        writer_text(writer, "verdict", explanation->steps[i].verdict);
        writer_text(writer, "why", explanation->steps[i].why);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    events_write(writer, "history", explanation->history.items, explanation->history.n);
    int code = words_finish(arguments, writer);
    return code == EXIT_OK && !explanation->in_answer ? EXIT_NO : code;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    const char *service, *id;
    struct arguments arguments;
    struct muster_client *client;
    struct muster_explanation *explanation;
    int code = words_parse(&why_command, io, argc, argv, NULL, 0, false, 1, 1, &arguments);
    if (code != 0)
        return code;
    words_split(arguments.words[0], &service, &id);
    if (!id)
        return command_fail_usage(&why_command, io, "expected SERVICE/INSTANCE, not \"%s\"", service);
    code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    int result = muster_explain(client, service, id, &explanation);
    code = result == MUSTER_OK ? print(&arguments, explanation) : words_fail(&arguments, client, result);
    muster_explanation_free(explanation);
    muster_client_free(client);
    return code;
}

const struct command why_command = {
    .name = "why",
    .summary = "Explain why an instance is, or is not, given to clients",
    .usage = "SERVICE/INSTANCE",
    .example = "muster why web/10.0.0.7:8080",
    .print_options = print_options,
    .run = run,
};
