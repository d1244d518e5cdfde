/* SPDX-License-Identifier: Apache-2.0 */
/* One line of options for all verbs; each verb says which of them it takes. */
#include "daemon/store_command.h"

#include "base/suggest.h"
#include "base/util.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

/* A copy of a large store takes its time. */
#define TIMEOUT_MS (600 * 1000)

enum option_bit {
    TAKES_FILE = 1,
    TAKES_SERVER = 2,
    TAKES_REPAIR = 4,
    TAKES_DUMP = 8, /* --history, --notes, --docs */
    TAKES_LEASE = 16,
};

enum operand_need { OPERAND_NONE, OPERAND_MAY, OPERAND_MUST };

static const struct verb {
    const char *name;
    const char *operand; /* what it is called */
    enum operand_need need;
    unsigned takes; /* option_bit */
    int (*run)(const struct store_arguments *arguments, const struct command_io *io);
} verbs[] = {
    {"check", NULL, OPERAND_NONE, TAKES_FILE | TAKES_SERVER | TAKES_REPAIR, store_check},
    {"dump", "PREFIX", OPERAND_MAY, TAKES_FILE | TAKES_SERVER | TAKES_DUMP, store_dump},
    {"snapshot", "FILE", OPERAND_MUST, TAKES_SERVER, store_snapshot},
    {"restore", "FILE", OPERAND_MUST, 0, store_restore},
    {"compact", "REVISION", OPERAND_MAY, TAKES_SERVER, store_compact},
    {"why", "KEY", OPERAND_MAY, TAKES_FILE | TAKES_SERVER | TAKES_LEASE, store_tell_why},
};

static void print_options(FILE *out)
{
    fputs("  check             read every file, compare all checksums, load what is there, and say what it is\n"
          "    --repair        cut off what is behind a damage (a stopped server's only), and say what was lost\n"
          "  dump [PREFIX]     print the keys, as text or with --output json one object a line\n"
          "    --history       also every change that is remembered\n"
          "    --notes         also what is remembered about removals, and other notes\n"
          "    --docs          also what the store keeps for muster itself\n"
          "  snapshot FILE     save a copy with its history; \"-\" is standard output\n"
          "  restore FILE      fill an empty data folder from a saved copy, also one by `etcdctl snapshot save`;\n"
          "                    \"-\" is standard input\n"
          "  compact [REVISION]  forget the history before it; without it, all history\n"
          "  why KEY           when and why the key went, or who changed it last\n"
          "    --lease ID      instead: about a lease (hexadecimal), and the keys that went with it\n"
          "\n"
          "which store (default: that of the data folder that `muster serve` chooses):\n"
          "  --data DIR        this data folder; when a server has it, that server is asked (also: $MUSTER_DATA)\n"
          "  --address LIST    this running server (also: $MUSTER_ADDR)\n"
          "  --ca FILE, --cert FILE, --key FILE  for https, as with `muster status`\n"
          "  --token TOKEN     of the user root, where users are asked for (also: $MUSTER_TOKEN)\n"
          "  --file FILE       check, dump, why: a saved copy\n"
          "\n"
          "  -o, --output FORMAT  table or text (default), or json\n"
          "\n"
          "exits with 0 when it is done and all is well, 1 when not, 3 when the server cannot be reached\n",
          out);
}

int store_fail(const struct store_arguments *arguments, const struct command_io *io, int error, const struct err *err)
{
    fprintf(io->err, "muster store %s: %s\n", arguments->verb, err->text);
    return error == -EHOSTUNREACH ? EXIT_UNREACHABLE : error == -EINVAL ? EXIT_USAGE : EXIT_NO;
}

struct writer *store_writer(const struct store_arguments *arguments, const struct command_io *io)
{
    return arguments->json ? writer_new_json(io->out) : writer_new_table(io->out, io->color);
}

int store_writer_end(const struct store_arguments *arguments, const struct command_io *io, struct writer *writer)
{
    struct err err;
    if (writer && writer_finish(writer) == 0)
        return EXIT_OK;
    err_set(&err, -ENOMEM, "out of memory");
    return store_fail(arguments, io, -ENOMEM, &err);
}

void store_write_id(struct writer *writer, const char *name, uint64_t id)
{
    char text[20];
    (void)snprintf(text, sizeof(text), "%" PRIx64, id);
    writer_text(writer, name, text);
}

/* ------------------------------------------------------------------------------------------------ the command line */

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int fail_verb(const char *name, const struct command_io *io)
{
    struct suggest suggest;
    suggest_init(&suggest, slice_from_str(name));
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        suggest_offer(&suggest, verbs[i].name);
    const char *near = suggest_best(&suggest);
    if (near)
        return command_fail_usage(&store_command, io, "\"%s\" is not one of its verbs, did you mean \"%s\"?", name,
                                  near);
    return command_fail_usage(&store_command, io, "\"%s\" is not one of its verbs", name);
}

enum option_letter {
    DATA = 'd',
    ADDRESS = 'a',
    SAVED = 'f',
    OUTPUT = 'o',
    CA = 'A',
    CERT = 'C',
    KEY = 'K',
    REPAIR = 'r',
    HISTORY = 'h',
    NOTES = 'n',
    DOCS = 'D',
    LEASE = 'l',
    TOKEN = 't'
};

