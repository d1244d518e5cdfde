/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the fields marks what is dropped (what belongs to a connection is left out by those who write heads,
 * http/carry.h); then ours are added. Nothing is copied but what is put together here,
 * in the room of the result. What does not fit there (a chain of a hundred proxies) is left as a line of its own, which
 * means the same.
 *
 * Only fields that have no id of their own (HTTP_FIELD_OTHER) can be taken away by being listed in Connection.
 */
#include "gateway/forward.h"

#include "base/assert.h"
#include "base/util.h"

#include <endian.h>
#include <stdio.h>

void forward_add(struct forward *forward, struct slice name, struct slice value)
{
    ASSERT(forward->n_headers < FORWARD_HEADERS_MAX);
    forward->headers[forward->n_headers++] = (struct header){name, value};
}

/* -- text in the room: begin, put pieces, end; an empty slice when it did not fit -- */

struct text {
    struct forward *forward;
    char *begin, *at, *end; /* at NULL: it did not fit */
};

static struct text text_begin(struct forward *forward)
{
    char *begin = forward->text + forward->n_text;
    return (struct text){forward, begin, begin, forward->text + sizeof(forward->text)};
}

static void put(struct text *text, struct slice bytes)
{
    if (!text->at || bytes.len > (size_t)(text->end - text->at)) {
        text->at = NULL;
        return;
    }
    if (bytes.len > 0)
        memcpy(text->at, bytes.ptr, bytes.len);
    text->at += bytes.len;
}

static struct slice text_end(struct text *text)
{
    if (!text->at)
        return (struct slice){0};
    text->forward->n_text += (size_t)(text->at - text->begin);
    return slice_from(text->begin, (size_t)(text->at - text->begin));
}

static char *put_octet(char *at, unsigned octet)
{
    if (octet >= 100)
        *at++ = (char)('0' + octet / 100);
    if (octet >= 10)
        *at++ = (char)('0' + octet / 10 % 10);
    *at++ = (char)('0' + octet % 10);
    return at;
}

/* By hand for IPv4, which each request pays for. */
static struct slice put_ip(const struct peer *peer, char *room)
{
    if (peer->family != AF_INET)
        return peer_format_ip(peer, room);
    char *at = room;
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            *at++ = '.';
        at = put_octet(at, peer->ip[i]);
    }
    return slice_from(room, (size_t)(at - room));
}

/* Eight digits at once, each in a byte of one word: from 10 on they are 39 behind the other ones. */
static void put_hex32(char *room, uint32_t value)
{
    uint64_t digits = value;
    digits = (digits | digits << 16) & 0x0000ffff0000ffff;
    digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
    digits = (digits | digits << 4) & 0x0f0f0f0f0f0f0f0f;
    uint64_t is_letter = (digits + 0x0606060606060606) >> 4 & 0x0101010101010101;
    digits += 0x3030303030303030 + is_letter * ('a' - '9' - 1);
    digits = htobe64(digits);
    memcpy(room, &digits, sizeof(digits));
}

static void put_hex(char *room, uint64_t value)
{
    put_hex32(room, (uint32_t)(value >> 32));
    put_hex32(room + 8, (uint32_t)value);
}

/* -- what is dropped -- */

/* X-Forwarded-User and whatever else somebody reads. */
static bool is_some_identity(struct slice name)
{
    static const struct slice prefix = SLICE_LIT("x-forwarded-");
    return name.len > prefix.len && (name.ptr[0] | ' ') == 'x' &&
           slice_equal_nocase(slice_from(name.ptr, prefix.len), prefix);
}

/* A name such as X_Forwarded_For, which many programs take for the field with '-' in these places. */
static bool is_alias(struct slice name)
{
    char plain[64]; /* no known name is as long */
    if (!memchr(name.ptr, '_', name.len))
        return false;
    size_t n = min_size(name.len, sizeof(plain));
    for (size_t i = 0; i < n; i++)
        plain[i] = name.ptr[i] == '_' ? '-' : name.ptr[i];
    return http_field_find(slice_from(plain, n)) != HTTP_FIELD_OTHER || is_some_identity(slice_from(plain, n));
}

