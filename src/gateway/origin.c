/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list is read from its end, since only its end was written by those whom we trust. Elements are addresses, with a
 * port or without, IPv6 with brackets or without.
 */
#include "gateway/origin.h"

#include "gateway/forward.h"

#include <arpa/inet.h>

/* True: it is an address. */
static bool parse(struct slice text, struct peer *ret_peer)
{
    char room[INET6_ADDRSTRLEN + 1];
    struct peer peer = {0};
    text = slice_trim(text);
    size_t n_colons = 0;
    for (size_t i = 0; i < text.len; i++)
        n_colons += text.ptr[i] == ':';
    if (text.len > 0 && text.ptr[0] == '[') {
        text = slice_skip(text, 1);
        text.len = slice_find(text, ']');
    } else if (n_colons == 1) {
        text.len = slice_find(text, ':');
    }
    if (text.len == 0 || text.len >= sizeof(room))
        return false;
    memcpy(room, text.ptr, text.len);
    room[text.len] = '\0';
    peer.family = n_colons > 1 ? AF_INET6 : AF_INET;
    if (inet_pton(peer.family, room, peer.ip) != 1)
        return false;
    struct addr addr;
    addr_from_ip(&peer, &addr);
    peer_from_addr(&addr, ret_peer); /* unwraps IPv4 in IPv6 */
    return true;
}

/* Takes the last element off the list. */
static struct slice take_last(struct slice *list)
{
    size_t at = list->len;
    while (at > 0 && list->ptr[at - 1] != ',')
        at--;
    struct slice last = slice_skip(*list, at);
    list->len = at > 0 ? at - 1 : 0;
    return last;
}

void origin_find(const struct gateway_settings *settings, const struct peer *peer, const struct http_fields *fields,
                 struct peer *ret_origin)
{
    *ret_origin = *peer;
    if (settings->n_trusted == 0)
        return;
    for (unsigned i = fields->n; i-- > 0;) {
        struct slice list = fields->items[i].value;
        if (fields->items[i].id != HTTP_FIELD_X_FORWARDED_FOR)
            continue;
        while (list.len > 0) {
            if (!forward_is_trusted(settings, ret_origin) || !parse(take_last(&list), ret_origin))
                return;
        }
    }
}
