/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "base/slice.h"
#include "base/util.h"

#include <err.h>
#include <stdlib.h>

struct option {
    const char *name;
    size_t offset;
    uint64_t usual;
};

#define OPTION(member, usual)                                                                                          \
    {                                                                                                                  \
#member, offsetof(struct options, member), (usual)                                                             \
    }

static const struct option table[] = {
    OPTION(port, 2379), OPTION(conns, 1),    OPTION(callers, 1), OPTION(ms, 1000),  OPTION(ops, 0),
    OPTION(keys, 1000), OPTION(value, 200),  OPTION(count, 100), OPTION(leases, 0), OPTION(ttl, 600),
    OPTION(window, 1),  OPTION(watchers, 1), OPTION(rounds, 20), OPTION(lead, 10),  OPTION(patience, 10),
    OPTION(zeroed, 0),  OPTION(address, 0),
};

static uint64_t *member_of(struct options *options, const struct option *option)
{
    return (uint64_t *)(void *)((char *)options + option->offset);
}

static void set(struct options *options, struct slice word)
{
    struct slice name, value = slice_split(word, '=', &name);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (slice_equal_str(name, table[i].name) && slice_parse_u64(value, member_of(options, &table[i])) == 0)
            return;
    errx(EXIT_FAILURE, "what is %.*s?", SLICE_ARG(word));
}

void options_parse(struct options *options, int n_words, char **words)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        *member_of(options, &table[i]) = table[i].usual;
    for (int i = 0; i < n_words; i++)
        set(options, slice_from_str(words[i]));
}