/* Those that a Connection field lists. */
static void drop_listed(struct forward *forward, const struct http_fields *fields, struct slice list)
{
    while (list.len > 0) {
        struct slice name;
        list = slice_split(list, ',', &name);
        name = slice_trim(name);
        if (name.len == 0 || http_field_find(name) != HTTP_FIELD_OTHER)
            continue;
        for (unsigned i = 0; i < fields->n; i++)
            if (fields->items[i].id == HTTP_FIELD_OTHER && slice_equal_nocase(fields->items[i].name, name))
                header_carry_drop(&forward->carry, i);
    }
}

/* What tells who the client is, and how he came: true only from those whom we trust. */
static bool is_identity(enum http_field_id id)
{
    switch (id) {
    case HTTP_FIELD_X_FORWARDED_FOR:
    case HTTP_FIELD_X_FORWARDED_PROTO:
    case HTTP_FIELD_X_FORWARDED_HOST:
    case HTTP_FIELD_X_FORWARDED_PORT:
    case HTTP_FIELD_X_FORWARDED_PREFIX:
    case HTTP_FIELD_X_REAL_IP:
    case HTTP_FIELD_FORWARDED:
    case HTTP_FIELD_X_REQUEST_ID:
        return true;
    default:
        return false;
    }
}

/* What the request brought of the fields that we rewrite. -1: none. */
struct found {
    int forwarded_for, forwarded, proto, host, prefix, id, traceparent, max_forwards;
    bool te_trailers;
};

static void note(struct found *found, enum http_field_id id, unsigned index)
{
    int *where = NULL;
    switch (id) {
    case HTTP_FIELD_X_FORWARDED_FOR:
        where = &found->forwarded_for;
        break;
    case HTTP_FIELD_FORWARDED:
        where = &found->forwarded;
        break;
    case HTTP_FIELD_X_FORWARDED_PROTO:
        where = &found->proto;
        break;
    case HTTP_FIELD_X_FORWARDED_HOST:
        where = &found->host;
        break;
    case HTTP_FIELD_X_FORWARDED_PREFIX:
        where = &found->prefix;
        break;
    case HTTP_FIELD_X_REQUEST_ID:
        where = &found->id;
        break;
    case HTTP_FIELD_TRACEPARENT:
        where = &found->traceparent;
        break;
    case HTTP_FIELD_MAX_FORWARDS:
        where = &found->max_forwards;
        break;
    default:
        return;
    }
    *where = (int)index;
}

static bool is_dropped(const struct http_field *field, bool is_trusted)
{
    if (field->id == HTTP_FIELD_OTHER)
        return is_alias(field->name) || (!is_trusted && is_some_identity(field->name));
    return !is_trusted && is_identity(field->id);
}

static void look_at_fields(const struct http_request *request, bool is_trusted, struct forward *forward,
                           struct found *ret_found)
{
    const struct http_fields *fields = request->fields;
    *ret_found = (struct found){-1, -1, -1, -1, -1, -1, -1, -1, false};
    for (unsigned i = 0; i < fields->n; i++) {
        const struct http_field *field = &fields->items[i];
        if (is_dropped(field, is_trusted))
            header_carry_drop(&forward->carry, i);
        else
            note(ret_found, field->id, i);
        if (field->id == HTTP_FIELD_CONNECTION)
            drop_listed(forward, fields, field->value);
        else if (field->id == HTTP_FIELD_TE)
            ret_found->te_trailers = http_list_has(field->value, SLICE_LIT("trailers"));
    }
}

/* -- what is added -- */

/* A list that grows by one element: in one line, or when that would be too long, in a line more. */
static void add_to_list(struct forward *forward, const struct http_fields *fields, int index, struct slice name,
                        struct slice element)
{
    struct text text = text_begin(forward);
    if (index >= 0) {
        put(&text, fields->items[index].value);
        put(&text, SLICE_LIT(", "));
    }
    put(&text, element);
    struct slice value = text_end(&text);
    if (value.len > 0 && index >= 0)
        header_carry_drop(&forward->carry, (unsigned)index);
    forward_add(forward, name, value.len > 0 ? value : element);
}

