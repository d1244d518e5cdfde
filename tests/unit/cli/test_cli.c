/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static int run_greet(int argc, char **argv, const struct command_io *io)
{
    if (argc > 2)
        return command_fail_usage(&version_command, io, "unexpected argument \"%s\"", argv[2]);
    fprintf(io->out, "hello %s\n", argc > 1 ? argv[1] : "you");
    return EXIT_NO;
}

static void print_greet_options(FILE *out)
{
    fputs("  --loud  in capitals\n", out);
}

static const struct command greet_command = {
    .name = "greet",
    .summary = "Say hello",
    .usage = "[NAME]",
    .example = "muster greet\nmuster greet Ada",
    .print_options = print_greet_options,
    .run = run_greet,
};

static const struct command *const commands[] = {&greet_command, &version_command, &status_command};

/* What the program says and gives for a command line. */
struct answer {
    int code;
    char *out, *err;
};

static struct answer run(int argc, const char *const *words)
{
    struct answer answer = {0};
    size_t out_len, err_len;
    char *argv[8] = {NULL};
    struct command_io io = {open_memstream(&answer.out, &out_len), open_memstream(&answer.err, &err_len), 0};
    for (int i = 0; i < argc; i++)
        argv[i] = slice_dup(slice_from_str(words[i]));
    answer.code = cli_run(commands, ARRAY_LEN(commands), argc, argv, &io);
    fclose(io.out);
    fclose(io.err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return answer;
}

static void answer_deinit(struct answer *answer)
{
    free(answer->out);
    free(answer->err);
}

#define RUN(...)                                                                                                       \
    run((int)(sizeof((const char *[]){"muster", __VA_ARGS__}) / sizeof(char *)),                                       \
        (const char *[]){"muster", __VA_ARGS__})

static void expect_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        test_fail(__FILE__, __LINE__, "\"%s\" is not in:\n%s", part, text);
}

static void alone_it_explains_itself(void)
{
    const char *const words[] = {"muster"};
    struct answer answer = run(1, words);
    expect_int(answer.code, EXIT_OK);
    expect_says(answer.out, "usage: muster COMMAND");
    expect_says(answer.out, "greet        Say hello\n");
    expect_says(answer.out, "exit codes:");
    expect_str(answer.err, "");
    answer_deinit(&answer);
}

static void a_command_gets_its_arguments(void)
{
    struct answer answer = RUN("greet", "Ada");
    expect_int(answer.code, EXIT_NO);
    expect_str(answer.out, "hello Ada\n");
    answer_deinit(&answer);
}

static void an_unknown_command_is_guessed_at(void)
{
    struct answer answer = RUN("gret");
    expect_int(answer.code, EXIT_USAGE);
    expect_str(answer.err, "muster: \"gret\" is not a command, did you mean \"greet\"?\n");
    expect_str(answer.out, "");
    answer_deinit(&answer);
    answer = RUN("frobnicate");
    expect_str(answer.err, "muster: \"frobnicate\" is not a command (see: muster help)\n");
    answer_deinit(&answer);
}

static void each_way_to_help_gives_the_same(void)
{
    struct answer by_command = RUN("help", "greet"), by_flag = RUN("greet", "--help");
    expect_int(by_command.code, EXIT_OK);
    expect_int(by_flag.code, EXIT_OK);
    expect_str(by_flag.out, by_command.out);
    expect_str(by_command.out, "Say hello\n\nusage: muster greet [NAME]\n\n  --loud  in capitals\n\n"
                               "example:\n  muster greet\n  muster greet Ada\n");
    answer_deinit(&by_command);
    answer_deinit(&by_flag);
}

static void versions_are_told(void)
{
    struct answer by_command = RUN("version"), by_flag = RUN("--version");
    expect_says(by_command.out, "muster ");
    expect_str(by_flag.out, by_command.out);
    answer_deinit(&by_command);
    answer_deinit(&by_flag);
}

static void wrong_usage_is_told_in_one_line(void)
{
    struct answer answer = RUN("status", "--output", "xml");
    expect_int(answer.code, EXIT_USAGE);
    expect_str(answer.err, "muster status: --output is table or json, not \"xml\" (see: muster help status)\n");
    answer_deinit(&answer);
    answer = RUN("status", "--adress", "x");
    expect_int(answer.code, EXIT_USAGE);
    expect_says(answer.err, "unknown option \"--adress\"");
    answer_deinit(&answer);
    answer = RUN("status", "--address");
    expect_says(answer.err, "--address needs a value");
    answer_deinit(&answer);
    answer = RUN("version", "now");
    expect_says(answer.err, "unexpected argument \"now\"");
    answer_deinit(&answer);
}

static void nobody_there_is_told_by_its_code(void)
{
    struct answer answer = RUN("status", "--address", "unix:/nonexistent/muster.sock");
    expect_int(answer.code, EXIT_UNREACHABLE);
    expect_str(answer.err, "muster status: unix:/nonexistent/muster.sock: cannot connect: No such file or directory\n");
    answer_deinit(&answer);
    answer = RUN("status", "--address", "unix:relative");
    expect_int(answer.code, EXIT_USAGE);
    answer_deinit(&answer);
}

static void an_answer_that_cannot_be_written_is_a_failure(void)
{
    char *argv[] = {slice_dup(SLICE_LIT("muster")), slice_dup(SLICE_LIT("version")), NULL};
    char *said;
    size_t len;
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        test_skip("there is no /dev/full");
    struct command_io io = {full, open_memstream(&said, &len), 0};
    expect_int(cli_run(commands, ARRAY_LEN(commands), 2, argv, &io), EXIT_NO);
    fclose(io.err);
    expect_says(said, "cannot write the answer");
    fclose(full);
    free(said);
    free(argv[0]);
    free(argv[1]);
}

static const struct test_case cases[] = {
    {"muster alone explains itself", alone_it_explains_itself},
    {"a command gets its arguments and gives the exit code", a_command_gets_its_arguments},
    {"an unknown command is guessed at", an_unknown_command_is_guessed_at},
    {"help of a command is the same both ways and shows an example", each_way_to_help_gives_the_same},
    {"the version is told", versions_are_told},
    {"wrong usage is told in one line, exit code 2", wrong_usage_is_told_in_one_line},
    {"a server that is not there is exit code 3", nobody_there_is_told_by_its_code},
    {"an answer that cannot be written is exit code 1", an_answer_that_cannot_be_written_is_a_failure},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
