/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One subcommand of `muster`. Commands are static const descriptions; main lists them in one table.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* What `muster` exits with. Scripts rely on these: they never change their meaning. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_NO = 1,          /* it failed, or the answer is no */
    EXIT_USAGE = 2,       /* the command line or the configuration is wrong */
    EXIT_UNREACHABLE = 3, /* no muster answers at the address */
};

/* Where a command writes. */
struct command_io {
    FILE *out, *err;
    int color; /* whether `out` is a terminal that wants colours */
};

struct command {
    const char *name;
    const char *summary; /* one line, for the list */
    const char *usage;   /* what follows "muster NAME" */
    const char *example; /* one or more whole lines that can be pasted */
    /* Text below the usage: the options. Printed, not returned, because some commands make theirs from a table. */
    void (*print_options)(FILE *out);
    /* argv[0] is the command's name. Gives the exit code. */
    int (*run)(int argc, char **argv, const struct command_io *io);
};

/* The help of one command, as `muster help NAME` and `muster NAME --help` print it. */
void command_print_help(const struct command *command, FILE *out);

/* "muster NAME: …" with a hint at the help, on io->err. Gives EXIT_USAGE. */
int command_fail_usage(const struct command *command, const struct command_io *io, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
