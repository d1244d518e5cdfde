/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern is cut at the start into pieces: text that must be there, and the two names, each a whole path element or
 * the rest. So a key is matched in one pass, without going back.
 */
#include "catalog/projection.h"

#include "wire/json.h"

#include <errno.h>
#include <stdlib.h>

#define PIECES_MAX  8
#define NAMING_JSON ((struct json_limits){.n_bytes = INSTANCE_RECORD_VALUE_MAX, .depth = 8})

enum piece_type { PIECE_TEXT, PIECE_SERVICE, PIECE_ID };

struct piece {
    enum piece_type type;
    bool takes_rest;
    struct slice text;
};

struct rule {
    struct piece pieces[PIECES_MAX];
    unsigned n_pieces;
    struct slice service;
    enum projection_value value;
    bool needs_lease;
};

struct projection {
    struct arena arena; /* the rules' texts */
    struct rule *rules;
    unsigned n_rules;
    bool use_default;
};

/* ------------------------------------------------------------------------------------------------ rules */

static int parse_value(struct slice name, enum projection_value *ret_value, struct err *err)
{
    static const char *const names[] = {"any", "address", "naming", "record"}; /* in the order of the enum */
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (slice_equal_str(name, names[i])) {
            *ret_value = (enum projection_value)i;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "value=%.*s: expected any, address, naming or record", SLICE_ARG(name));
}

int projection_parse_rule(struct slice text, struct projection_rule *ret_rule, struct err *err)
{
    struct projection_rule rule = {.value = PROJECTION_ANY};
    struct slice word, rest = slice_split(slice_trim(text), ' ', &rule.pattern);
    while (rest.len > 0) {
        int r = 0;
        rest = slice_split(rest, ' ', &word);
        if (slice_starts_with(word, SLICE_LIT("service=")))
            rule.service = slice_skip(word, strlen("service="));
        else if (slice_starts_with(word, SLICE_LIT("value=")))
            r = parse_value(slice_skip(word, strlen("value=")), &rule.value, err);
        else if (slice_equal_str(word, "lease"))
            rule.needs_lease = true;
        else if (word.len > 0)
            r = err_set(err, -EINVAL, "%.*s: expected service=NAME, value=KIND or lease", SLICE_ARG(word));
        if (r < 0)
            return r;
    }
    *ret_rule = rule;
    return 0;
}

/* "{id}", "{service*}": what is in the braces. */
static int cut_name(struct slice name, struct piece *ret_piece, struct err *err)
{
    struct piece piece = {.takes_rest = name.len > 0 && name.ptr[name.len - 1] == '*'};
    name.len -= piece.takes_rest;
    if (slice_equal_str(name, "service"))
        piece.type = PIECE_SERVICE;
    else if (slice_equal_str(name, "id"))
        piece.type = PIECE_ID;
    else
        return err_set(err, -EINVAL, "{%.*s}: expected {service}, {id}, {service*} or {id*}", SLICE_ARG(name));
    *ret_piece = piece;
    return 0;
}

/* Takes the first piece off the pattern. */
static int cut_piece(struct slice *pattern, struct piece *ret_piece, struct err *err)
{
    size_t open = slice_find(*pattern, '{');
    if (open > 0) {
        *ret_piece = (struct piece){.type = PIECE_TEXT, .text = slice_from(pattern->ptr, open)};
        *pattern = slice_skip(*pattern, open);
        return 0;
    }
    size_t close = slice_find(*pattern, '}');
    if (close == pattern->len)
        return err_set(err, -EINVAL, "a '{' is not closed");
    int r = cut_name(slice_from(pattern->ptr + 1, close - 1), ret_piece, err);
    *pattern = slice_skip(*pattern, close + 1);
    if (r == 0 && ret_piece->takes_rest && pattern->len > 0)
        return err_set(err, -EINVAL, "nothing can follow a name with a '*'");
    if (r == 0 && pattern->len > 0 && pattern->ptr[0] != '/')
        return err_set(err, -EINVAL, "a name takes a whole path element: expected '/' behind it");
    return r;
}

static unsigned count_pieces(const struct rule *rule, enum piece_type type)
{
    unsigned n = 0;
    for (unsigned i = 0; i < rule->n_pieces; i++)
        n += rule->pieces[i].type == type;
    return n;
}

