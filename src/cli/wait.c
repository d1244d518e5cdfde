/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <limits.h>

static void print_options(FILE *out)
{
    fputs("  --min N          instances that each must have (default: 1)\n"
          "  --timeout TIME   for so long at most (default: 30s)\n",
          out);
    words_print_common(out);
    fputs("\nexits with 0 as soon as all are ready, 1 when some are not in time\n", out);
}

static int run(int argc, char **argv, const struct command_io *io)
{
    unsigned min = 1;
    int64_t timeout_ms = 30000;
    const struct argument own[] = {{"min", ARGUMENT_NUMBER, &min}, {"timeout", ARGUMENT_DURATION, &timeout_ms}};
    struct arguments arguments;
    struct muster_client *client;
    int code = words_parse(&wait_command, io, argc, argv, own, ARRAY_LEN(own), false, 1, INT_MAX, &arguments);
    if (code == 0 && timeout_ms > INT_MAX)
        code = command_fail_usage(&wait_command, io, "--timeout is at most 24d");
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    int result = muster_wait_ready(client, (const char *const *)arguments.words, min, (unsigned)timeout_ms);
    code = result == MUSTER_OK ? EXIT_OK : words_fail(&arguments, client, result);
    muster_client_free(client);
    return code;
}

const struct command wait_command = {
    .name = "wait",
    .summary = "Wait until services are ready",
    .usage = "SERVICE… [--min N] [--timeout TIME]",
    .example = "muster wait db log\nmuster wait web --min 3 --timeout 2m && ./switch-over",
    .print_options = print_options,
    .run = run,
};
