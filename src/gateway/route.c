/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the text of one route: words between blanks, the first of them host and prefix.
 */
#include "gateway/route.h"

#include "catalog/instance.h"
#include "gateway/policy.h"
#include "wire/chars.h"
#include "wire/uri_path.h"

#include <errno.h>

_Static_assert(ROUTE_PREFIX_MAX <= URI_PATH_DECODED_MAX, "each element of a prefix is seen in a request");

struct parser {
    struct route *route;
    struct arena *arena;
    struct err *err;
    bool is_metadata;
};

/* Takes the next word off *rest; false when there is none. */
static bool next_word(struct slice *rest, struct slice *ret_word)
{
    *rest = slice_trim(*rest);
    size_t n = 0;
    while (n < rest->len && !char_is_blank(rest->ptr[n]))
        n++;
    *ret_word = slice_from(rest->ptr, n);
    *rest = slice_skip(*rest, n);
    return n > 0;
}

static bool is_host_name(struct slice name)
{
    if (name.len == 0 || name.len > ROUTE_HOST_MAX)
        return false;
    while (name.len > 0) {
        struct slice label, rest = slice_split(name, '.', &label);
        if (label.len == 0 || (rest.len == 0 && label.len < name.len))
            return false;
        for (size_t i = 0; i < label.len; i++)
            if (!char_is(label.ptr[i], CHAR_UNRESERVED) || label.ptr[i] == '~')
                return false;
        name = rest;
    }
    return true;
}

static int read_host(struct parser *parser, struct slice host)
{
    struct route *route = parser->route;
    if (host.len == 0)
        return 0;
    route->is_wildcard = slice_starts_with(host, SLICE_LIT("*."));
    struct slice name = slice_skip(host, route->is_wildcard ? 2 : 0);
    if (!is_host_name(name))
        return err_set(
            parser->err, -EINVAL,
            "\"%.*s\" is not valid; expected a host name without port, or \"*.\" and a name, or none for any",
            SLICE_ARG(host));
    char *lower = arena_alloc(parser->arena, name.len);
    if (!lower)
        return -ENOMEM;
    for (size_t i = 0; i < name.len; i++) {
        bool is_capital = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z';
        lower[i] = (char)(is_capital ? name.ptr[i] - 'A' + 'a' : name.ptr[i]);
    }
    route->host = slice_from(lower, name.len);
    return 0;
}

static int fail_prefix(struct parser *parser, struct slice prefix, const char *reason)
{
    return err_set(parser->err, -EINVAL, "\"%.*s\" %s", SLICE_ARG(prefix), reason);
}

static int join_elements(struct parser *parser, struct slice prefix, const struct uri_path *path)
{
    size_t len = 0;
    for (unsigned i = 0; i < path->n; i++)
        len += 1 + path->elements[i].name.len;
    if (len > ROUTE_PREFIX_MAX)
        return fail_prefix(parser, prefix, "is too long a prefix");
    char *joined = arena_alloc(parser->arena, len + (len == 0)), *at = joined;
    if (!joined)
        return -ENOMEM;
    for (unsigned i = 0; i < path->n; i++) {
        struct slice name = path->elements[i].name;
        *at++ = '/';
        memcpy(at, name.ptr, name.len);
        at += name.len;
    }
    parser->route->prefix = slice_from(joined, len);
    return 0;
}

static int read_prefix(struct parser *parser, struct slice prefix)
{
    struct uri_path path;
    const char *fault;
    if (slice_find(prefix, '?') < prefix.len || slice_find(prefix, '#') < prefix.len)
        return fail_prefix(parser, prefix, "is not valid; expected a path without a query");
    if (uri_path_split(prefix, URI_PATH_ELEMENTS_MAX, &path, &fault) < 0)
        return err_set(parser->err, -EINVAL, "\"%.*s\" is not valid: %s", SLICE_ARG(prefix), fault);
    if (path.n == URI_PATH_ELEMENTS_MAX)
        return fail_prefix(parser, prefix, "has too many elements for a prefix");
    if (path.n > 0 && slice_equal_str(path.elements[path.n - 1].name, "*"))
        return fail_prefix(parser, prefix, "is not valid; expected a prefix without \"*\": it covers what is below it");
    return join_elements(parser, prefix, &path);
}

