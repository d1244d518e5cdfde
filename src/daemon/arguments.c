/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags come from two tables: the few below, which are no settings, and the keys that have a flag of their own.
 * Each is written `--flag VALUE` or `--flag=VALUE`.
 */
#include "daemon/arguments.h"

#include "base/suggest.h"
#include "base/util.h"
#include "daemon/config_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum special { SPECIAL_CONFIG, SPECIAL_SET, SPECIAL_CHECK, SPECIAL_READY_FD };

static const struct special_flag {
    const char *name;
    const char *value; /* NULL: takes none */
    enum special special;
    const char *help;
} special_flags[] = {
    {"--config", "FILE", SPECIAL_CONFIG, "read settings from this YAML file (also: $MUSTER_CONFIG)"},
    {"--set", "KEY=VALUE", SPECIAL_SET, "give any of the settings below; repeatable"},
    {"--check", NULL, SPECIAL_CHECK, "only say whether the configuration is good"},
    {"--ready-fd", "N", SPECIAL_READY_FD, "when ready, write a line per listener to descriptor N and close it"},
};

static const struct special_flag *find_special(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(special_flags); i++) {
        if (slice_equal_str(name, special_flags[i].name))
            return &special_flags[i];
    }
    return NULL;
}

static int fail_unknown(struct slice name, struct err *err)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (size_t i = 0; i < ARRAY_LEN(special_flags); i++)
        suggest_offer(&suggest, special_flags[i].name);
    for (unsigned i = 0; i < n_config_keys; i++) {
        if (config_keys[i].flag)
            suggest_offer(&suggest, config_keys[i].flag);
    }
    const char *near = suggest_best(&suggest);
    if (near)
        return err_set(err, -EINVAL, "%.*s: unknown flag, did you mean %s?", SLICE_ARG(name), near);
    return err_set(err, -EINVAL, "%.*s: unknown flag (see: muster serve --help)", SLICE_ARG(name));
}

static void add_setting(struct arguments *arguments, const struct config_key *key, const char *value, bool is_flag)
{
    arguments->settings[arguments->n_settings++] = (struct argument){key, value, is_flag};
}

static int take_set(struct arguments *arguments, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return err_set(err, -EINVAL, "--set %s: expected KEY=VALUE", text);
    struct slice path = {text, (size_t)(equals - text)};
    const struct config_key *key = config_key_find(path);
    if (!key) {
        int r = config_key_fail_unknown(path, err);
        return err_wrap(err, r, "--set");
    }
    add_setting(arguments, key, equals + 1, false);
    return 0;
}

static int take_special(struct arguments *arguments, enum special special, const char *value, struct err *err)
{
    uint64_t number;
    switch (special) {
    case SPECIAL_CONFIG:
        arguments->config_file = value;
        return 0;
    case SPECIAL_SET:
        return take_set(arguments, value, err);
    case SPECIAL_CHECK:
        arguments->check = true;
        return 0;
    case SPECIAL_READY_FD:
        if (slice_parse_u64(slice_from_str(value), &number) < 0 || number > 65535)
            return err_set(err, -EINVAL, "--ready-fd: \"%s\" is no descriptor; expected a number", value);
        arguments->ready_fd = (int)number;
        return 0;
    }
    return 0;
}

/* Takes the argument at *index, and the next one when it is its value. */
static int take_argument(struct arguments *arguments, int argc, char **argv, int *index, struct err *err)
{
    struct slice name;
    const char *text = argv[*index];
    if (strncmp(text, "--", 2) != 0)
        return err_set(err, -EINVAL, "%s: unexpected argument (see: muster serve --help)", text);
    (void)slice_split(slice_from_str(text), '=', &name);
    const char *value = text[name.len] == '=' ? text + name.len + 1 : NULL;

    const struct special_flag *special = find_special(name);
    const struct config_key *key = config_key_find_flag(name);
    if (!special && !key)
        return fail_unknown(name, err);
    const char *value_name = special ? special->value : key->flag_value;
    if (!value_name && value)
        return err_set(err, -EINVAL, "%.*s takes no value", SLICE_ARG(name));
    if (value_name && !value) {
        if (*index + 1 == argc)
            return err_set(err, -EINVAL, "%s needs a value: %s", text, value_name);
        value = argv[++*index];
    }
    if (special)
        return take_special(arguments, special->special, value, err);
    add_setting(arguments, key, value, true);
    return 0;
}

int arguments_parse(int argc, char **argv, struct arguments *ret_arguments, struct err *err)
{
    struct arguments arguments = {.ready_fd = -1};
    arguments.settings = calloc((size_t)argc, sizeof(*arguments.settings));
    if (!arguments.settings)
        return -ENOMEM;
    for (int i = 1; i < argc; i++) {
        int r = take_argument(&arguments, argc, argv, &i, err);
        if (r < 0) {
            arguments_deinit(&arguments);
            return r;
        }
    }
    *ret_arguments = arguments;
    return 0;
}

void arguments_deinit(struct arguments *arguments)
{
    free(arguments->settings);
    *arguments = (struct arguments){.ready_fd = -1};
}

#define FLAG_COLUMN 24

static void print_flag(FILE *out, const char *flag, const char *value, const char *help)
{
    int n = fprintf(out, "  %s%s%s", flag, value ? " " : "", value ? value : "");
    fprintf(out, "%*s%s\n", n < FLAG_COLUMN ? FLAG_COLUMN - n : 1, "", help);
}

static const char *shown_default(const struct config_key *key)
{
    return *key->fallback ? key->fallback : "empty";
}

void arguments_print_options(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(special_flags); i++)
        print_flag(out, special_flags[i].name, special_flags[i].value, special_flags[i].help);
    for (unsigned i = 0; i < n_config_keys; i++) {
        const struct config_key *key = &config_keys[i];
        if (key->flag)
            print_flag(out, key->flag, key->flag_value, key->help);
    }
    fputs("\nsettings: --set KEY=VALUE, in the file (dots are levels), or as MUSTER_KEY in the environment, with _ for "
          "dots;\nflags win over --set, which wins over the environment, which wins over the file\n\n",
          out);
    for (unsigned i = 0; i < n_config_keys; i++) {
        const struct config_key *key = &config_keys[i];
        char expected[128];
        config_key_expected(key, expected, sizeof(expected));
        fprintf(out, "  %s (default: %s%s)\n      %s\n      %s\n", key->path, shown_default(key),
                key->reloadable ? "; reloaded by SIGHUP" : "", key->help, expected);
    }
}
