/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service Cluster: one member, this server.
 *
 * Clients replace the addresses they were given by those of the member list, so a list with an address that they cannot
 * reach would cut them off. A listener on all interfaces is therefore listed under the name by which the client that
 * asks has just reached it.
 */
#include "fronts/etcd/etcd_impl.h"
#include "fronts/system_view.h"
#include "io/tls.h"

#include <stdlib.h>
#include <unistd.h>

#define HOST_NAME_MAX_BYTES 256

/* ------------------------------------------------------------------------------------------------ the member list */

/* Keeps the name that the client asked for; the request is there only now. */
void etcd_on_member_open(struct grpc_call *call)
{
    call->state = slice_dup(call->exchange->request->authority);
    if (!call->state)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
}

void etcd_on_member_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    free(call->state);
}

static bool is_unspecified(const char *address)
{
    struct addr addr;
    struct err err;
    return addr_parse(slice_from_str(address), &addr, &err) == 0 && addr_is_unspecified(&addr);
}

static void add_url(struct buf *buf, uint32_t number, const char *scheme, const char *address)
{
    CLEANUP(buf_deinit) struct buf url = {0};
    buf_append_str(&url, scheme);
    buf_append_str(&url, "://");
    buf_append_str(&url, address);
    if (buf_error(&url) == 0)
        pb_add_bytes(buf, number, buf_slice(&url));
}

static void add_client_urls(struct buf *buf, const struct grpc_call *call)
{
    const struct etcd *etcd = call->ctx;
    const struct system_facts *facts = etcd->system->facts;
    const char *scheme = stream_is_tls(exchange_stream(call->exchange)) ? "https" : "http";
    const char *asked_for = call->state;
    for (unsigned i = 0; i < facts->n_listeners; i++) {
        const struct system_listener *listener = &facts->listeners[i];
        if (strcmp(listener->role, "registry") != 0)
            continue;
        if (slice_starts_with(slice_from_str(listener->address), SLICE_LIT("unix:")))
            add_url(buf, 4, "unix", listener->address + strlen("unix:"));
        else if (!is_unspecified(listener->address))
            add_url(buf, 4, scheme, listener->address);
        else if (*asked_for)
            add_url(buf, 4, scheme, asked_for);
    }
}

void etcd_on_member_list(struct grpc_call *call, struct slice message)
{
    (void)message;
    const struct etcd *etcd = call->ctx;
    char name[HOST_NAME_MAX_BYTES] = "";
    (void)gethostname(name, sizeof(name) - 1);
    struct buf *answer = etcd_answer_begin(call, etcd_revision(etcd));
    if (!answer)
        return;
    size_t begin = pb_begin(answer, 2);
    pb_add_uint(answer, 1, etcd->identity.member_id);
    pb_add_str(answer, 2, *name ? name : "muster");
    add_client_urls(answer, call);
    pb_end(answer, begin);
    etcd_answer_end(call, answer);
}

/* ------------------------------------------------------------------------------------------------ changes */

void etcd_on_member_add(struct grpc_call *call, struct slice message)
{
    struct pb_field field = {0};
    int r;
    bool has_url = false;
    while ((r = pb_next(&message, &field)) > 0)
        has_url = has_url || (field.number == 1 && field.is_bytes);
    if (r < 0)
        etcd_refuse(call, ETCD_MALFORMED);
    else
        etcd_refuse(call, has_url ? ETCD_TOO_FEW_MEMBERS : ETCD_BAD_MEMBER_URLS);
}

/* Of the one member there is, nothing can be changed: `error` says why. */
static void refuse_change(struct grpc_call *call, struct slice message, enum etcd_error error)
{
    static const struct pb_member members[] = {[1] = {PB_INT64, 0}};
    const struct etcd *etcd = call->ctx;
    uint64_t id = 0;
    if (pb_read(message, members, ARRAY_LEN(members), &id) < 0)
        error = ETCD_MALFORMED;
    else if (id != etcd->identity.member_id)
        error = ETCD_MEMBER_NOT_FOUND;
    etcd_refuse(call, error);
}

void etcd_on_member_remove(struct grpc_call *call, struct slice message)
{
    refuse_change(call, message, ETCD_TOO_FEW_MEMBERS);
}

void etcd_on_member_update(struct grpc_call *call, struct slice message)
{
    refuse_change(call, message, ETCD_TOO_FEW_MEMBERS);
}

void etcd_on_member_promote(struct grpc_call *call, struct slice message)
{
    refuse_change(call, message, ETCD_NO_LEARNER);
}
