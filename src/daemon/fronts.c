/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fronts.h"

#include "base/util.h"
#include "fronts/admin/admin.h"
#include "fronts/api/api.h"
#include "fronts/etcd/etcd.h"
#include "fronts/grpc_health/grpc_health.h"
#include "fronts/hub/hub.h"
#include "fronts/ops/ops.h"
#include "fronts/srpc/srpc.h"

#include <errno.h>
#include <stdlib.h>

/* To add a front end, add its line here. */
static const struct front *const all_fronts[] = {
    &ops_front, &grpc_health_front, &etcd_front, &admin_front, &srpc_front, &hub_front, &api_front,
};

struct fronts {
    struct router *router;
    struct front_env env;
    struct access access;
    unsigned n; /* created so far */
    void *instances[ARRAY_LEN(all_fronts)];
};

static int create(struct fronts *fronts, struct err *err)
{
    int r = router_new(&fronts->router);
    for (unsigned i = 0; r == 0 && i < ARRAY_LEN(all_fronts); i++) {
        r = all_fronts[i]->create(&fronts->env, &fronts->instances[i], err);
        if (r < 0)
            return err_wrap(err, r, "front end %s", all_fronts[i]->name);
        fronts->n++;
        r = router_add(fronts->router, all_fronts[i], fronts->instances[i], err);
    }
    return r;
}

int fronts_new(const struct front_env *env, struct fronts **ret_fronts, struct err *err)
{
    struct fronts *fronts = calloc(1, sizeof(*fronts));
    if (!fronts)
        return -ENOMEM;
    fronts->env = *env;
    fronts->env.access = &fronts->access;
    int r = create(fronts, err);
    if (r < 0) {
        fronts_free(fronts);
        return r;
    }
    *ret_fronts = fronts;
    return 0;
}

void fronts_stop(struct fronts *fronts)
{
    for (unsigned i = 0; i < fronts->n; i++) {
        if (all_fronts[i]->stop)
            all_fronts[i]->stop(fronts->instances[i]);
    }
}

void fronts_free(struct fronts *fronts)
{
    if (!fronts)
        return;
    while (fronts->n > 0) {
        fronts->n--;
        all_fronts[fronts->n]->destroy(fronts->instances[fronts->n]);
    }
    router_free(fronts->router);
    free(fronts);
}

struct router *fronts_router(struct fronts *fronts)
{
    return fronts->router;
}
