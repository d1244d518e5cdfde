/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program `muster`: the commands it has. `serve` is the daemon; `store` reads a store's files, or talks to a
 * running daemon as the others do.
 */
#include "base/util.h"
#include "cli/cli.h"
#include "daemon/serve.h"
#include "daemon/store_command.h"

int main(int argc, char **argv)
{
    static const struct command *const commands[] = {
        &serve_command,       &ls_command,  &show_command,   &watch_command,    &history_command,    &why_command,
        &graph_command,       &top_command, &wait_command,   &register_command, &deregister_command, &drain_command,
        &maintenance_command, &run_command, &status_command, &store_command,    &version_command,
    };
    return cli_main(commands, ARRAY_LEN(commands), argc, argv);
}
