/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for a server that speaks etcd v3, and what came of it as one line for a program: see bench/store.
 *
 *     grpc_load MODE [NAME=NUMBER]...
 *
 * It prepares itself and says "ready at_ns=…" (on the monotonic clock); then each line on its standard input is a
 * turn, answered with a line. What the server's accounts say between two lines is what the turn cost it. Ends with its
 * input.
 */
#include "modes.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct mode *const modes[] = {
    &mode_fill,      &mode_put,   &mode_get,    &mode_range,   &mode_missing, &mode_register,
    &mode_keepalive, &mode_watch, &mode_expire, &mode_survive, &mode_sync,
};

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (strcmp(modes[i]->name, name) == 0)
            return modes[i];
    errx(EXIT_FAILURE, "no mode is named %s", name);
}

static bool wait_for_line(void)
{
    int c;
    fflush(stdout);
    while ((c = getchar()) != '\n')
        if (c == EOF)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        errx(EXIT_FAILURE, "usage: grpc_load MODE [NAME=NUMBER]...");
    const struct mode *mode = find_mode(argv[1]);
    struct load load;
    load_init(&load, argc - 2, argv + 2);
    mode->prepare(&load);
    printf("ready at_ns=%" PRId64 "\n", now_ns());
    while (wait_for_line()) {
        mode->turn(&load);
        printf("\n");
    }
    if (mode->end)
        mode->end(&load);
    load_deinit(&load);
    return EXIT_SUCCESS;
}
