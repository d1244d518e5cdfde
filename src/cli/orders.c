/* SPDX-License-Identifier: Apache-2.0 */
/* `drain` and `maintenance`: orders that keep instances from being offered. */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <limits.h>
#include <string.h>

static void print_order_options(FILE *out)
{
    fputs("  --for TIME       how long: 30s, 10m, 2h (default: until it is ended)\n"
          "  --reason TEXT    shown to whoever asks why\n"
          "  --end            end it\n",
          out);
}

static void print_maintenance_options(FILE *out)
{
    print_order_options(out);
    words_print_common(out);
}

static void print_drain_options(FILE *out)
{
    print_order_options(out);
    fputs("  --wait           wait until no request is under way there through the gateway\n"
          "  --gone           wait until it has left the registry\n"
          "  --timeout TIME   for so long at most (default: for ever)\n",
          out);
    words_print_common(out);
    fputs("\nexits with 1 when that is not so after --timeout, and tells who still holds it\n", out);
}

struct ordering {
    enum muster_order_kind kind;
    const char *service, *id, *reason;
    int64_t for_ms, timeout_ms;
    bool end, wait, gone;
};

static bool is_there(struct muster_service *service, const char *id)
{
    struct muster_instances *instances;
    bool is_found = false;
    if (muster_service_instances(service, &instances) != MUSTER_OK)
        return true;
    for (size_t i = 0; i < instances->n && !is_found; i++)
        is_found = !id || strcmp(instances->items[i]->id, id) == 0;
    muster_instances_free(instances);
    return is_found;
}

/* Each change of the service ends a wait. */
static int wait_until_gone(const struct arguments *arguments, struct muster_client *client,
                           const struct ordering *ordering)
{
    struct muster_service *service;
    int64_t left_ms = ordering->timeout_ms > 0 ? ordering->timeout_ms : INT64_MAX;
    int result = muster_follow(client, ordering->service, &service);
    if (result == MUSTER_OK)
        result = muster_service_wait(service, 0, arguments->options.timeout_ms);
    while (result == MUSTER_OK && is_there(service, ordering->id) && left_ms > 0) {
        const int step_ms = 100; /* changes end it sooner; the clock only counts the time that is left */
        if (muster_wait(client, step_ms) == MUSTER_TIMED_OUT)
            left_ms -= step_ms;
    }
    int code = result != MUSTER_OK               ? words_fail(arguments, client, result)
               : is_there(service, ordering->id) ? EXIT_NO
                                                 : EXIT_OK;
    muster_service_free(service);
    return code;
}

static void print_holders(const struct command_io *io, const struct muster_holders *holders)
{
    for (size_t i = 0; i < holders->n; i++) {
        const struct muster_holder *holder = &holders->items[i];
        (void)fprintf(io->err, "%s is held by %s: %s, %s for %.1f s\n", holder->instance, holder->client,
                      holder->request, holder->state, (double)holder->age_ms / 1000);
    }
}

/* The gateway is asked again and again: it knows at any moment, and a drain is not waited for often. */
static int wait_until_free(const struct arguments *arguments, struct muster_client *client,
                           const struct ordering *ordering, const struct command_io *io)
{
    const int step_ms = 100;
    for (int64_t waited_ms = 0;; waited_ms += step_ms) {
        struct muster_holders *holders;
        int result = muster_get_holders(client, ordering->service, ordering->id, &holders);
        if (result != MUSTER_OK)
            return words_fail(arguments, client, result);
        bool is_free = !holders->picked && holders->in_flight == 0;
        bool is_late = ordering->timeout_ms > 0 && waited_ms >= ordering->timeout_ms;
        if (!is_free && is_late)
            print_holders(io, holders);
        muster_holders_free(holders);
        if (is_free || is_late)
            return is_free ? EXIT_OK : EXIT_NO;
        (void)muster_wait(client, step_ms);
    }
}

static int carry_out(const struct arguments *arguments, struct muster_client *client, const struct ordering *ordering,
                     const struct command_io *io)
{
    int result = ordering->end ? muster_order_end(client, ordering->kind, ordering->service, ordering->id)
                               : muster_order(client, ordering->kind, ordering->service, ordering->id, ordering->reason,
                                              ordering->for_ms);
    if (result != MUSTER_OK)
        return words_fail(arguments, client, result);
    int code = ordering->wait ? wait_until_free(arguments, client, ordering, io) : EXIT_OK;
    return code == EXIT_OK && ordering->gone ? wait_until_gone(arguments, client, ordering) : code;
}

static int run(const struct command *command, struct ordering *ordering, int argc, char **argv,
               const struct command_io *io)
{
    const struct argument own[] = {
        {"for", ARGUMENT_DURATION, &ordering->for_ms}, {"reason", ARGUMENT_TEXT, &ordering->reason},
        {"end", ARGUMENT_FLAG, &ordering->end},        {"wait", ARGUMENT_FLAG, &ordering->wait},
        {"gone", ARGUMENT_FLAG, &ordering->gone},      {"timeout", ARGUMENT_DURATION, &ordering->timeout_ms},
    };
    unsigned n_own = ordering->kind == MUSTER_DRAIN ? ARRAY_LEN(own) : 3; /* the last ones are drain's */
    struct arguments arguments;
    struct muster_client *client;
    int code = words_parse(command, io, argc, argv, own, n_own, false, 1, 1, &arguments);
    if (code == 0 && ordering->end && (ordering->wait || ordering->gone || ordering->for_ms > 0))
        code = command_fail_usage(command, io, "--end goes with none of --for, --wait and --gone");
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    words_split(arguments.words[0], &ordering->service, &ordering->id);
    code = carry_out(&arguments, client, ordering, io);
    muster_client_free(client);
    return code;
}

static int run_drain(int argc, char **argv, const struct command_io *io)
{
    struct ordering ordering = {.kind = MUSTER_DRAIN};
    return run(&drain_command, &ordering, argc, argv, io);
}

static int run_maintenance(int argc, char **argv, const struct command_io *io)
{
    struct ordering ordering = {.kind = MUSTER_MAINTENANCE};
    return run(&maintenance_command, &ordering, argc, argv, io);
}

const struct command drain_command = {
    .name = "drain",
    .summary = "Give no new work to an instance or a service",
    .usage = "SERVICE[/INSTANCE] [--for TIME] [--wait] [--gone]",
    .example = "muster drain web/10.0.0.7:8080 --reason \"new version\" --wait\nmuster drain web --end",
    .print_options = print_drain_options,
    .run = run_drain,
};

const struct command maintenance_command = {
    .name = "maintenance",
    .summary = "Give no work at all to an instance or a service",
    .usage = "SERVICE[/INSTANCE] [--for TIME]",
    .example = "muster maintenance db --for 2h --reason \"disk is replaced\"\nmuster maintenance db --end",
    .print_options = print_maintenance_options,
    .run = run_maintenance,
};
