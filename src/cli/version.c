/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "muster.h"

static int run(int argc, char **argv, const struct command_io *io)
{
    if (argc > 1)
        return command_fail_usage(&version_command, io, "unexpected argument \"%s\"", argv[1]);
    fprintf(io->out, "muster %s\n", muster_version());
    return EXIT_OK;
}

const struct command version_command = {
    .name = "version",
    .summary = "Show the version of this program",
    .usage = "",
    .example = "muster version",
    .run = run,
};
