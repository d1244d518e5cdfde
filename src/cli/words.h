/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of a command that talks to a server: the options that all of them have, and its own.
 */
#pragma once

#include "cli/command.h"
#include "cli/writer.h"
#include "muster.h"

#define WORDS_OWN_MAX 16

enum argument_type {
    ARGUMENT_FLAG,     /* bool */
    ARGUMENT_TEXT,     /* const char * */
    ARGUMENT_NUMBER,   /* unsigned */
    ARGUMENT_DURATION, /* int64_t, in milliseconds: "500ms", "30s", "5m", "2h", "1d" */
    ARGUMENT_LIST,     /* struct argument_list: comma-separated, and may come several times */
};

struct argument {
    const char *name;
    enum argument_type type;
    void *value; /* set only when the option is there */
};

#define ARGUMENT_LIST_MAX 64

/* Ends with NULL. */
struct argument_list {
    const char *items[ARGUMENT_LIST_MAX + 1];
    unsigned n;
};

struct arguments {
    const struct command *command;
    const struct command_io *io;
    struct muster_options options;
    bool json;
    int n_words; /* what is no option; they end with NULL */
    char **words;
};

/* The options that all have, for a command's help. */
void words_print_common(FILE *out);

/*
 * Reads the command line; there must be min to max words. `stops`: the first word ends the options. 0, or the exit code
 * after saying what is wrong. Lists are cut in place: argv is written to.
 */
int words_parse(const struct command *command, const struct command_io *io, int argc, char **argv,
                const struct argument *own, unsigned n_own, bool stops, int min, int max,
                struct arguments *ret_arguments);

/* Cuts "SERVICE/INSTANCE" in two, in place; the instance is NULL when there is none. */
void words_split(char *word, const char **ret_service, const char **ret_instance);

/* 0 and the milliseconds, or -1. */
int words_read_duration(const char *text, int64_t *ret_ms);

/* Makes the client: 0, or the exit code. */
int words_connect(const struct arguments *arguments, struct muster_client **ret_client);

/* Says what went wrong in the client's last call, whose result it was, on io->err. The exit code. */
int words_fail(const struct arguments *arguments, const struct muster_client *client, int result);
int words_fail_memory(const struct arguments *arguments);

/* The writer that --output names; NULL when out of memory. */
struct writer *words_writer(const struct arguments *arguments);

/* EXIT_OK after writing; the exit code. */
int words_finish(const struct arguments *arguments, struct writer *writer);

/* "2026-11-21T10:00:00.123Z" */
#define WORDS_TIME_MAX 32
const char *words_format_time(int64_t wall_ms, char ret_text[WORDS_TIME_MAX]);
