/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getopt_long takes the options from between the words, by a table made of those that all commands have and the
 * command's own.
 */
#include "cli/words.h"

#include "base/assert.h"
#include "base/slice.h"
#include "base/util.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void words_print_common(FILE *out)
{
    fputs("  --address LIST   http://HOST:PORT, https://HOST:PORT or unix:/PATH, several separated by commas\n"
          "                   (default: $MUSTER_ADDR, else http://127.0.0.1:2379)\n"
          "  --output FORMAT  table (default) or json\n"
          "  --ca FILE        trust these authorities (PEM) instead of the system's\n"
          "  --cert FILE      show this certificate (PEM)\n"
          "  --key FILE       its key, when it is not in the same file\n",
          out);
}

int words_read_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t n_digits = strspn(text, "0123456789");
    uint64_t number;
    if (slice_parse_u64(slice_from(text, n_digits), &number) < 0 || number > UINT32_MAX)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(text + n_digits, units[i].unit) == 0) {
            *ret_ms = (int64_t)number * units[i].ms;
            return 0;
        }
    }
    return -1;
}

static int take_list(struct argument_list *list, char *text)
{
    for (char *rest = text, *item; (item = strsep(&rest, ","));) {
        if (list->n == ARGUMENT_LIST_MAX)
            return -1;
        if (*item)
            list->items[list->n++] = item;
    }
    list->items[list->n] = NULL;
    return 0;
}

/* 0, or the exit code. */
static int take_own(const struct arguments *arguments, const struct argument *own, char *text)
{
    uint64_t number;
    switch (own->type) {
    case ARGUMENT_FLAG:
        *(bool *)own->value = true;
        return 0;
    case ARGUMENT_TEXT:
        *(const char **)own->value = text;
        return 0;
    case ARGUMENT_NUMBER:
        if (slice_parse_u64(slice_from_str(text), &number) < 0 || number > UINT16_MAX)
            return command_fail_usage(arguments->command, arguments->io, "--%s is a number up to %d, not \"%s\"",
                                      own->name, UINT16_MAX, text);
        *(unsigned *)own->value = (unsigned)number;
        return 0;
    case ARGUMENT_DURATION:
        if (words_read_duration(text, own->value) < 0)
            return command_fail_usage(arguments->command, arguments->io,
                                      "--%s is a time like 500ms, 30s, 5m or 2h, not \"%s\"", own->name, text);
        return 0;
    case ARGUMENT_LIST:
        if (take_list(own->value, text) < 0)
            return command_fail_usage(arguments->command, arguments->io, "--%s: more than %d items", own->name,
                                      ARGUMENT_LIST_MAX);
        return 0;
    }
    ASSERT(false);
    return EXIT_USAGE;
}

enum common { COMMON_ADDRESS, COMMON_OUTPUT, COMMON_CA, COMMON_CERT, COMMON_KEY, N_COMMON };

static int take_common(struct arguments *arguments, enum common which, char *text)
{
    const char **const texts[] = {
        [COMMON_ADDRESS] = &arguments->options.addresses, [COMMON_OUTPUT] = NULL,
        [COMMON_CA] = &arguments->options.ca_file,        [COMMON_CERT] = &arguments->options.cert_file,
        [COMMON_KEY] = &arguments->options.key_file,
    };
    if (texts[which]) {
        *texts[which] = text;
        return 0;
    }
    if (strcmp(text, "json") != 0 && strcmp(text, "table") != 0)
        return command_fail_usage(arguments->command, arguments->io, "--output is table or json, not \"%s\"", text);
    arguments->json = strcmp(text, "json") == 0;
    return 0;
}

static int take_words(struct arguments *arguments, int argc, char **argv, int min, int max)
{
    arguments->words = argv + optind;
    arguments->n_words = argc - optind;
    if (arguments->n_words > max)
        return command_fail_usage(arguments->command, arguments->io, "unexpected argument \"%s\"",
                                  arguments->words[max]);
    if (arguments->n_words < min)
        return command_fail_usage(arguments->command, arguments->io, "expected: muster %s %s", arguments->command->name,
                                  arguments->command->usage);
    return 0;
}