static struct slice forwarded_element(const struct http_request *request, const struct forward_terms *terms,
                                      struct slice ip, struct slice proto, struct forward *forward)
{
    struct text text = text_begin(forward);
    bool is_v4 = terms->peer->family == AF_INET;
    put(&text, SLICE_LIT("for="));
    if (terms->peer->family == AF_UNIX) {
        put(&text, SLICE_LIT("unknown"));
    } else {
        put(&text, is_v4 ? SLICE_LIT("") : SLICE_LIT("\"["));
        put(&text, ip);
        put(&text, is_v4 ? SLICE_LIT("") : SLICE_LIT("]\""));
    }
    if (request->authority.len > 0) {
        put(&text, SLICE_LIT(";host=\""));
        put(&text, request->authority);
        put(&text, SLICE_LIT("\""));
    }
    put(&text, SLICE_LIT(";proto="));
    put(&text, proto);
    return text_end(&text);
}

static void add_identity(const struct http_request *request, const struct forward_terms *terms,
                         const struct found *found, struct forward *forward)
{
    const struct http_fields *fields = request->fields;
    char *room = forward->text + forward->n_text;
    ASSERT(sizeof(forward->text) - forward->n_text >= ADDR_TEXT_MAX);
    struct slice ip = put_ip(terms->peer, room);
    forward->n_text += ip.len;
    struct slice proto = terms->is_tls ? SLICE_LIT("https") : SLICE_LIT("http");

    add_to_list(forward, fields, found->forwarded_for, SLICE_LIT("x-forwarded-for"), ip);
    if (found->proto < 0)
        forward_add(forward, SLICE_LIT("x-forwarded-proto"), proto);
    if (found->host < 0 && request->authority.len > 0)
        forward_add(forward, SLICE_LIT("x-forwarded-host"), request->authority);
    if (terms->stripped_prefix.len > 0)
        add_to_list(forward, fields, found->prefix, SLICE_LIT("x-forwarded-prefix"), terms->stripped_prefix);
    struct slice element = forwarded_element(request, terms, ip, proto, forward);
    if (element.len > 0)
        add_to_list(forward, fields, found->forwarded, SLICE_LIT("forwarded"), element);
}

static void add_id(const struct http_request *request, const struct forward_terms *terms, int index,
                   struct forward *forward, struct forward_id *ret_id)
{
    if (index >= 0) {
        struct slice given = request->fields->items[index].value;
        if (given.len > 0 && given.len <= FORWARD_ID_MAX) {
            memcpy(ret_id->text, given.ptr, given.len);
            ret_id->len = (uint8_t)given.len;
            return;
        }
        header_carry_drop(&forward->carry, (unsigned)index);
    }
    put_hex(ret_id->text, terms->random[0]);
    ret_id->len = 16;
    forward_add(forward, SLICE_LIT("x-request-id"), slice_from(ret_id->text, ret_id->len));
}

/* A trace is begun where nobody has; one that runs is passed on as it is. */
static void add_trace(const struct forward_terms *terms, struct forward *forward)
{
    static const struct slice shape = SLICE_LIT("00-tttttttttttttttttttttttttttttttt-pppppppppppppppp-00");
    char *room = forward->text + forward->n_text;
    ASSERT(sizeof(forward->text) - forward->n_text >= shape.len);
    memcpy(room, shape.ptr, shape.len);
    put_hex(room + 3, terms->random[0] ^ terms->random[2]);
    put_hex(room + 19, terms->random[1] | 1); /* all zero is no id */
    put_hex(room + 36, terms->random[2] | 1);
    forward->n_text += shape.len;
    forward_add(forward, SLICE_LIT("traceparent"), slice_from(room, shape.len));
}

