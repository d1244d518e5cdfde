/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/pursuit.h"

#define AGAIN_NS NSEC_PER_SEC

void pursuit_catch_up(struct pursuit *pursuit)
{
    const struct catalog *catalog = curator_catalog(pursuit->curator);
    int64_t revision = catalog_revision(catalog);
    while (!pursuit->is_behind && pursuit->seen < revision) {
        const struct catalog_change *change = catalog_change(catalog, pursuit->seen + 1);
        pursuit->is_behind = !change || pursuit->events->on_change(pursuit, change) < 0;
        pursuit->seen++;
    }
    if (!pursuit->is_behind)
        return;
    pursuit->seen = revision;
    pursuit->is_behind = pursuit->events->on_gap(pursuit) < 0;
    if (pursuit->is_behind)
        loop_arm(pursuit->loop, &pursuit->again, loop_now(pursuit->loop) + AGAIN_NS);
}

static void on_news(struct curator_follower *follower)
{
    pursuit_catch_up(container_of(follower, struct pursuit, follower));
}

static void on_again(struct timer *timer)
{
    pursuit_catch_up(container_of(timer, struct pursuit, again));
}

int pursuit_start(struct pursuit *pursuit, const struct pursuit_events *events, struct curator *curator,
                  struct loop *loop)
{
    *pursuit = (struct pursuit){
        .events = events, .curator = curator, .loop = loop, .follower = {.loop = loop, .on_news = on_news}};
    timer_init(&pursuit->again, on_again);
    int r = curator_follow(curator, &pursuit->follower);
    if (r < 0)
        return r;
    pursuit->seen = catalog_revision(curator_catalog(curator));
    return 0;
}

void pursuit_stop(struct pursuit *pursuit)
{
    curator_unfollow(pursuit->curator, &pursuit->follower);
    loop_cancel(pursuit->loop, &pursuit->again);
}
