/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster COMMAND …`: finds the command and runs it. `help` and the version are answered here.
 */
#pragma once

#include "cli/command.h"

extern const struct command version_command;
extern const struct command status_command;

/* Gives the exit code of the program. */
int cli_run(const struct command *const *commands, size_t n_commands, int argc, char **argv,
            const struct command_io *io);

/* The same on the standard streams; colours when standard output is a terminal and NO_COLOR is not set. */
int cli_main(const struct command *const *commands, size_t n_commands, int argc, char **argv);
