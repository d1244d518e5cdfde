/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drain or maintenance as it was ordered: for one instance or for a whole service, kept by name, so that it is there
 * for whoever registers under the name. Owned by its holder (roster.h), with its texts and the timer of its deadline in
 * one allocation.
 *
 * A withdrawn order (since_ms 0) may stay for a while to tell who withdrew it.
 */
#pragma once

#include "catalog/instance.h"
#include "io/wheel.h"

struct roster_service;
struct roster_entry;

enum order_type { ORDER_DRAIN, ORDER_MAINTENANCE, ORDER_TYPES };

struct order {
    struct instance_order terms;
    struct slice actor, evidence; /* of him who gave it, or withdrew it */
    enum order_type type;
    bool is_initial;                /* read at the start: nothing is told about it */
    struct timer timer;             /* of its deadline; armed by the holder */
    struct roster_service *service; /* the holder: this service, or when it is not NULL, this entry of it */
    struct roster_entry *entry;
};

/* Copies the texts. 0 or -ENOMEM. */
int order_new(enum order_type type, const struct instance_order *terms, struct slice actor, struct slice evidence,
              struct order **ret_order);
/* The timer must not be armed. Accepts NULL. */
void order_free(struct order *order);

/* Its terms; NULL when there is no order, or it is withdrawn. */
const struct instance_order *order_terms(const struct order *order);
/* Equal terms; both may be NULL. */
bool order_terms_equal(const struct instance_order *a, const struct instance_order *b);
