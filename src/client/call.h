/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON-RPC request to one of several instances, and its reply. An instance that did not take the connection is
 * passed over; one that may have got something of the request is not, unless the method may be carried out twice.
 *
 * Under the client's lock.
 */
#pragma once

#include "client/client.h"
#include "client/rpc.h"

struct call;

/* The end, once. May free what holds the call. */
typedef void (*call_end_fn)(struct call *call);

/* What all calls of one question share; must stay until their ends. */
struct call_question {
    char *method, *path;
    char *params; /* normalised; NULL: none */
    nsec_t deadline_ns;
    bool is_repeatable;
    size_t reply_bytes; /* of the longest reply that is taken */
};

struct call {
    struct muster_client *client;
    const struct call_question *question;
    struct muster_instances *instances; /* from `first` on, and around, until n_tries were tried */
    size_t first, n_tries, n_tried;
    struct address *addresses; /* of those that are tried now, one after the other */
    struct ask ask;
    struct buf body;
    call_end_fn on_end;
    void *ctx;
    /* How it ended. */
    const struct muster_instance *instance; /* the last that was tried; as long as `instances` */
    int result;
    struct rpc_reply reply; /* MUSTER_OK, MUSTER_REMOTE_ERROR */
    struct err err;
};

/* From the options of muster.h, NULL: the defaults. A muster_result, with client->error. call_question_deinit frees. */
int call_question_init(struct call_question *question, struct muster_client *client, const char *method,
                       const char *params, const struct muster_call_options *options);
void call_question_deinit(struct call_question *question);

/*
 * Starts a zeroed one, with a reference to the instances. 0: the end is told when the driver turns. -EHOSTUNREACH: none
 * of them can be asked, call->err says why; -ENOMEM: there is no end. call_deinit in any case.
 */
int call_start(struct call *call, struct muster_client *client, const struct call_question *question,
               struct muster_instances *instances, size_t first, size_t n_tries);

/* Stops it, and frees what it has. Harmless on a zeroed one. */
void call_deinit(struct call *call);

/* What the program sees of it; lives as long as the call. */
struct muster_reply call_show(const struct call *call);