int words_parse(const struct command *command, const struct command_io *io, int argc, char **argv,
                const struct argument *own, unsigned n_own, bool stops, int min, int max,
                struct arguments *ret_arguments)
{
    struct arguments arguments = {.command = command, .io = io, .options = MUSTER_OPTIONS_INIT};
    struct option known[N_COMMON + WORDS_OWN_MAX + 1] = {
        [COMMON_ADDRESS] = {"address", required_argument, NULL, 0},
        [COMMON_OUTPUT] = {"output", required_argument, NULL, 0},
        [COMMON_CA] = {"ca", required_argument, NULL, 0},
        [COMMON_CERT] = {"cert", required_argument, NULL, 0},
        [COMMON_KEY] = {"key", required_argument, NULL, 0},
    };
    ASSERT(n_own <= WORDS_OWN_MAX);
    for (unsigned i = 0; i < n_own; i++) {
        int has_value = own[i].type == ARGUMENT_FLAG ? no_argument : required_argument;
        known[N_COMMON + i] = (struct option){own[i].name, has_value, NULL, 0};
    }
    optind = 0;
    opterr = 0;
    for (int c, at = -1; (c = getopt_long(argc, argv, stops ? "+:" : ":", known, &at)) != -1;) {
        if (c == ':')
            return command_fail_usage(command, io, "%s needs a value", argv[optind - 1]);
        if (c == '?')
            return command_fail_usage(command, io, "unknown option \"%s\"", argv[optind - 1]);
        int code = at < N_COMMON ? take_common(&arguments, (enum common)at, optarg)
                                 : take_own(&arguments, &own[at - N_COMMON], optarg);
        if (code != 0)
            return code;
    }
    int code = take_words(&arguments, argc, argv, min, max);
    if (code == 0)
        *ret_arguments = arguments;
    return code;
}

void words_split(char *word, const char **ret_service, const char **ret_instance)
{
    char *slash = strchr(word, '/');
    *ret_service = word;
    *ret_instance = slash ? slash + 1 : NULL;
    if (slash)
        *slash = '\0';
}

/* ------------------------------------------------------------------------------------------------ ends */

static int say(const struct arguments *arguments, int code, const char *text)
{
    fprintf(arguments->io->err, "muster %s: %s\n", arguments->command->name, text);
    return code;
}

int words_fail(const struct arguments *arguments, const struct muster_client *client, int result)
{
    int code = result == MUSTER_UNREACHABLE ? EXIT_UNREACHABLE : result == MUSTER_BAD_OPTIONS ? EXIT_USAGE : EXIT_NO;
    return say(arguments, code, muster_error(client));
}

int words_fail_memory(const struct arguments *arguments)
{
    return say(arguments, EXIT_NO, "out of memory");
}

int words_connect(const struct arguments *arguments, struct muster_client **ret_client)
{
    return muster_client_new(&arguments->options, ret_client) == MUSTER_OK ? 0 : words_fail_memory(arguments);
}

struct writer *words_writer(const struct arguments *arguments)
{
    return arguments->json ? writer_new_json(arguments->io->out)
                           : writer_new_table(arguments->io->out, arguments->io->color);
}

int words_finish(const struct arguments *arguments, struct writer *writer)
{
    return writer_finish(writer) < 0 ? words_fail_memory(arguments) : EXIT_OK;
}

const char *words_format_time(int64_t wall_ms, char ret_text[WORDS_TIME_MAX])
{
    struct tm utc;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (!gmtime_r(&seconds, &utc))
        return "";
    size_t len = strftime(ret_text, WORDS_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(ret_text + len, WORDS_TIME_MAX - len, ".%03dZ", (int)(wall_ms % 1000));
    return ret_text;
}