static int cut_pattern(struct rule *rule, struct slice pattern, struct err *err)
{
    bool follows_slash = true;
    while (pattern.len > 0) {
        if (rule->n_pieces == PIECES_MAX)
            return err_set(err, -EINVAL, "more than %d pieces", PIECES_MAX);
        struct piece *piece = &rule->pieces[rule->n_pieces++];
        int r = cut_piece(&pattern, piece, err);
        if (r < 0)
            return r;
        if (piece->type != PIECE_TEXT && !follows_slash)
            return err_set(err, -EINVAL, "a name takes a whole path element: expected '/' before it");
        follows_slash = piece->type == PIECE_TEXT && piece->text.ptr[piece->text.len - 1] == '/';
    }
    if (count_pieces(rule, PIECE_ID) != 1)
        return err_set(err, -EINVAL, "expected one {id} in the pattern");
    if (count_pieces(rule, PIECE_SERVICE) != (rule->service.len == 0))
        return err_set(err, -EINVAL, "expected one {service} in the pattern, or service=NAME, but not both");
    return 0;
}

static int copy_rule(struct projection *projection, const struct projection_rule *source, struct rule *rule,
                     struct err *err)
{
    struct slice pattern;
    *rule = (struct rule){.value = source->value, .needs_lease = source->needs_lease};
    if (arena_copy(&projection->arena, source->pattern, &pattern) < 0 ||
        arena_copy(&projection->arena, source->service, &rule->service) < 0)
        return -ENOMEM;
    int r = cut_pattern(rule, pattern, err);
    return r < 0 ? err_wrap(err, r, "the pattern \"%.*s\"", SLICE_ARG(source->pattern)) : 0;
}

int projection_new(const struct projection_rule *rules, unsigned n_rules, bool use_default,
                   struct projection **ret_projection, struct err *err)
{
    struct projection *projection = calloc(1, sizeof(*projection));
    if (!projection)
        return err_set_errno(err, -ENOMEM, "the projection");
    projection->use_default = use_default;
    projection->rules = arena_alloc(&projection->arena, n_rules * sizeof(projection->rules[0]));
    int r = projection->rules ? 0 : -ENOMEM;
    for (; r == 0 && projection->n_rules < n_rules; projection->n_rules++)
        r = copy_rule(projection, &rules[projection->n_rules], &projection->rules[projection->n_rules], err);
    if (r < 0) {
        projection_free(projection);
        return r == -ENOMEM ? err_set_errno(err, r, "the projection") : r;
    }
    *ret_projection = projection;
    return 0;
}

void projection_free(struct projection *projection)
{
    if (!projection)
        return;
    arena_deinit(&projection->arena);
    free(projection);
}

/* ------------------------------------------------------------------------------------------------ values */

/* An address that nobody would write into a key for another reason: not "leader:1". */
static bool is_plain(const struct instance_record *record)
{
    struct slice host = record->host;
    return record->protocol.len > 0 || slice_find(host, '.') < host.len || slice_find(host, ':') < host.len ||
           slice_equal_str(host, "localhost");
}

static int read_address(struct slice value, struct instance_record *ret_record)
{
    *ret_record = (struct instance_record){.weight = 1};
    while (value.len > 0 && (value.ptr[value.len - 1] == '\n' || value.ptr[value.len - 1] == '\r'))
        value.len--; /* what a shell put behind it */
    return instance_record_set_address(ret_record, slice_trim(value)) ? 0 : PROJECTION_NONE;
}

