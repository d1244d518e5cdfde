/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster COMMAND …`: finds the command and runs it. `help` and the version are answered here.
 */
#pragma once

#include "cli/command.h"

extern const struct command version_command;
extern const struct command status_command;
extern const struct command ls_command;
extern const struct command show_command;
extern const struct command watch_command;
extern const struct command history_command;
extern const struct command why_command;
extern const struct command graph_command;
extern const struct command top_command;
extern const struct command wait_command;
extern const struct command register_command;
extern const struct command deregister_command;
extern const struct command drain_command;
extern const struct command maintenance_command;
extern const struct command run_command;

/* Gives the exit code of the program. */
int cli_run(const struct command *const *commands, size_t n_commands, int argc, char **argv,
            const struct command_io *io);

/* The same on the standard streams; colours when standard output is a terminal and NO_COLOR is not set. */
int cli_main(const struct command *const *commands, size_t n_commands, int argc, char **argv);
