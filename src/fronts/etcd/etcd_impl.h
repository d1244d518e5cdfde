/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this front end share: its instance, and what it keeps for each worker's loop.
 */
#pragma once

#include "fronts/etcd/auth.h"
#include "fronts/etcd/messages.h"
#include "fronts/front.h"
#include "http/grpc.h"

/* What a client may send in one message; etcd takes no write above 1.5 MiB, and reads half a MiB more to say so. */
#define ETCD_WRITE_MAX   (1536 * 1024)
#define ETCD_MESSAGE_MAX (ETCD_WRITE_MAX + 512 * 1024)

/* "etcd 10.0.0.7:4711 as alice", the longest; of a longer name the beginning */
#define ETCD_ACTOR_NAME_MAX 64
#define ETCD_ACTOR_MAX      (12 + ADDR_TEXT_MAX + ETCD_ACTOR_NAME_MAX)

struct etcd;
struct watch_hub;
struct await_hub;

/* A call without an end: it must be ended when the server stops. Embedded in what the call's state is. */
struct etcd_stream {
    struct list link; /* worker->streams */
    struct grpc_call *call;
};

/* Belongs to one loop's thread, but for `next` and `loop`, which stay as they are. */
struct etcd_worker {
    struct etcd_worker *next;
    struct etcd *etcd;
    struct loop *loop;
    struct buf scratch;       /* where answers are written before they are sent; used within one callback */
    struct list streams;      /* etcd_stream */
    struct watch_hub *hub;    /* NULL until the first watch */
    struct await_hub *awaits; /* NULL until somebody waits */
    struct mail stop_mail;
    struct peer actor_peer; /* whom actor names: requests of one connection come in a row */
    uint64_t actor_caller;
    char actor[ETCD_ACTOR_MAX];
    size_t actor_len; /* 0: nobody yet */
};

/* One for the process; what all workers share of it does not change, but for the list of workers, which grows. */
struct etcd {
    struct store *store;
    const struct system_view *system;
    struct store_identity identity;
    struct buf header; /* etcd_header_init */
    struct auth auth;
    _Atomic(struct etcd_worker *) workers;
    _Atomic bool is_stopping; /* no new streams */
    _Atomic unsigned n_backups;
};

/* All methods; they run the same whether a call came as gRPC or as JSON. */
extern const struct grpc_service etcd_service;

/* The store's, at the moment. */
static inline int64_t etcd_revision(const struct etcd *etcd)
{
    struct store_view view;
    store_view(etcd->store, false, &view);
    return view.revision;
}

/* The worker that runs the call; made at its loop's first call. NULL: out of memory. */
struct etcd_worker *etcd_worker_of(const struct grpc_call *call);

void etcd_worker_free(struct etcd_worker *worker);

/* Who asks, for what the store remembers of changes. Valid until the next call. */
struct slice etcd_name_actor(struct etcd_worker *worker, const struct grpc_call *call);

/* The scratch buf with the answer's header in it. NULL: out of memory, and the call is refused. */
struct buf *etcd_answer_begin(struct grpc_call *call, int64_t revision);
/* Sends what is in it, and the call is done; or refuses the call if there was no memory for it. */
void etcd_answer_end(struct grpc_call *call, struct buf *answer);

/* For on_open of a stream: lists it, so that it ends with the server. 0, or negative: the call is refused. */
int etcd_stream_open(struct etcd_stream *stream, struct grpc_call *call);
void etcd_stream_close(struct etcd_stream *stream);

/* kv.c */
void etcd_on_range(struct grpc_call *call, struct slice message);
void etcd_on_put(struct grpc_call *call, struct slice message);
void etcd_on_delete_range(struct grpc_call *call, struct slice message);
void etcd_on_txn(struct grpc_call *call, struct slice message);
void etcd_on_compact(struct grpc_call *call, struct slice message);

