/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/suggest.h"
#include "base/util.h"
#include "muster.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_SHOWN 12

struct cli {
    const struct command *const *commands;
    size_t n_commands;
    const struct command_io *io;
};

static const struct command *find_command(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->n_commands; i++) {
        if (strcmp(cli->commands[i]->name, name) == 0)
            return cli->commands[i];
    }
    return NULL;
}

static void print_overview(const struct cli *cli, FILE *out)
{
    fprintf(out, "muster %s: service registry, discovery and gateway in one\n\nusage: muster COMMAND [ARGUMENTS]\n\n",
            MUSTER_VERSION);
    for (size_t i = 0; i < cli->n_commands; i++)
        fprintf(out, "  %-*s %s\n", NAME_MAX_SHOWN, cli->commands[i]->name, cli->commands[i]->summary);
    fprintf(out, "  %-*s %s\n", NAME_MAX_SHOWN, "help", "show this, or the help of a command: muster help COMMAND");
    fprintf(out, "\nexit codes: 0 done, 1 failed or the answer is no, 2 wrong usage or configuration, 3 unreachable\n");
}

void command_print_help(const struct command *command, FILE *out)
{
    fprintf(out, "%s\n\nusage: muster %s%s%s\n", command->summary, command->name, *command->usage ? " " : "",
            command->usage);
    if (command->print_options) {
        fputc('\n', out);
        command->print_options(out);
    }
    fputs("\nexample:\n", out);
    struct slice rest = slice_from_str(command->example);
    while (!slice_is_empty(rest)) {
        struct slice line;
        rest = slice_split(rest, '\n', &line);
        fprintf(out, "  %.*s\n", SLICE_ARG(line));
    }
}

int command_fail_usage(const struct command *command, const struct command_io *io, const char *fmt, ...)
{
    fprintf(io->err, "muster %s: ", command->name);
    va_list args;
    va_start(args, fmt);
    vfprintf(io->err, fmt, args);
    va_end(args);
    fprintf(io->err, " (see: muster help %s)\n", command->name);
    return EXIT_USAGE;
}

static int fail_unknown(const struct cli *cli, const char *name)
{
    struct suggest suggest;
    suggest_init(&suggest, slice_from_str(name));
    for (size_t i = 0; i < cli->n_commands; i++)
        suggest_offer(&suggest, cli->commands[i]->name);
    suggest_offer(&suggest, "help");
    const char *near = suggest_best(&suggest);
    fprintf(cli->io->err, "muster: \"%s\" is not a command", name);
    if (near)
        fprintf(cli->io->err, ", did you mean \"%s\"?\n", near);
    else
        fprintf(cli->io->err, " (see: muster help)\n");
    return EXIT_USAGE;
}

static int run_help(const struct cli *cli, int argc, char **argv)
{
    if (argc < 2) {
        print_overview(cli, cli->io->out);
        return EXIT_OK;
    }
    const struct command *command = find_command(cli, argv[1]);
    if (!command)
        return fail_unknown(cli, argv[1]);
    command_print_help(command, cli->io->out);
    return EXIT_OK;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static int dispatch(const struct cli *cli, int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(cli, cli->io->out);
        return EXIT_OK;
    }
    argc--, argv++;
    if (strcmp(argv[0], "help") == 0)
        return run_help(cli, argc, argv);
    const struct command *command = find_command(cli, strcmp(argv[0], "--version") == 0 ? "version" : argv[0]);
    if (!command)
        return fail_unknown(cli, argv[0]);
    if (asks_for_help(argc, argv)) {
        command_print_help(command, cli->io->out);
        return EXIT_OK;
    }
    return command->run(argc, argv, cli->io);
}

int cli_run(const struct command *const *commands, size_t n_commands, int argc, char **argv,
            const struct command_io *io)
{
    const struct cli cli = {commands, n_commands, io};
    int code = dispatch(&cli, argc, argv);
    /* An answer that did not reach its reader (a full disk, a closed pipe) was not given. */
    if (fflush(io->out) != 0 && code == EXIT_OK) {
        fprintf(io->err, "muster: cannot write the answer: %m\n");
        return EXIT_NO;
    }
    return code;
}

int cli_main(const struct command *const *commands, size_t n_commands, int argc, char **argv)
{
    const char *no_color = getenv("NO_COLOR");
    const struct command_io io = {
        .out = stdout,
        .err = stderr,
        .color = isatty(STDOUT_FILENO) && (!no_color || !*no_color),
    };
    return cli_run(commands, n_commands, argc, argv, &io);
}
