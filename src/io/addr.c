/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses from text and to text. See addr.h.
 */
#include "io/addr.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#define UNIX_PREFIX   SLICE_LIT("unix:")
#define UNIX_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

static int parse_unix(struct slice path, struct addr *ret_addr, struct err *err)
{
    if (slice_is_empty(path) || path.len + 1 > UNIX_PATH_MAX || memchr(path.ptr, 0, path.len))
        return err_set(err, -EINVAL, "unix:%.*s: expected a path of 1 to %zu bytes", SLICE_ARG(path),
                       UNIX_PATH_MAX - 1);
    *ret_addr = (struct addr){.unix_path.sun_family = AF_UNIX};
    memcpy(ret_addr->unix_path.sun_path, path.ptr, path.len);
    bool is_abstract = path.ptr[0] == '@';
    if (is_abstract)
        ret_addr->unix_path.sun_path[0] = 0;
    /* A path counts its NUL, an abstract name has none at its end. */
    ret_addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + !is_abstract);
    return 0;
}

/* Copies a host into a C string; false when it does not fit, which no valid address does. */
static bool copy_text(struct slice text, char *ret_text, size_t size)
{
    if (text.len >= size || (text.len > 0 && memchr(text.ptr, 0, text.len)))
        return false;
    memcpy(ret_text, text.ptr, text.len);
    ret_text[text.len] = 0;
    return true;
}

static bool parse_v4(struct slice host, uint16_t port, struct addr *ret_addr)
{
    char text[INET_ADDRSTRLEN];
    struct addr addr = {.len = sizeof(addr.v4), .v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
    if (!copy_text(host, text, sizeof(text)) || inet_pton(AF_INET, text, &addr.v4.sin_addr) != 1)
        return false;
    *ret_addr = addr;
    return true;
}

static bool parse_scope(struct slice scope, uint32_t *ret_scope)
{
    char name[IF_NAMESIZE];
    uint64_t number;
    if (slice_parse_u64(scope, &number) == 0 && number > 0 && number <= UINT32_MAX) {
        *ret_scope = (uint32_t)number;
        return true;
    }
    if (!copy_text(scope, name, sizeof(name)))
        return false;
    *ret_scope = if_nametoindex(name);
    return *ret_scope != 0;
}

static bool parse_v6(struct slice host, uint16_t port, struct addr *ret_addr)
{
    char text[INET6_ADDRSTRLEN];
    struct addr addr = {.len = sizeof(addr.v6), .v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    struct slice ip;
    struct slice scope = slice_split(host, '%', &ip);
    if (!copy_text(ip, text, sizeof(text)) || inet_pton(AF_INET6, text, &addr.v6.sin6_addr) != 1)
        return false;
    if (ip.len < host.len && !parse_scope(scope, &addr.v6.sin6_scope_id))
        return false;
    *ret_addr = addr;
    return true;
}

int addr_parse(struct slice text, struct addr *ret_addr, struct err *err)
{
    if (slice_starts_with(text, UNIX_PREFIX))
        return parse_unix(slice_skip(text, UNIX_PREFIX.len), ret_addr, err);

    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    uint64_t port;
    if (colon == 0 || slice_parse_u64(slice_skip(text, colon), &port) < 0 || port > UINT16_MAX)
        return err_set(err, -EINVAL, "%.*s: expected IP:PORT, [IPv6]:PORT, :PORT or unix:PATH", SLICE_ARG(text));

    struct slice host = {text.ptr, colon - 1};
    bool ok;
    if (slice_is_empty(host))
        ok = parse_v6(SLICE_LIT("::"), (uint16_t)port, ret_addr);
    else if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        ok = parse_v6((struct slice){host.ptr + 1, host.len - 2}, (uint16_t)port, ret_addr);
    else
        ok = parse_v4(host, (uint16_t)port, ret_addr);
    return ok ? 0 : err_set(err, -EINVAL, "%.*s: \"%.*s\" is not an IP address", SLICE_ARG(text), SLICE_ARG(host));
}

void addr_from_ip(const struct peer *peer, struct addr *ret_addr)
{
    ASSERT(peer->family == AF_INET || peer->family == AF_INET6);
    if (peer->family == AF_INET) {
        *ret_addr =
            (struct addr){.len = sizeof(ret_addr->v4), .v4 = {.sin_family = AF_INET, .sin_port = htons(peer->port)}};
        memcpy(&ret_addr->v4.sin_addr, peer->ip, sizeof(ret_addr->v4.sin_addr));
    } else {
        *ret_addr =
            (struct addr){.len = sizeof(ret_addr->v6), .v6 = {.sin6_family = AF_INET6, .sin6_port = htons(peer->port)}};
        memcpy(&ret_addr->v6.sin6_addr, peer->ip, sizeof(ret_addr->v6.sin6_addr));
    }
}

void peer_from_addr(const struct addr *addr, struct peer *ret_peer)
{
    *ret_peer = (struct peer){.family = addr->any.sa_family};
    if (ret_peer->family == AF_INET) {
        ret_peer->port = ntohs(addr->v4.sin_port);
        memcpy(ret_peer->ip, &addr->v4.sin_addr, sizeof(addr->v4.sin_addr));
    } else if (ret_peer->family == AF_INET6) {
        const uint8_t *ip = addr->v6.sin6_addr.s6_addr;
        ret_peer->port = ntohs(addr->v6.sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr)) {
            ret_peer->family = AF_INET;
            memcpy(ret_peer->ip, ip + 12, 4);
        } else {
            memcpy(ret_peer->ip, ip, 16);
        }
    }
}

static struct slice format_unix(const struct addr *addr, char *ret_text)
{
    size_t len = addr->len - offsetof(struct sockaddr_un, sun_path); /* 0: a socket without a name */
    const char *path = addr->unix_path.sun_path;
    bool is_abstract = len > 0 && path[0] == 0;
    if (!is_abstract)
        len = strnlen(path, len);
    memcpy(ret_text, UNIX_PREFIX.ptr, UNIX_PREFIX.len);
    char *name = ret_text + UNIX_PREFIX.len;
    memcpy(name, path, len);
    if (is_abstract)
        name[0] = '@';
    name[len] = 0;
    return slice_from(ret_text, UNIX_PREFIX.len + len);
}

struct slice addr_format(const struct addr *addr, char *ret_text)
{
    _Static_assert(sizeof("unix:") + UNIX_PATH_MAX <= ADDR_TEXT_MAX, "every path fits");
    if (addr->any.sa_family == AF_UNIX)
        return format_unix(addr, ret_text);

    char ip[INET6_ADDRSTRLEN];
    int len;
    if (addr->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &addr->v4.sin_addr, ip, sizeof(ip));
        len = snprintf(ret_text, ADDR_TEXT_MAX, "%s:%u", ip, (unsigned)ntohs(addr->v4.sin_port));
    } else {
        ASSERT(addr->any.sa_family == AF_INET6);
        (void)inet_ntop(AF_INET6, &addr->v6.sin6_addr, ip, sizeof(ip));
        char scope[16] = "";
        if (addr->v6.sin6_scope_id)
            (void)snprintf(scope, sizeof(scope), "%%%u", (unsigned)addr->v6.sin6_scope_id);
        len = snprintf(ret_text, ADDR_TEXT_MAX, "[%s%s]:%u", ip, scope, (unsigned)ntohs(addr->v6.sin6_port));
    }
    return slice_from(ret_text, (size_t)len);
}

