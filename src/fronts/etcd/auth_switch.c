/* SPDX-License-Identifier: Apache-2.0 */
/* AuthEnable, AuthDisable, AuthStatus. */
#include "fronts/etcd/auth_change.h"

static enum etcd_error enable(struct auth_model *draft, const struct auth_words *words)
{
    (void)words;
    return auth_model_enable(draft);
}

static enum etcd_error disable(struct auth_model *draft, const struct auth_words *words)
{
    (void)words;
    return auth_model_disable(draft);
}

void etcd_on_auth_enable(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, enable);
    if (change)
        auth_change_send(change, ETCD_OK);
}

void etcd_on_auth_disable(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, disable);
    if (change)
        auth_change_send(change, ETCD_OK);
}

void etcd_on_auth_status(struct grpc_call *call, struct slice message)
{
    (void)message;
    const struct etcd *etcd = call->ctx;
    struct buf *answer = etcd_answer_begin(call, etcd_revision(etcd));
    if (!answer)
        return;
    pb_add_bool(answer, 2, auth_is_on(&etcd->auth));
    pb_add_uint(answer, 3, auth_model(&etcd->auth)->revision);
    etcd_answer_end(call, answer);
}
