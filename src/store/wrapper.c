/* SPDX-License-Identifier: Apache-2.0 */
/* Handing on; and requests there and back. Nothing here knows what a wrapper is for. */
#include "store/wrapper.h"

#include "base/util.h"

static struct store *inner_of(struct store *store)
{
    return wrapper_of(store)->inner;
}

void wrapper_view(struct store *store, bool counted, struct store_view *ret_view)
{
    store_view(inner_of(store), counted, ret_view);
}

void wrapper_release(struct store *store, struct store_view *view)
{
    store_release(inner_of(store), view);
}

int wrapper_range(struct store *store, const struct store_view *view, const struct store_range *range,
                  store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    return store_range(inner_of(store), view, range, on_kv, ctx, ret_result);
}

int64_t wrapper_lease_touch(struct store *store, int64_t lease, nsec_t now_ns)
{
    return store_lease_touch(inner_of(store), lease, now_ns);
}

const struct store_commit *wrapper_commit(struct store *store, const struct store_view *view, int64_t revision)
{
    return store_commit(inner_of(store), view, revision);
}

void wrapper_subscribe(struct store *store, struct store_subscriber *subscriber)
{
    store_subscribe(inner_of(store), subscriber);
}

void wrapper_unsubscribe(struct store *store, struct store_subscriber *subscriber)
{
    store_unsubscribe(inner_of(store), subscriber);
}

void wrapper_identify(struct store *store, struct store_identity *ret_identity)
{
    store_identify(inner_of(store), ret_identity);
}

void wrapper_measure(struct store *store, struct store_size *ret_size)
{
    store_measure(inner_of(store), ret_size);
}

enum store_outcome wrapper_refusal(struct store *store)
{
    return store_refusal(inner_of(store));
}

void wrapper_notes(struct store *store, store_note_fn fn, void *ctx)
{
    store_notes(inner_of(store), fn, ctx);
}

int wrapper_docs(struct store *store, struct slice prefix, store_doc_fn fn, void *ctx)
{
    return store_docs(inner_of(store), prefix, fn, ctx);
}

/* ------------------------------------------------------------------------------------------------ requests */

void wrapper_submit(struct wrapper *wrapper, struct wrapper_call *call, struct store_request *asked,
                    store_done_fn on_answer)
{
    call->request = *asked;
    call->request.done = on_answer;
    call->asked = asked;
    store_submit(wrapper->inner, &call->request);
}

struct store_request *wrapper_take_answer(struct wrapper_call *call)
{
    struct store_request *asked = call->asked;
    store_done_fn done = asked->done;
    *asked = call->request;
    asked->done = done;
    return asked;
}

static void deliver_refusal(struct mail *mail)
{
    struct store_request *asked = container_of(mail, struct store_request, mail);
    asked->done(asked);
}

void wrapper_refuse(struct store_request *asked, enum store_outcome outcome)
{
    asked->outcome = outcome;
    asked->results = NULL;
    asked->n_results = 0;
    asked->mail.deliver = deliver_refusal;
    loop_post(asked->loop, &asked->mail);
}
