/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/order.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

int order_new(enum order_type type, const struct instance_order *terms, struct slice actor, struct slice evidence,
              struct order **ret_order)
{
    struct order *order = malloc(sizeof(*order) + terms->owner.len + terms->reason.len + actor.len + evidence.len);
    if (!order)
        return -ENOMEM;
    char *at = (char *)(order + 1);
    *order = (struct order){.terms = *terms, .type = type};
    order->terms.owner = slice_put(terms->owner, &at);
    order->terms.reason = slice_put(terms->reason, &at);
    order->actor = slice_put(actor, &at);
    order->evidence = slice_put(evidence, &at);
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