static int fail_word(struct parser *parser, const char *word, struct slice value, const char *expected)
{
    return err_set(parser->err, -EINVAL, "%s: \"%.*s\" is not valid; expected %s", word, SLICE_ARG(value), expected);
}

static int fail_twice(struct parser *parser, const char *word)
{
    return err_set(parser->err, -EINVAL, "%s is given twice", word);
}

static int read_service(struct parser *parser, struct slice value)
{
    if (parser->is_metadata)
        return err_set(parser->err, -EINVAL, "service is not for metadata: the route leads to the service that has it");
    if (parser->route->service.len > 0)
        return fail_twice(parser, "service");
    if (value.len == 0 || value.len > CATALOG_NAME_MAX)
        return fail_word(parser, "service", value, "the name of a service");
    parser->route->service = value;
    return 0;
}

static int read_methods(struct parser *parser, struct slice value)
{
    if (parser->route->methods)
        return fail_twice(parser, "method");
    struct slice rest = value;
    do {
        struct slice name;
        rest = slice_split(rest, '|', &name);
        enum http_method method = http_method_find(name);
        if (method == HTTP_METHOD_OTHER || method == HTTP_METHOD_CONNECT)
            return fail_word(parser, "method", value, "methods such as GET or GET|HEAD");
        parser->route->methods |= 1U << method;
    } while (rest.len > 0);
    return 0;
}

static int read_header(struct parser *parser, struct slice value)
{
    if (parser->route->header_name.len > 0)
        return fail_twice(parser, "header");
    struct slice name, wanted = slice_split(value, ':', &name);
    if (!http_is_token(name) || wanted.len == 0 || !http_is_field_value(wanted))
        return fail_word(parser, "header", value, "NAME:VALUE");
    parser->route->header_name = name;
    parser->route->header_value = wanted;
    return 0;
}

static int fail_unknown(struct parser *parser, struct slice name)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    suggest_offer(&suggest, "service");
    suggest_offer(&suggest, "method");
    suggest_offer(&suggest, "header");
    policy_suggest(&suggest);
    const char *near = suggest_best(&suggest);
    return err_set(parser->err, -EINVAL, "\"%.*s\" is no word of a route%s%s%s", SLICE_ARG(name),
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int read_word(struct parser *parser, struct slice word)
{
    struct slice name, value = slice_split(word, '=', &name);
    if (slice_equal_str(name, "service"))
        return read_service(parser, value);
    if (slice_equal_str(name, "method"))
        return read_methods(parser, value);
    if (slice_equal_str(name, "header"))
        return read_header(parser, value);
    int r = policy_set(&parser->route->policy, &parser->route->policy_set, name, value, parser->err);
    if (r < 0)
        return err_wrap(parser->err, r, "%.*s", SLICE_ARG(name));
    return r == POLICY_UNKNOWN ? fail_unknown(parser, name) : 0;
}

static int read_words(struct parser *parser, struct slice text)
{
    struct slice word;
    if (!next_word(&text, &word))
        return err_set(parser->err, -EINVAL, "is empty; expected [HOST]/PREFIX and words");
    size_t n_host = slice_find(word, '/');
    if (n_host == word.len)
        return err_set(parser->err, -EINVAL, "\"%.*s\" is not valid; expected [HOST]/PREFIX, a path at least",
                       SLICE_ARG(word));
    int r = read_host(parser, slice_from(word.ptr, n_host));
    if (r == 0)
        r = read_prefix(parser, slice_skip(word, n_host));
    while (r == 0 && next_word(&text, &word))
        r = read_word(parser, word);
    if (r == 0 && !parser->is_metadata && parser->route->service.len == 0)
        return err_set(parser->err, -EINVAL, "leads nowhere; expected service=NAME");
    return r;
}

int route_parse(struct slice text, bool is_metadata, struct arena *arena, struct route *ret_route, struct err *err)
{
    struct route route = {.is_configured = !is_metadata};
    struct parser parser = {&route, arena, err, is_metadata};
    if (text.len > ROUTE_TEXT_MAX)
        return err_set(err, -EINVAL, "is longer than %d bytes", ROUTE_TEXT_MAX);
    int r = arena_copy(arena, slice_trim(text), &route.text);
    if (r == 0)
        r = read_words(&parser, route.text);
    if (r == 0)
        *ret_route = route;
    return r;
}
