/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/order.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

static struct slice put_text(char **at, struct slice text)
{
    struct slice copy = slice_from(*at, text.len);
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

int order_new(enum order_type type, const struct instance_order *terms, struct slice actor, struct slice evidence,
              struct order **ret_order)
{
    struct order *order = malloc(sizeof(*order) + terms->owner.len + terms->reason.len + actor.len + evidence.len);
    if (!order)
        return -ENOMEM;
    char *at = (char *)(order + 1);
    *order = (struct order){.terms = *terms, .type = type};
    order->terms.owner = put_text(&at, terms->owner);
    order->terms.reason = put_text(&at, terms->reason);
    order->actor = put_text(&at, actor);
    order->evidence = put_text(&at, evidence);
    timer_init(&order->timer, NULL);
    *ret_order = order;
    return 0;
}

void order_free(struct order *order)
{
    ASSERT(!order || !timer_is_armed(&order->timer));
    free(order);
}

const struct instance_order *order_terms(const struct order *order)
{
    return order && order->terms.since_ms != 0 ? &order->terms : NULL;
}

bool order_terms_equal(const struct instance_order *a, const struct instance_order *b)
{
    if (!a || !b)
        return a == b;
    return slice_equal(a->owner, b->owner) && slice_equal(a->reason, b->reason) && a->since_ms == b->since_ms &&
           a->until_ms == b->until_ms;
}