static void add_max_forwards(const struct http_request *request, unsigned index, struct forward *forward)
{
    uint64_t n;
    if (slice_parse_u64(request->fields->items[index].value, &n) < 0 || n == 0)
        return;
    char *room = forward->text + forward->n_text;
    size_t n_room = sizeof(forward->text) - forward->n_text;
    int len = snprintf(room, n_room, "%llu", (unsigned long long)n - 1);
    if (len < 0 || (size_t)len >= n_room)
        return;
    forward->n_text += (size_t)len;
    header_carry_drop(&forward->carry, index);
    forward_add(forward, SLICE_LIT("max-forwards"), slice_from(room, (size_t)len));
}

static void add_via(const struct http_request *request, const struct forward_terms *terms, struct forward *forward)
{
    struct text text = text_begin(forward);
    put(&text, request->version_major == 2 ? SLICE_LIT("2 ")
               : request->version_minor    ? SLICE_LIT("1.1 ")
                                           : SLICE_LIT("1.0 "));
    put(&text, terms->name);
    forward_add(forward, SLICE_LIT("via"), text_end(&text));
}

/* -- */

bool forward_is_trusted(const struct gateway_settings *settings, const struct peer *peer)
{
    for (unsigned i = 0; i < settings->n_trusted; i++)
        if (addr_range_has(&settings->trusted[i], peer))
            return true;
    return false;
}

bool forward_is_loop(const struct http_request *request, struct slice name)
{
    for (unsigned i = 0; i < request->fields->n; i++) {
        const struct http_field *field = &request->fields->items[i];
        if (field->id != HTTP_FIELD_VIA)
            continue;
        for (struct slice list = field->value, hop; list.len > 0;) {
            list = slice_split(list, ',', &hop);
            hop = slice_trim(hop);
            hop = slice_trim(slice_skip(hop, slice_find(hop, ' '))); /* behind the protocol */
            hop.len = slice_find(hop, ' ');                          /* a comment may follow */
            if (slice_equal(hop, name))
                return true;
        }
    }
    return false;
}

static void begin(const struct http_fields *fields, struct forward *forward)
{
    forward->carry = (struct header_carry){.fields = fields};
    forward->n_headers = 0;
    forward->n_text = 0;
}

void forward_request(const struct http_request *request, const struct forward_terms *terms, struct forward *ret_forward,
                     struct forward_id *ret_id)
{
    bool is_trusted = terms->settings->n_trusted > 0 && forward_is_trusted(terms->settings, terms->peer);
    struct found found;
    begin(request->fields, ret_forward);
    look_at_fields(request, is_trusted, ret_forward, &found);

    add_id(request, terms, found.id, ret_forward, ret_id);
    add_via(request, terms, ret_forward);
    if (found.traceparent < 0)
        add_trace(terms, ret_forward);
    bool counts_hops = request->method == HTTP_METHOD_OPTIONS || request->method == HTTP_METHOD_TRACE;
    if (found.max_forwards >= 0 && counts_hops)
        add_max_forwards(request, (unsigned)found.max_forwards, ret_forward);
    add_identity(request, terms, &found, ret_forward);
    if (found.te_trailers && !request->upgrade) {
        forward_add(ret_forward, SLICE_LIT("te"), SLICE_LIT("trailers"));
        forward_add(ret_forward, SLICE_LIT("connection"), SLICE_LIT("te"));
    }
}

void forward_response(const struct http_response *response, struct slice id, struct forward *ret_forward)
{
    const struct http_fields *fields = response->fields;
    begin(fields, ret_forward);
    bool has_id = false;
    for (unsigned i = 0; i < fields->n; i++) {
        const struct http_field *field = &fields->items[i];
        if (field->id == HTTP_FIELD_OTHER)
            continue;
        has_id |= field->id == HTTP_FIELD_X_REQUEST_ID;
        if (field->id == HTTP_FIELD_CONNECTION)
            drop_listed(ret_forward, fields, field->value);
    }
    if (id.len > 0 && !has_id)
        forward_add(ret_forward, SLICE_LIT("x-request-id"), id);
}
