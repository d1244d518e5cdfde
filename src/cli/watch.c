/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <limits.h>

static void print_options(FILE *out)
{
    fputs("  --count N        end after so many changes\n", out);
    words_print_common(out);
    fputs("\nruns until it is interrupted, through restarts of the server; with --output json each line is an object\n",
          out);
}

struct watching {
    const struct arguments *arguments;
    unsigned n_left; /* 0: no end */
};

/* JSON needs no escapes but these: what comes from the server is UTF-8. */
static void print_json_text(FILE *out, const char *name, const char *text)
{
    fprintf(out, ",\"%s\":\"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fprintf(out, "\\u%04x", (unsigned char)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static void print_json(FILE *out, const struct muster_event *event)
{
    fprintf(out, "{\"wall_ms\":%" PRId64 ",\"revision\":%" PRId64, event->wall_ms, event->revision);
    print_json_text(out, "service", event->service);
    print_json_text(out, "instance", event->instance);
    print_json_text(out, "what", event->kind);
    print_json_text(out, "by", event->actor);
    print_json_text(out, "evidence", event->evidence);
    fprintf(out, ",\"silence_ms\":%" PRId64 "}\n", event->silence_ms);
}

static void print_line(FILE *out, const struct muster_event *event)
{
    char time[WORDS_TIME_MAX];
    fprintf(out, "%s  %s/%s  %s", words_format_time(event->wall_ms, time), event->service, event->instance,
            event->kind);
    if (*event->actor)
        fprintf(out, "  by %s", event->actor);
    if (*event->evidence)
        fprintf(out, "  (%s)", event->evidence);
    fputc('\n', out);
}

static int on_event(void *ctx, const struct muster_event *event)
{
    struct watching *watching = ctx;
    FILE *out = watching->arguments->io->out;
    if (event->wall_ms == 0) { /* a reset */
        fprintf(watching->arguments->io->err, "muster watch: some changes were missed\n");
        return 0;
    }
    if (watching->arguments->json)
        print_json(out, event);
    else
        print_line(out, event);
    if (fflush(out) != 0)
        return 1; /* nobody reads any more */
    return watching->n_left > 0 && --watching->n_left == 0;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct arguments arguments;
    struct watching watching = {&arguments, 0};
    const struct argument own[] = {{"count", ARGUMENT_NUMBER, &watching.n_left}};
    struct muster_client *client;
    int code = words_parse(&watch_command, io, argc, argv, own, ARRAY_LEN(own), false, 0, INT_MAX, &arguments);
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    const char *const *services = arguments.n_words > 0 ? (const char *const *)arguments.words : NULL;
    int result = muster_watch(client, services, on_event, &watching);
    code = result == MUSTER_STOPPED ? EXIT_OK : words_fail(&arguments, client, result);
    muster_client_free(client);
    return code;
}

const struct command watch_command = {
    .name = "watch",
    .summary = "Show changes as they happen",
    .usage = "[SERVICE…]",
    .example = "muster watch\nmuster watch web db --count 10 --output json",
    .print_options = print_options,
    .run = run,
};