/* lease.c */
void etcd_on_lease_grant(struct grpc_call *call, struct slice message);
void etcd_on_lease_revoke(struct grpc_call *call, struct slice message);
void etcd_on_lease_time_to_live(struct grpc_call *call, struct slice message);
void etcd_on_lease_leases(struct grpc_call *call, struct slice message);
void etcd_on_keep_alive_open(struct grpc_call *call);
void etcd_on_keep_alive_close(struct grpc_call *call, enum exchange_end end);
void etcd_on_keep_alive(struct grpc_call *call, struct slice message);
void etcd_on_keep_alive_end(struct grpc_call *call);
void etcd_on_keep_alive_drain(struct grpc_call *call);

/* cluster.c */
void etcd_on_member_open(struct grpc_call *call);
void etcd_on_member_close(struct grpc_call *call, enum exchange_end end);
void etcd_on_member_list(struct grpc_call *call, struct slice message);
void etcd_on_member_add(struct grpc_call *call, struct slice message);
void etcd_on_member_remove(struct grpc_call *call, struct slice message);
void etcd_on_member_update(struct grpc_call *call, struct slice message);
void etcd_on_member_promote(struct grpc_call *call, struct slice message);

/* maintenance.c */
void etcd_on_status(struct grpc_call *call, struct slice message);
void etcd_on_alarm(struct grpc_call *call, struct slice message);
void etcd_on_defragment(struct grpc_call *call, struct slice message);
void etcd_on_move_leader(struct grpc_call *call, struct slice message);
void etcd_on_downgrade(struct grpc_call *call, struct slice message);

/* hash.c */
void etcd_on_hash(struct grpc_call *call, struct slice message);
void etcd_on_hash_kv(struct grpc_call *call, struct slice message);
void etcd_on_hash_close(struct grpc_call *call, enum exchange_end end);

/* snapshot.c */
void etcd_on_snapshot(struct grpc_call *call, struct slice message);
void etcd_on_snapshot_drain(struct grpc_call *call);
void etcd_on_snapshot_close(struct grpc_call *call, enum exchange_end end);

/* auth_switch.c */
void etcd_on_auth_enable(struct grpc_call *call, struct slice message);
void etcd_on_auth_disable(struct grpc_call *call, struct slice message);
void etcd_on_auth_status(struct grpc_call *call, struct slice message);

/* auth_login.c */
void etcd_on_authenticate(struct grpc_call *call, struct slice message);
void etcd_on_authenticate_close(struct grpc_call *call, enum exchange_end end);

/* auth_users.c */
void etcd_on_user_add(struct grpc_call *call, struct slice message);
void etcd_on_user_get(struct grpc_call *call, struct slice message);
void etcd_on_user_list(struct grpc_call *call, struct slice message);
void etcd_on_user_delete(struct grpc_call *call, struct slice message);
void etcd_on_user_change_password(struct grpc_call *call, struct slice message);
void etcd_on_user_grant_role(struct grpc_call *call, struct slice message);
void etcd_on_user_revoke_role(struct grpc_call *call, struct slice message);

/* auth_roles.c */
void etcd_on_role_add(struct grpc_call *call, struct slice message);
void etcd_on_role_get(struct grpc_call *call, struct slice message);
void etcd_on_role_list(struct grpc_call *call, struct slice message);
void etcd_on_role_delete(struct grpc_call *call, struct slice message);
void etcd_on_role_grant_permission(struct grpc_call *call, struct slice message);
void etcd_on_role_revoke_permission(struct grpc_call *call, struct slice message);

/* lock.c */
void etcd_on_lock(struct grpc_call *call, struct slice message);
void etcd_on_unlock(struct grpc_call *call, struct slice message);

/* election.c */
void etcd_on_campaign(struct grpc_call *call, struct slice message);
void etcd_on_proclaim(struct grpc_call *call, struct slice message);
void etcd_on_resign(struct grpc_call *call, struct slice message);
void etcd_on_leader(struct grpc_call *call, struct slice message);

/* observe.c */
void etcd_on_observe(struct grpc_call *call, struct slice message);
void etcd_on_observe_drain(struct grpc_call *call);
void etcd_on_observe_close(struct grpc_call *call, enum exchange_end end);
/* A LeaderRequest; the name lies in the message. */
enum etcd_error etcd_read_election_name(struct slice message, struct slice *ret_name);

/* json.c: for the paths of the JSON gateway. */
void etcd_on_json(void *instance, struct exchange *exchange);
