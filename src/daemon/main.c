/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program `muster`: the commands it has. Only `serve` is the daemon; the others talk to a running one.
 */
#include "base/util.h"
#include "cli/cli.h"
#include "daemon/serve.h"

int main(int argc, char **argv)
{
    static const struct command *const commands[] = {
        &serve_command,
        &status_command,
        &version_command,
    };
    return cli_main(commands, ARRAY_LEN(commands), argc, argv);
}
