/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of all keys: what the file, the environment, `--set`, the flags, `muster serve --help` and
 * docs/configuration.md are made from. And the texts of values: how they are read and written.
 */
#pragma once

#include "base/slice.h"
#include "daemon/config.h"

enum config_type {
    CONFIG_TEXT,      /* char *; may be empty */
    CONFIG_NUMBER,    /* unsigned */
    CONFIG_BYTES,     /* size_t; "64k", "1M" */
    CONFIG_DURATION,  /* nsec_t; "500ms", "10s", "5m", "1h" */
    CONFIG_BOOL,      /* bool */
    CONFIG_CHOICE,    /* unsigned: an index into words */
    CONFIG_ADDRESSES, /* struct config_list, each one checked by addr_parse */
    CONFIG_TEXTS,     /* struct config_list */
};

struct config_key {
    const char *path; /* "http.head_timeout" */
    enum config_type type;
    bool reloadable;      /* whether SIGHUP applies it */
    size_t offset;        /* in struct config */
    const char *fallback; /* the default, as text; items of a list separated by commas */
    uint64_t min, max;    /* of numbers, of bytes, of durations in ns */
    const char *const *words;
    const char *flag; /* NULL: only --set */
    const char *flag_value;
    const char *help;
};

extern const struct config_key config_keys[];
extern const unsigned n_config_keys;

/* NULL when there is none of that path. */
const struct config_key *config_key_find(struct slice path);
const struct config_key *config_key_find_flag(struct slice flag);

/* "unknown key" with the nearest one, if any. Gives -EINVAL. */
int config_key_fail_unknown(struct slice path, struct err *err);

/* "MUSTER_HTTP_HEAD_TIMEOUT". The text is cut when it does not fit. */
#define CONFIG_VARIABLE_MAX 64
void config_key_variable(const struct config_key *key, char ret_name[CONFIG_VARIABLE_MAX]);

/* "a duration such as 10s, from 10ms to 1h": what a value of this key has to be. */
void config_key_expected(const struct config_key *key, char *ret_text, size_t size);

/*
 * Sets a value from text. A list loses what other origins gave it before, and has the item appended when the origin is
 * the same; from the environment and `--set` the text is a whole list, separated by commas.
 * 0, -EINVAL with what was wrong and expected in err (without place and key), or -ENOMEM.
 */
int config_set(struct config *config, const struct config_key *key, struct slice text, struct config_origin origin,
               struct err *err);

/* Frees the value and zeroes it. */
void config_clear(struct config *config, const struct config_key *key);

bool config_value_equal(const struct config *a, const struct config *b, const struct config_key *key);

/* Swaps a value, and where it came from, between two configs. */
void config_swap(struct config *a, struct config *b, const struct config_key *key);

/* "muster.yaml:3: http.head_timeout" or "--listen": where the value of a key comes from, to begin a message with. */
void config_where(const struct config *config, const struct config_key *key, char *ret_text, size_t size);
