/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call may end at any time: then a password that is being hashed ends the change, and what the store has in hand is
 * published all the same when it was written. Whether the caller may is checked at each try, against the state that the
 * change is made on.
 */
#include "fronts/etcd/auth_change.h"

#include "base/utf8.h"
#include "fronts/etcd/auth_document.h"
#include "wire/base64.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* Each time another change was faster; there are never so many at a time. */
#define TRIES_MAX 1000

static void change_free(struct auth_change *change)
{
    auth_model_free(change->draft);
    OPENSSL_cleanse(change->bytes, change->message.len); /* there may be a password in it */
    buf_deinit(&change->document);
    store_request_deinit(&change->request);
    free(change);
}

/* The end, if nobody waits for an answer any more. */
static void refuse(struct auth_change *change, enum etcd_error error)
{
    if (change->call) {
        change->call->state = NULL;
        etcd_refuse(change->call, error);
    }
    change_free(change);
}

static void answer(struct auth_change *change)
{
    struct grpc_call *call = change->call;
    if (call) {
        call->state = NULL;
        struct buf *buf = etcd_answer_begin(call, etcd_revision(call->ctx));
        if (buf)
            etcd_answer_end(call, buf);
    }
    change_free(change);
}

/* ------------------------------------------------------------------------------------------------ the change itself */

/* The draft and its document. */
static enum etcd_error prepare(struct auth_change *change)
{
    enum etcd_error error = auth_model_copy(auth_model(change->auth), &change->draft);
    if (error == ETCD_OK)
        error = change->apply(change->draft, &change->words);
    if (error != ETCD_OK || !change->draft->is_changed)
        return error;
    error = auth_model_seal(change->draft);
    if (error != ETCD_OK)
        return error;
    buf_reset(&change->document);
    int r = auth_document_write(change->draft, &change->document);
    return r == -EMSGSIZE ? ETCD_TOO_LARGE : r < 0 ? ETCD_TOO_MANY_REQUESTS : ETCD_OK;
}

static void try_change(struct auth_change *change)
{
    enum etcd_error error = auth_check_need(change->auth, change->call->caller, AUTH_NEEDS_ROOT);
    if (error == ETCD_OK)
        error = prepare(change);
    if (error != ETCD_OK) {
        refuse(change, error);
        return;
    }
    if (!change->draft->is_changed) {
        answer(change);
        return;
    }
    struct store_request *request = &change->request;
    request->type = STORE_DOC;
    request->doc.name = AUTH_DOCUMENT_NAME;
    request->doc.value = buf_slice(&change->document);
    request->doc.remove = false;
    request->doc.expected_version = change->draft->version;
    store_submit(change->auth->store, request);
}

static void try_again(struct auth_change *change)
{
    struct err err;
    auth_model_free(TAKE(change->draft));
    if (!change->call || change->call->is_finished || change->n_tries++ == TRIES_MAX)
        refuse(change, ETCD_AUTH_OLD_REVISION);
    else if (auth_reload(change->auth, &err) < 0)
        refuse(change, ETCD_TOO_MANY_REQUESTS);
    else
        try_change(change);
}

static void on_done(struct store_request *request)
{
    struct auth_change *change = container_of(request, struct auth_change, request);
    if (request->outcome == STORE_CONFLICT) {
        try_again(change);
    } else if (request->outcome != STORE_OK) {
        refuse(change, etcd_error_from(request->outcome));
    } else {
        change->draft->version = request->doc_version;
        auth_publish(change->auth, TAKE(change->draft));
        answer(change);
    }
}

/* ------------------------------------------------------------------------------------------------ the password */

static void on_hashed(struct password_job *job)
{
    struct auth_change *change = container_of(job, struct auth_change, job);
    change->words.hash = slice_from_str(job->hash);
    if (!change->call || change->call->is_finished || job->result != PASSWORD_IS_GOOD)
        refuse(change, ETCD_TOO_MANY_REQUESTS);
    else
        try_change(change);
}

static void hash_password(struct auth_change *change)
{
    change->job.loop = change->request.loop;
    change->job.done = on_hashed;
    int r = -EINVAL;
    if (password_is_usable(change->words.password))
        r = passwords_submit(change->auth->passwords, &change->job, change->words.password);
    if (r < 0)
        refuse(change, r == -EINVAL ? ETCD_BAD_PASSWORD : ETCD_TOO_MANY_REQUESTS);
}

/* Into job.hash, where one that is made would be. */
static enum etcd_error take_hash(struct auth_change *change)
{
    CLEANUP(buf_deinit) struct buf hash = {.limit = PASSWORD_HASH_MAX_BYTES - 1};
    int r = base64_decode(change->words.hashed_password, &hash);
    if (r == -ENOMEM)
        return ETCD_TOO_MANY_REQUESTS;
    if (r < 0 || !password_hash_is_usable(buf_slice(&hash)))
        return ETCD_BAD_HASH;
    memcpy(change->job.hash, hash.ptr, hash.len);
    change->words.hash = slice_from(change->job.hash, hash.len);
    return ETCD_OK;
}

void auth_change_send_hashed(struct auth_change *change, enum etcd_error error)
{
    bool is_hashed = slice_is_empty(change->words.password) && !slice_is_empty(change->words.hashed_password);
    if (error == ETCD_OK && is_hashed)
        error = take_hash(change);
    if (error != ETCD_OK)
        refuse(change, error);
    else if (is_hashed || change->words.has_no_password)
        try_change(change);
    else
        hash_password(change);
}

/* ------------------------------------------------------------------------------------------------ beginning, end */

struct auth_change *auth_change_new(struct grpc_call *call, struct slice message, auth_apply_fn apply)
{
    struct etcd *etcd = call->ctx;
    struct etcd_worker *worker = etcd_worker_of(call);
    struct auth_change *change = worker ? calloc(1, sizeof(*change) + message.len) : NULL;
    if (!change) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return NULL;
    }
    struct slice actor = etcd_name_actor(worker, call);
    memcpy(change->actor, actor.ptr, actor.len);
    if (message.len > 0)
        memcpy(change->bytes, message.ptr, message.len);
    change->message = slice_from(change->bytes, message.len);
    change->call = call;
    change->auth = &etcd->auth;
    change->apply = apply;
    change->document.limit = STORE_VALUE_MAX;
    change->request = (struct store_request){
        .loop = worker->loop,
        .done = on_done,
        .origin.actor = slice_from(change->actor, actor.len),
    };
    call->state = change;
    return change;
}

void auth_change_send(struct auth_change *change, enum etcd_error error)
{
    if (error != ETCD_OK)
        refuse(change, error);
    else
        try_change(change);
}

void auth_change_on_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    struct auth_change *change = call->state;
    if (change)
        change->call = NULL;
}

enum etcd_error auth_check_text(struct slice text)
{
    return utf8_is_valid(text) ? ETCD_OK : ETCD_MALFORMED;
}
