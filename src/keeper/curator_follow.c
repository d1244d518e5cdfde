/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told about changes, and what comes in by reports. */
#include "keeper/curator_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------ followers */

/* Lives on while its mail is under way, so that a follower may go at any time. */
struct curator_following {
    struct list link;
    struct mail mail;
    struct loop *loop;
    _Atomic bool posted;
    struct curator_follower *follower; /* its loop's; NULL: it has gone */
};

static void deliver_news(struct mail *mail)
{
    struct curator_following *following = container_of(mail, struct curator_following, mail);
    struct curator_follower *follower = following->follower;
    if (!follower) {
        free(following);
        return;
    }
    atomic_store_explicit(&following->posted, false, memory_order_release);
    follower->on_news(follower);
}

void curator_tell(struct curator *curator)
{
    pthread_mutex_lock(&curator->followers_lock);
    list_for_each (link, &curator->followers) {
        struct curator_following *following = container_of(link, struct curator_following, link);
        if (!atomic_exchange_explicit(&following->posted, true, memory_order_acq_rel))
            loop_post(following->loop, &following->mail);
    }
    pthread_mutex_unlock(&curator->followers_lock);
}

int curator_follow(struct curator *curator, struct curator_follower *follower)
{
    struct curator_following *following = calloc(1, sizeof(*following));
    if (!following)
        return -ENOMEM;
    following->mail.deliver = deliver_news;
    following->loop = follower->loop;
    following->follower = follower;
    follower->following = following;
    list_init(&following->link);
    pthread_mutex_lock(&curator->followers_lock);
    list_push_back(&curator->followers, &following->link);
    pthread_mutex_unlock(&curator->followers_lock);
    return 0;
}

void curator_unfollow(struct curator *curator, struct curator_follower *follower)
{
    struct curator_following *following = TAKE(follower->following);
    pthread_mutex_lock(&curator->followers_lock);
    list_remove(&following->link);
    pthread_mutex_unlock(&curator->followers_lock);
    following->follower = NULL;
    if (!atomic_load_explicit(&following->posted, memory_order_acquire))
        free(following); /* else it comes to deliver_news */
}

/* ------------------------------------------------------------------------------------------------ reports */

struct report {
    struct mail mail;
    struct list link;
    struct curator *curator;
    struct catalog_event event;
    char texts[];
};

static void on_report(struct mail *mail)
{
    struct report *report = container_of(mail, struct report, mail);
    list_push_back(&report->curator->reports, &report->link);
    curator_wake(report->curator);
}

int curator_report(struct curator *curator, const struct catalog_event *event)
{
    ASSERT(event->type == CATALOG_CHECK || event->type == CATALOG_PROBE || event->type == CATALOG_SUSPECT ||
           event->type == CATALOG_SESSION || event->type == CATALOG_SOURCE || event->type == CATALOG_REFUSED);
    size_t n_bytes =
        event->report.service.len + event->report.id.len + event->report.actor.len + event->report.evidence.len;
    struct report *report = malloc(sizeof(*report) + n_bytes);
    if (!report)
        return -ENOMEM;
    char *texts = report->texts;
    *report = (struct report){.mail = {.deliver = on_report}, .curator = curator, .event = *event};
    list_init(&report->link);
    report->event.report.service = slice_put(event->report.service, &texts);
    report->event.report.id = slice_put(event->report.id, &texts);
    report->event.report.actor = slice_put(event->report.actor, &texts);
    report->event.report.evidence = slice_put(event->report.evidence, &texts);
    loop_post(curator->loop, &report->mail);
    return 0;
}

int curator_step_reports(struct curator *curator)
{
    while (!list_is_empty(&curator->reports)) {
        struct report *report = container_of(curator->reports.next, struct report, link);
        int r = curator_step(curator, &report->event);
        if (r < 0)
            return r;
        list_remove(&report->link);
        free(report);
    }
    return 0;
}

void curator_drop_reports(struct curator *curator)
{
    for (struct list *link; (link = list_pop_front(&curator->reports));)
        free(container_of(link, struct report, link));
}