/* Texts of a naming record's metadata: the one text that it is, or those that it has. */
static int read_naming_metadata(const json_t *metadata, struct arena *arena, struct instance_record *record)
{
    size_t n = json_is_string(metadata) ? 1 : json_object_size(metadata);
    struct instance_details *details = arena_alloc(arena, sizeof(*details));
    struct instance_pair *pairs = arena_alloc(arena, min_size(n, INSTANCE_RECORD_LIST_MAX) * sizeof(pairs[0]));
    if (!details || !pairs)
        return -ENOMEM;
    *details = (struct instance_details){.metadata = pairs};
    record->details = details;
    if (json_is_string(metadata)) {
        details->n_metadata = 1;
        pairs[0].name = SLICE_LIT("metadata");
        return arena_copy(arena, slice_from_str(json_string_value(metadata)), &pairs[0].value);
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, name, value)
    {
        if (!json_is_string(value) || details->n_metadata == INSTANCE_RECORD_LIST_MAX)
            continue;
        struct instance_pair *pair = &pairs[details->n_metadata++];
        if (arena_copy(arena, slice_from_str(name), &pair->name) < 0 ||
            arena_copy(arena, slice_from_str(json_string_value(value)), &pair->value) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int read_naming(struct slice value, struct arena *arena, struct instance_record *ret_record)
{
    json_auto_t *json = NULL;
    struct slice address;
    int r = json_parse(value, &NAMING_JSON, &json, NULL);
    if (r < 0)
        return r == -ENOMEM ? r : PROJECTION_NONE;
    const json_t *text = json_object_get(json, "Addr");
    if (!json_is_string(text))
        return PROJECTION_NONE;
    if (arena_copy(arena, slice_from_str(json_string_value(text)), &address) < 0)
        return -ENOMEM;
    r = read_address(address, ret_record);
    return r == 0 ? read_naming_metadata(json_object_get(json, "Metadata"), arena, ret_record) : r;
}

static int read_record(struct slice value, struct arena *arena, struct instance_record *ret_record)
{
    int r = instance_record_parse(value, INSTANCE_RECORD_LENIENT, arena, ret_record, NULL);
    return r == 0 || r == -ENOMEM ? r : PROJECTION_NONE;
}

static int read_value(enum projection_value kind, struct slice value, struct arena *arena,
                      struct instance_record *ret_record)
{
    int r = PROJECTION_NONE;
    if (kind == PROJECTION_ADDRESS || (kind == PROJECTION_ANY && (value.len == 0 || value.ptr[0] != '{')))
        return read_address(value, ret_record);
    if (kind != PROJECTION_RECORD)
        r = read_naming(value, arena, ret_record);
    if (r == PROJECTION_NONE && kind != PROJECTION_NAMING)
        r = read_record(value, arena, ret_record);
    return r;
}

/* ------------------------------------------------------------------------------------------------ keys */

static bool match_piece(const struct piece *piece, struct slice *key, struct projected *projected)
{
    if (piece->type == PIECE_TEXT) {
        if (!slice_starts_with(*key, piece->text))
            return false;
        *key = slice_skip(*key, piece->text.len);
        return true;
    }
    struct slice name = slice_from(key->ptr, piece->takes_rest ? key->len : slice_find(*key, '/'));
    *key = slice_skip(*key, name.len);
    *(piece->type == PIECE_ID ? &projected->id : &projected->service) = name;
    return true;
}

static bool match_key(const struct rule *rule, struct slice key, struct projected *projected)
{
    projected->service = rule->service;
    for (unsigned i = 0; i < rule->n_pieces; i++)
        if (!match_piece(&rule->pieces[i], &key, projected))
            return false;
    return key.len == 0 && instance_record_check_names(projected->service, projected->id, NULL) == 0;
}

static int apply_rule(const struct rule *rule, const struct store_kv *kv, struct arena *arena,
                      struct projected *projected)
{
    if ((rule->needs_lease && kv->lease == 0) || !match_key(rule, kv->key, projected))
        return PROJECTION_NONE;
    return read_value(rule->value, kv->value, arena, &projected->record);
}

static int apply_default(const struct store_kv *kv, struct arena *arena, struct projected *projected)
{
    const char *slash = kv->lease != 0 ? memrchr(kv->key.ptr, '/', kv->key.len) : NULL;
    if (!slash)
        return PROJECTION_NONE;
    size_t n_before = (size_t)(slash - kv->key.ptr), n_skipped = kv->key.ptr[0] == '/';
    projected->id = slice_skip(kv->key, n_before + 1);
    projected->service = slice_from(kv->key.ptr + n_skipped, n_before > n_skipped ? n_before - n_skipped : 0);
    if (instance_record_check_names(projected->service, projected->id, NULL) < 0)
        return PROJECTION_NONE;
    if (kv->value.len > 0 && kv->value.ptr[0] == '{')
        return read_naming(kv->value, arena, &projected->record);
    int r = read_address(kv->value, &projected->record);
    return r == 0 && is_plain(&projected->record) ? 0 : PROJECTION_NONE;
}

static int apply_foreign(const struct projection *projection, const struct store_kv *kv, struct arena *arena,
                         struct projected *projected)
{
    int r = PROJECTION_NONE;
    for (unsigned i = 0; r == PROJECTION_NONE && i < projection->n_rules; i++)
        r = apply_rule(&projection->rules[i], kv, arena, projected);
    if (r == PROJECTION_NONE && projection->use_default)
        r = apply_default(kv, arena, projected);
    if (r == 0 && projected->record.origin.len == 0)
        projected->record.origin = SLICE_LIT("etcd");
    return r;
}

int projection_apply(const struct projection *projection, const struct store_kv *kv, struct arena *arena,
                     struct projected *ret_projected)
{
    struct projected projected = {0};
    int r;
    if (slice_starts_with(kv->key, INSTANCE_RECORD_PREFIX)) {
        r = instance_record_split_key(kv->key, arena, &projected.service, &projected.id);
        r = r == INSTANCE_RECORD_NO_KEY ? PROJECTION_NONE : r;
        if (r == 0)
            r = read_record(kv->value, arena, &projected.record);
    } else if (slice_starts_with(kv->key, SLICE_LIT("/muster/"))) {
        r = PROJECTION_NONE;
    } else {
        r = apply_foreign(projection, kv, arena, &projected);
    }
    if (r == 0)
        *ret_projected = projected;
    return r;
}
