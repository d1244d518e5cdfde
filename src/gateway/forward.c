/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the fields marks what is dropped (what belongs to a connection is left out by those who write heads,
 * http/carry.h); then ours are written, as the lines that they will be. What they are made of was checked when the
 * head or the settings were read.
 *
 * Only fields that have no id of their own (HTTP_FIELD_OTHER) can be taken away by being listed in Connection.
 */
#include "gateway/forward.h"

#include "base/assert.h"
#include "base/pen.h"
#include "base/util.h"

#include <endian.h>

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
static void drop_listed(struct header_carry *carry, struct slice list)
{
    const struct http_fields *fields = carry->fields;
    while (list.len > 0) {
        struct slice name;
        list = slice_split(list, ',', &name);
        name = slice_trim(name);
        if (name.len == 0 || http_field_find(name) != HTTP_FIELD_OTHER)
            continue;
        for (unsigned i = 0; i < fields->n; i++)
            if (fields->items[i].id == HTTP_FIELD_OTHER && slice_equal_nocase(fields->items[i].name, name))
                header_carry_drop(carry, i);
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

static bool is_dropped(const struct http_request *request, const struct http_field *field, bool is_trusted)
{
    if (field->id == HTTP_FIELD_EXPECT)
        return !request->expect_continue; /* nobody waits: HTTP/1.0, or no body */
    if (field->id == HTTP_FIELD_OTHER)
        return is_alias(field->name) || (!is_trusted && is_some_identity(field->name));
    return !is_trusted && is_identity(field->id);
}

/* A request whose fields are rewritten. */
struct rewrite {
    const struct http_request *request;
    const struct forward_terms *terms;
    struct header_carry *carry;
    struct pen pen; /* in the room for lines */
    struct found found;
};

static void look_at_fields(struct rewrite *rewrite, bool is_trusted)
{
    const struct http_fields *fields = rewrite->request->fields;
    rewrite->found = (struct found){-1, -1, -1, -1, -1, -1, -1, -1, false};
    for (unsigned i = 0; i < fields->n; i++) {
        const struct http_field *field = &fields->items[i];
        if (is_dropped(rewrite->request, field, is_trusted))
            header_carry_drop(rewrite->carry, i);
        else
            note(&rewrite->found, field->id, i);
        if (field->id == HTTP_FIELD_CONNECTION)
            drop_listed(rewrite->carry, field->value);
        else if (field->id == HTTP_FIELD_TE)
            rewrite->found.te_trailers = http_list_has(field->value, SLICE_LIT("trailers"));
    }
}

/* -- what is added, line by line -- */

static const struct slice crlf = SLICE_LIT("\r\n");

static inline void put(struct rewrite *rewrite, struct slice bytes)
{
    pen_put(&rewrite->pen, bytes);
}

/* What the words of our own take together, and more: those above, and ids. */
#define OWN_BYTES_MAX 512

static size_t lines_bytes_max(const struct http_request *request, const struct forward_terms *terms)
{
    return OWN_BYTES_MAX + 2 * ADDR_TEXT_MAX + 3 * FORWARD_JOINED_MAX + terms->name.len + 2 * request->authority.len +
           terms->stripped_prefix.len;
}

/* A list to which an element is added: it goes on in its line, or when that is long, in a line more. */
static void begin_list(struct rewrite *rewrite, struct slice name, int index)
{
    put(rewrite, name);
    if (index < 0)
        return;
    struct slice begun = rewrite->request->fields->items[index].value;
    if (begun.len > FORWARD_JOINED_MAX)
        return;
    put(rewrite, begun);
    put(rewrite, begun.len > 0 ? SLICE_LIT(", ") : SLICE_LIT(""));
    header_carry_drop(rewrite->carry, (unsigned)index);
}

static void add_forwarded(struct rewrite *rewrite, struct slice ip, struct slice proto)
{
    struct slice authority = rewrite->request->authority;
    begin_list(rewrite, SLICE_LIT("forwarded: "), rewrite->found.forwarded);
    switch (rewrite->terms->peer->family) {
    case AF_UNIX:
        put(rewrite, SLICE_LIT("for=unknown"));
        break;
    case AF_INET:
        put(rewrite, SLICE_LIT("for="));
        put(rewrite, ip);
        break;
    default:
        put(rewrite, SLICE_LIT("for=\"["));
        put(rewrite, ip);
        put(rewrite, SLICE_LIT("]\""));
    }
    if (authority.len > 0) {
        put(rewrite, SLICE_LIT(";host=\""));
        put(rewrite, authority);
        put(rewrite, SLICE_LIT("\""));
    }
    put(rewrite, SLICE_LIT(";proto="));
    put(rewrite, proto);
    put(rewrite, crlf);
}

static void add_identity(struct rewrite *rewrite)
{
    const struct forward_terms *terms = rewrite->terms;
    struct slice authority = rewrite->request->authority;
    struct slice proto = terms->is_tls ? SLICE_LIT("https") : SLICE_LIT("http");
    char room[ADDR_TEXT_MAX];
    struct slice ip = put_ip(terms->peer, room);

    begin_list(rewrite, SLICE_LIT("x-forwarded-for: "), rewrite->found.forwarded_for);
    put(rewrite, ip);
    put(rewrite, crlf);
    if (rewrite->found.proto < 0) {
        put(rewrite, SLICE_LIT("x-forwarded-proto: "));
        put(rewrite, proto);
        put(rewrite, crlf);
    }
    if (rewrite->found.host < 0 && authority.len > 0) {
        put(rewrite, SLICE_LIT("x-forwarded-host: "));
        put(rewrite, authority);
        put(rewrite, crlf);
    }
    if (terms->stripped_prefix.len > 0) {
        begin_list(rewrite, SLICE_LIT("x-forwarded-prefix: "), rewrite->found.prefix);
        put(rewrite, terms->stripped_prefix);
        put(rewrite, crlf);
    }
    add_forwarded(rewrite, ip, proto);
}

static void add_id(struct rewrite *rewrite, struct forward_id *ret_id)
{
    int index = rewrite->found.id;
    if (index >= 0) {
        struct slice given = rewrite->request->fields->items[index].value;
        if (given.len > 0 && given.len <= FORWARD_ID_MAX) {
            memcpy(ret_id->text, given.ptr, given.len);
            ret_id->len = (uint8_t)given.len;
            return;
        }
        header_carry_drop(rewrite->carry, (unsigned)index);
    }
    put_hex(ret_id->text, rewrite->terms->random[0]);
    ret_id->len = 16;
    put(rewrite, SLICE_LIT("x-request-id: "));
    put(rewrite, slice_from(ret_id->text, 16));
    put(rewrite, crlf);
}

/* A trace is begun where nobody has; one that runs is passed on as it is. */
static void add_trace(struct rewrite *rewrite)
{
    static const struct slice shape =
        SLICE_LIT("traceparent: 00-tttttttttttttttttttttttttttttttt-pppppppppppppppp-00\r\n");
    const uint64_t *random = rewrite->terms->random;
    char *room = rewrite->pen.at;
    put(rewrite, shape);
    put_hex(room + 16, random[0] ^ random[2]);
    put_hex(room + 32, random[1] | 1); /* all zero is no id */
    put_hex(room + 49, random[2] | 1);
}

static void add_max_forwards(struct rewrite *rewrite)
{
    unsigned index = (unsigned)rewrite->found.max_forwards;
    uint64_t n;
    if (slice_parse_u64(rewrite->request->fields->items[index].value, &n) < 0 || n == 0)
        return;
    header_carry_drop(rewrite->carry, index);
    put(rewrite, SLICE_LIT("max-forwards: "));
    pen_put_u64(&rewrite->pen, n - 1);
    put(rewrite, crlf);
}

static void add_via(struct rewrite *rewrite)
{
    const struct http_request *request = rewrite->request;
    put(rewrite, request->version_major == 2 ? SLICE_LIT("via: 2 ")
                 : request->version_minor    ? SLICE_LIT("via: 1.1 ")
                                             : SLICE_LIT("via: 1.0 "));
    put(rewrite, rewrite->terms->name);
    put(rewrite, crlf);
}

/* -- the whole -- */

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

/* Only in these Max-Forwards means anything. */
static bool counts_hops(const struct http_request *request)
{
    return request->method == HTTP_METHOD_OPTIONS || request->method == HTTP_METHOD_TRACE;
}

bool forward_ends_here(const struct http_request *request)
{
    const struct http_field *field =
        counts_hops(request) ? http_fields_get(request->fields, HTTP_FIELD_MAX_FORWARDS) : NULL;
    uint64_t n;
    return field && slice_parse_u64(field->value, &n) == 0 && n == 0;
}

int forward_request(const struct http_request *request, const struct forward_terms *terms,
                    struct header_carry *ret_carry, struct buf *lines, struct forward_id *ret_id)
{
    struct rewrite rewrite = {.request = request, .terms = terms, .carry = ret_carry};
    int r = pen_begin(&rewrite.pen, lines, lines_bytes_max(request, terms));
    if (r < 0)
        return r;
    *ret_carry = (struct header_carry){.fields = request->fields};
    look_at_fields(&rewrite, terms->settings->n_trusted > 0 && forward_is_trusted(terms->settings, terms->peer));

    add_id(&rewrite, ret_id);
    add_via(&rewrite);
    if (rewrite.found.traceparent < 0)
        add_trace(&rewrite);
    if (rewrite.found.max_forwards >= 0 && counts_hops(request))
        add_max_forwards(&rewrite);
    add_identity(&rewrite);
    if (rewrite.found.te_trailers && !request->upgrade)
        put(&rewrite, SLICE_LIT("te: trailers\r\nconnection: te\r\n"));
    pen_end(&rewrite.pen, lines);
    return 0;
}

void forward_add(struct forward *forward, struct slice name, struct slice value)
{
    ASSERT(forward->n_headers < FORWARD_HEADERS_MAX);
    forward->headers[forward->n_headers++] = (struct header){name, value};
}

void forward_response(const struct http_response *response, struct slice id, struct forward *ret_forward)
{
    const struct http_fields *fields = response->fields;
    bool has_id = false;
    ret_forward->carry = (struct header_carry){.fields = fields};
    ret_forward->n_headers = 0;
    ret_forward->n_text = 0;
    for (unsigned i = 0; i < fields->n; i++) {
        const struct http_field *field = &fields->items[i];
        has_id |= field->id == HTTP_FIELD_X_REQUEST_ID;
        if (field->id == HTTP_FIELD_CONNECTION)
            drop_listed(&ret_forward->carry, field->value);
    }
    if (id.len > 0 && !has_id)
        forward_add(ret_forward, SLICE_LIT("x-request-id"), id);
}

unsigned forward_trailers(const struct http_fields *trailers, struct header ret_headers[HTTP_FIELDS_MAX])
{
    unsigned n = trailers ? trailers->n : 0;
    for (unsigned i = 0; i < n; i++)
        ret_headers[i] = (struct header){trailers->items[i].name, trailers->items[i].value};
    return n;
}
