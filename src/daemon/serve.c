/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve.h"

#include "daemon/arguments.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/gateway_config.h"
#include "daemon/server_options.h"

#include <errno.h>
#include <malloc.h>
#include <unistd.h>

/* What a thread's heap may keep at its end when it is freed, and from when on memory is mapped by itself. */
#define HEAP_KEEPS_BYTES (8 * 1024 * 1024)
#define MAPPED_BYTES     (1024 * 1024)

/* What is wrong with the configuration or its surroundings is the user's to put right; no memory is not. */
static int fail(const struct command_io *io, int error, const struct err *err)
{
    fprintf(io->err, "muster: %s\n", err->text);
    return error == -ENOMEM ? EXIT_NO : EXIT_USAGE;
}

static int check(const struct arguments *arguments, const struct command_io *io)
{
    struct err err = {""};
    struct config *config CLEANUP(config_freep) = NULL;
    struct listener_tls tls CLEANUP(listener_tls_deinit) = {0};
    struct gateway_config *gateway CLEANUP(gateway_config_freep) = NULL;
    int r = config_load(arguments, environ, &config, &err);
    if (r == 0)
        r = server_options_load_tls(config, &tls, &err);
    if (r == 0)
        r = gateway_config_new(config, &gateway, &err);
    if (r < 0)
        return fail(io, r, &err);
    fprintf(io->out, "the configuration is good\n");
    return EXIT_OK;
}

/*
 * A change that goes to thousands of watchers takes megabytes for a moment. To give them back to the system each time
 * and fault them in anew was half of its CPU. Saying the one limit ends malloc's adapting of the other, hence both.
 */
static void keep_freed_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEEPS_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

static int serve(const struct arguments *arguments, const struct command_io *io)
{
    struct err err = {""};
    struct daemon *daemon;
    keep_freed_memory();
    int r = daemon_open(arguments, environ, &daemon, &err);
    if (r < 0)
        return fail(io, r, &err);
    r = daemon_run(daemon, &err);
    daemon_close(daemon);
    return r < 0 ? fail(io, r, &err) : EXIT_OK;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct err err = {""};
    struct arguments arguments;
    int r = arguments_parse(argc, argv, &arguments, &err);
    if (r < 0)
        return fail(io, r, &err);
    int code = arguments.check ? check(&arguments, io) : serve(&arguments, io);
    arguments_deinit(&arguments);
    return code;
}

const struct command serve_command = {
    .name = "serve",
    .summary = "Run the registry and the gateway",
    .usage = "[FLAGS]",
    .example = "muster serve\nmuster serve --listen 10.0.0.5:2379 --data /srv/muster --log-level debug",
    .print_options = arguments_print_options,
    .run = run,
};