struct slice peer_format(const struct peer *peer, char *ret_text)
{
    if (peer->family == AF_UNIX) {
        memcpy(ret_text, "unix:", sizeof("unix:"));
        return slice_from_str(ret_text);
    }
    struct addr addr;
    addr_from_ip(peer, &addr);
    return addr_format(&addr, ret_text);
}

struct slice peer_format_ip(const struct peer *peer, char *ret_text)
{
    if (peer->family == AF_UNIX)
        return peer_format(peer, ret_text);
    (void)inet_ntop(peer->family, peer->ip, ret_text, ADDR_TEXT_MAX);
    return slice_from_str(ret_text);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    switch (a->any.sa_family) {
    case AF_INET:
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    case AF_INET6:
        return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
               IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
    default:
        return a->len == b->len && memcmp(&a->unix_path, &b->unix_path, a->len) == 0;
    }
}

bool addr_is_loopback(const struct addr *addr)
{
    struct peer peer;
    peer_from_addr(addr, &peer); /* unwraps IPv4 in IPv6 */
    if (peer.family == AF_INET)
        return peer.ip[0] == 127;
    return peer.family == AF_UNIX || IN6_IS_ADDR_LOOPBACK(&addr->v6.sin6_addr);
}

bool addr_is_unspecified(const struct addr *addr)
{
    static const uint8_t zero[16];
    struct peer peer;
    peer_from_addr(addr, &peer);
    return peer.family != AF_UNIX && memcmp(peer.ip, zero, sizeof(zero)) == 0;
}