static const struct option known[] = {
    {"data", required_argument, NULL, DATA},   {"address", required_argument, NULL, ADDRESS},
    {"file", required_argument, NULL, SAVED},  {"output", required_argument, NULL, OUTPUT},
    {"ca", required_argument, NULL, CA},       {"cert", required_argument, NULL, CERT},
    {"key", required_argument, NULL, KEY},     {"repair", no_argument, NULL, REPAIR},
    {"history", no_argument, NULL, HISTORY},   {"notes", no_argument, NULL, NOTES},
    {"docs", no_argument, NULL, DOCS},         {"token", required_argument, NULL, TOKEN},
    {"lease", required_argument, NULL, LEASE}, {NULL, 0, NULL, 0},
};

/* What a verb must take for the option to be right. */
static unsigned bits_of(int letter)
{
    switch (letter) {
    case ADDRESS:
    case CA:
    case CERT:
    case KEY:
    case TOKEN:
        return TAKES_SERVER;
    case SAVED:
        return TAKES_FILE;
    case REPAIR:
        return TAKES_REPAIR;
    case HISTORY:
    case NOTES:
    case DOCS:
        return TAKES_DUMP;
    case LEASE:
        return TAKES_LEASE;
    default:
        return 0;
    }
}

/* Options that are a word or a switch. */
static void take_option(struct store_arguments *arguments, int letter, const char *value)
{
    struct muster_options *server = &arguments->options.server;
    const char **const words[] = {
        [DATA] = &arguments->options.data, [SAVED] = &arguments->options.file, [ADDRESS] = &server->addresses,
        [CA] = &server->ca_file,           [CERT] = &server->cert_file,        [KEY] = &server->key_file,
        [LEASE] = &arguments->lease,       [TOKEN] = &server->token,
    };
    bool *const switches[] = {[REPAIR] = &arguments->repair,
                              [HISTORY] = &arguments->history,
                              [NOTES] = &arguments->notes,
                              [DOCS] = &arguments->docs};
    if (value)
        *words[letter] = value;
    else
        *switches[letter] = true;
}

static int take_output(struct store_arguments *arguments, const char *format, const struct command_io *io)
{
    arguments->json = strcmp(format, "json") == 0;
    if (arguments->json || strcmp(format, "table") == 0 || strcmp(format, "text") == 0)
        return 0;
    return command_fail_usage(&store_command, io, "--output is table, text or json, not \"%s\"", format);
}

/* 0, or the exit code. argv[0] is the verb. */
static int parse_options(int argc, char **argv, const struct verb *verb, const struct command_io *io,
                         struct store_arguments *arguments)
{
    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":o:", known, NULL)) != -1;) {
        if (c == ':')
            return command_fail_usage(&store_command, io, "%s needs a value", argv[optind - 1]);
        if (c == '?')
            return command_fail_usage(&store_command, io, "unknown option \"%s\"", argv[optind - 1]);
        if (bits_of(c) & ~verb->takes)
            return command_fail_usage(&store_command, io, "%s takes no such option: %s", verb->name,
                                      argv[optind - 1 - (optarg && optarg == argv[optind - 1])]);
        int code = c == OUTPUT ? take_output(arguments, optarg, io) : 0;
        if (code != 0)
            return code;
        if (c != OUTPUT)
            take_option(arguments, c, optarg);
    }
    return 0;
}

static int check_operands(int argc, char **argv, const struct verb *verb, const struct command_io *io,
                          struct store_arguments *arguments)
{
    int n_max = verb->need == OPERAND_NONE ? 0 : 1;
    if (argc > n_max)
        return command_fail_usage(&store_command, io, "unexpected argument \"%s\"", argv[n_max]);
    if (argc == 0 && verb->need == OPERAND_MUST)
        return command_fail_usage(&store_command, io, "%s needs a %s", verb->name, verb->operand);
    arguments->operand = argc > 0 ? argv[0] : NULL;
    const struct store_options *options = &arguments->options;
    if ((options->data != NULL) + (options->file != NULL) + (options->server.addresses != NULL) > 1)
        return command_fail_usage(&store_command, io, "--data, --address and --file name one store each; expected one");
    return 0;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct store_arguments arguments = {.options.server = MUSTER_OPTIONS_INIT};
    arguments.options.server.timeout_ms = TIMEOUT_MS;
    if (argc < 2)
        return command_fail_usage(&store_command, io, "expected check, dump, snapshot, restore, compact or why");
    const struct verb *verb = find_verb(argv[1]);
    if (!verb)
        return fail_verb(argv[1], io);
    arguments.verb = verb->name;
    argc--, argv++;
    int code = parse_options(argc, argv, verb, io, &arguments);
    if (code == 0)
        code = check_operands(argc - optind, argv + optind, verb, io, &arguments);
    return code == 0 ? verb->run(&arguments, io) : code;
}

const struct command store_command = {
    .name = "store",
    .summary = "Check, show, save and restore a store, running or not",
    .usage = "check | dump | snapshot FILE | restore FILE | compact [REVISION] | why KEY  [OPTIONS]",
    .example = "muster store check\n"
               "muster store dump /services/ --output json\n"
               "muster store snapshot backup.muster --address http://10.0.0.5:2379\n"
               "muster store restore backup.muster --data /var/lib/muster\n"
               "muster store why /services/api/1",
    .print_options = print_options,
    .run = run,
};
