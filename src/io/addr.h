/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses. `struct addr` is any of them (for listening and connecting); `struct peer` is the 20 bytes that a
 * connection remembers of its other end.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct addr {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un unix_path;
    };
};

struct peer {
    uint16_t family; /* AF_INET, AF_INET6, AF_UNIX */
    uint16_t port;   /* host order */
    uint8_t ip[16];  /* the first 4 for AF_INET; the others are 0 */
};

/* Longest text of an address with its NUL: "unix:" and a path, or "[v6%scope]:port". */
#define ADDR_TEXT_MAX 128

/*
 * "127.0.0.1:80", "[::1]:80", ":80" (all interfaces, IPv6 and IPv4), "unix:/path", "unix:@abstract". Port 0 is taken.
 * Names are not resolved here. 0, or -EINVAL with the reason in err.
 */
int addr_parse(struct slice text, struct addr *ret_addr, struct err *err);

/* The peer must be AF_INET or AF_INET6. */
void addr_from_ip(const struct peer *peer, struct addr *ret_addr);
/* An IPv4 peer of a dual-stack socket (::ffff:1.2.3.4) is AF_INET. */
void peer_from_addr(const struct addr *addr, struct peer *ret_peer);

/* All write at most ADDR_TEXT_MAX bytes with the NUL, and return the slice of the text. */
struct slice addr_format(const struct addr *addr, char *ret_text);
struct slice peer_format(const struct peer *peer, char *ret_text);
struct slice peer_format_ip(const struct peer *peer, char *ret_text); /* without port and brackets */

/*
 * What tells one client from another: its address, of IPv6 the /64, which is what one of them has at least. Empty for a
 * Unix socket. Points into the peer.
 */
static inline struct slice peer_client(const struct peer *peer)
{
    return slice_from(peer->ip, peer->family == AF_INET ? 4 : peer->family == AF_INET6 ? 8 : 0);
}

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *addr); /* Unix sockets are */
bool addr_is_unspecified(const struct addr *addr);
