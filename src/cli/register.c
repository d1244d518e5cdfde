/* SPDX-License-Identifier: Apache-2.0 */
/* `register` and `deregister`. */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <string.h>

#define CHECK_TYPE_MAX 16

static void print_options(FILE *out)
{
    fputs("  --id ID          of the instance (default: the address)\n"
          "  --ttl TIME       it goes when nobody has renewed it for so long (default: 30s)\n"
          "  --hold           stay, and keep it registered for as long as this command runs\n"
          "  --tags LIST      a,b,c\n"
          "  --needs LIST     the services that it needs\n"
          "  --metadata LIST  name=value,…\n"
          "  --zone ZONE, --weight N\n"
          "  --check TYPE[:TARGET]  have the server check it: tcp, http:/health, grpc:SERVICE, ttl\n",
          out);
    words_print_common(out);
}

struct registering {
    const char *check;
    int64_t ttl_ms;
    bool hold;
    struct argument_list tags, needs, metadata;
    struct muster_pair pairs[ARGUMENT_LIST_MAX];
    char check_type[CHECK_TYPE_MAX];
    struct muster_check its_check;
    struct muster_register_options options;
};

/* "name=value" in each of the list. False: one is not. */
static bool read_metadata(struct registering *registering, char *const *texts)
{
    for (unsigned i = 0; i < registering->metadata.n; i++) {
        char *equals = strchr(texts[i], '=');
        if (!equals)
            return false;
        *equals = '\0';
        registering->pairs[i] = (struct muster_pair){texts[i], equals + 1};
    }
    registering->options.metadata = registering->pairs;
    registering->options.n_metadata = registering->metadata.n;
    return true;
}

static bool read_check(struct registering *registering)
{
    const char *colon = strchrnul(registering->check, ':');
    size_t len = (size_t)(colon - registering->check);
    if (len >= CHECK_TYPE_MAX)
        return false;
    memcpy(registering->check_type, registering->check, len);
    registering->its_check.type = registering->check_type;
    registering->its_check.target = *colon ? colon + 1 : NULL;
    registering->options.check = &registering->its_check;
    return true;
}

static int fill(struct registering *registering, const struct arguments *arguments)
{
    const struct command *command = arguments->command;
    registering->options.address = arguments->words[1];
    registering->options.tags = registering->tags.n > 0 ? registering->tags.items : NULL;
    registering->options.needs = registering->needs.n > 0 ? registering->needs.items : NULL;
    registering->options.hold = registering->hold;
    if (registering->ttl_ms < 0 || registering->ttl_ms > INT32_MAX)
        return command_fail_usage(command, arguments->io, "--ttl is at most %d days", 24);
    registering->options.ttl_ms = (unsigned)registering->ttl_ms;
    /* The items are words of the command line. */
    if (!read_metadata(registering, (char **)(uintptr_t)registering->metadata.items))
        return command_fail_usage(command, arguments->io, "--metadata is name=value,…");
    if (registering->check && !read_check(registering))
        return command_fail_usage(command, arguments->io, "--check is tcp, http:/PATH, grpc:SERVICE or ttl");
    return 0;
}

static void on_state(void *ctx, struct muster_registration *registration, enum muster_registration_state state)
{
    const struct arguments *arguments = ctx;
    char reason[512];
    muster_registration_reason(registration, reason, sizeof(reason));
    if (state == MUSTER_REGISTERED)
        fprintf(arguments->io->err, "muster register: registered\n");
    else
        fprintf(arguments->io->err, "muster register: %s: %s\n", state == MUSTER_DENIED ? "refused" : "lost", reason);
}

/* Until a signal ends the program. */
static int hold(const struct arguments *arguments, struct muster_client *client, const char *service,
                const struct muster_register_options *options)
{
    struct muster_registration *registration;
    int result = muster_register(client, service, options, &registration);
    if (result != MUSTER_OK)
        return words_fail(arguments, client, result);
    muster_registration_notify(registration, on_state, (void *)(uintptr_t)arguments);
    while (muster_registration_state(registration) != MUSTER_DENIED)
        (void)muster_wait(client, -1);
    muster_registration_free(registration);
    return EXIT_NO;
}

static int run_register(int argc, char **argv, const struct command_io *io)
{
    struct registering registering = {.options = MUSTER_REGISTER_INIT};
    const struct argument own[] = {
        {"id", ARGUMENT_TEXT, &registering.options.id},
        {"ttl", ARGUMENT_DURATION, &registering.ttl_ms},
        {"hold", ARGUMENT_FLAG, &registering.hold},
        {"tags", ARGUMENT_LIST, &registering.tags},
        {"needs", ARGUMENT_LIST, &registering.needs},
        {"metadata", ARGUMENT_LIST, &registering.metadata},
        {"zone", ARGUMENT_TEXT, &registering.options.zone},
        {"check", ARGUMENT_TEXT, &registering.check},
        {"weight", ARGUMENT_NUMBER, &registering.options.weight},
    };
    struct arguments arguments;
    struct muster_client *client;
    int code = words_parse(&register_command, io, argc, argv, own, ARRAY_LEN(own), false, 2, 2, &arguments);
    if (code == 0)
        code = fill(&registering, &arguments);
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    if (registering.hold) {
        code = hold(&arguments, client, arguments.words[0], &registering.options);
    } else {
        int result = muster_register_once(client, arguments.words[0], &registering.options);
        code = result == MUSTER_OK ? EXIT_OK : words_fail(&arguments, client, result);
    }
    muster_client_free(client);
    return code;
}

const struct command register_command = {
    .name = "register",
    .summary = "Register an instance of a service",
    .usage = "SERVICE ADDRESS",
    .example = "muster register web http@10.0.0.7:8080 --ttl 1h --tags v2 --check http:/health\n"
               "muster register db tcp@10.0.0.9:5432 --hold",
    .print_options = print_options,
    .run = run_register,
};

static int run_deregister(int argc, char **argv, const struct command_io *io)
{
    const char *service, *id;
    struct arguments arguments;
    struct muster_client *client;
    int code = words_parse(&deregister_command, io, argc, argv, NULL, 0, false, 1, 1, &arguments);
    if (code != 0)
        return code;
    words_split(arguments.words[0], &service, &id);
    if (!id)
        return command_fail_usage(&deregister_command, io, "expected SERVICE/INSTANCE, not \"%s\"", service);
    code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    int result = muster_deregister(client, service, id);
    code = result == MUSTER_OK ? EXIT_OK : words_fail(&arguments, client, result);
    muster_client_free(client);
    return code;
}

const struct command deregister_command = {
    .name = "deregister",
    .summary = "Take an instance out",
    .usage = "SERVICE/INSTANCE",
    .example = "muster deregister web/http@10.0.0.7:8080",
    .print_options = words_print_common,
    .run = run_deregister,
};
