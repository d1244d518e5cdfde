/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     RESTS -> DUE -> LOOKS -> RESTS, or DUE again when an event came meanwhile
 *
 * `apply` makes the answer true: it is what the container offers now, compared with its registrations. A difference
 * that only the list has shown is looked at once more after a moment, for an event may be on its way; then it is
 * drift, which is counted, and mended.
 */
#include "sources/docker/docker_box.h"

#include "base/assert.h"
#include "sources/docker/docker_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIRM_NS NSEC_PER_SEC
#define AGAIN_NS   (5 * NSEC_PER_SEC)   /* the engine could not say how it is */
#define SETTLE_NS  (20 * NSEC_PER_MSEC) /* a knock that was given up is on its way back */

static struct loop *loop_of(const struct docker_box *box)
{
    return box->docker->registrar.loop;
}

static void arm_in(struct docker_box *box, struct timer *timer, nsec_t pause_ns)
{
    loop_arm(loop_of(box), timer, loop_now(loop_of(box)) + pause_ns);
}

static struct source_registration *registration_of(struct list *link)
{
    return container_of(link, struct source_registration, link);
}

static void set_running(struct docker_box *box, bool is_running)
{
    if (is_running != box->is_running)
        box->docker->n_containers += is_running ? 1 : -1U;
    box->is_running = is_running;
}

static void forget_if_empty(struct docker_box *box)
{
    bool is_idle = box->state == DOCKER_BOX_RESTS && box->reach.state == DOCKER_REACH_RESTS &&
                   !timer_is_armed(&box->again) && !timer_is_armed(&box->stopping);
    if (is_idle && !box->is_running && list_is_empty(&box->registrations))
        docker_forget(box->docker, box);
}

/* ------------------------------------------------------------------------------------------------ leaving */

static void no_longer_stops(struct docker_box *box)
{
    box->stopping_until_ns = 0;
    loop_cancel(loop_of(box), &box->stopping);
}

void docker_box_leave(struct docker_box *box, const char *words)
{
    set_running(box, false);
    no_longer_stops(box);
    loop_cancel(loop_of(box), &box->again);
    docker_reach_cancel(&box->reach);
    box->has_address = box->had_oom = false;
    box->started_ns = 0;
    list_for_each (link, &box->registrations)
        source_registration_leave(registration_of(link), words);
}

void docker_box_on_gone(struct docker_box *box, struct source_registration *registration)
{
    list_remove(&registration->link);
    source_registration_free(registration);
    forget_if_empty(box);
}

static void count_drift(struct docker_box *box, const char *words)
{
    box->docker->n_drifts++;
    log_warn(box->docker->log, "drift: a container is not as the engine's events told; this is mended",
             log_text("container", box->id), log_text("words", words));
}

/* What the list has shown may have been told by an event that is on its way: looks again after a moment. */
static void confirm(struct docker_box *box)
{
    box->look = DOCKER_LOOK_CONFIRM;
    arm_in(box, &box->again, CONFIRM_NS);
}

static bool has_wanted(const struct docker_box *box)
{
    list_for_each (link, &box->registrations)
        if (registration_of(link)->is_wanted)
            return true;
    return false;
}

/* It was found not to run. */
static void found_gone(struct docker_box *box, enum docker_look look, const char *words)
{
    bool is_news = has_wanted(box);
    if (is_news && look == DOCKER_LOOK_CHECK) {
        confirm(box);
        return;
    }
    if (is_news && look == DOCKER_LOOK_CONFIRM)
        count_drift(box, words);
    docker_box_leave(box, look == DOCKER_LOOK_EVENT && box->words[0] ? box->words : words);
}

/* ------------------------------------------------------------------------------------------------ its address */

static void on_reached(struct docker_reach *reach, enum docker_address found)
{
    struct docker_box *box = container_of(reach, struct docker_box, reach);
    box->has_address = true;
    box->address = found;
    docker_box_look(box, box->look, NULL);
}

/* The first offer that has two addresses, as long as it is not known which of them answers. */
static const struct docker_offer *undecided(struct docker_box *box, const struct docker_offers *offers)
{
    for (unsigned i = 0; i < offers->n; i++) {
        const struct docker_offer *offer = &offers->list[i];
        bool has_both = offer->own.len > 0 && offer->published.len > 0;
        bool is_known = box->has_address && slice_equal_str(offer->own, box->reach.own);
        if (has_both)
            return is_known ? NULL : offer;
    }
    return NULL;
}

/* It is looked at again, for the same reason, when it is known which address to use. */
static void decide(struct docker_box *box, const struct docker_offer *offer, enum docker_look look)
{
    box->look = look;
    if (box->reach.state == DOCKER_REACH_RESTS)
        docker_reach_start(&box->reach, offer->own, offer->published);
    else if (box->reach.state == DOCKER_REACH_ENDS)
        arm_in(box, &box->again, SETTLE_NS);
}

/* ------------------------------------------------------------------------------------------------ registrations */

static struct source_registration *find(struct docker_box *box, struct slice service, struct slice id)
{
    list_for_each (link, &box->registrations) {
        struct source_registration *registration = registration_of(link);
        if (slice_equal_str(service, registration->service) && slice_equal_str(id, registration->id))
            return registration;
    }
    return NULL;
}

static int find_or_add(struct docker_box *box, struct slice service, struct slice id,
                       struct source_registration **ret_registration)
{
    *ret_registration = find(box, service, id);
    if (*ret_registration)
        return 0;
    int r = source_registration_new(&box->docker->registrar, box, service, id, ret_registration);
    if (r == 0)
        list_push_back(&box->registrations, &(*ret_registration)->link);
    return r;
}

int docker_box_adopt(struct docker_box *box, const struct instance *instance)
{
    struct source_registration *registration;
    return find_or_add(box, instance->service, instance->id, &registration);
}

static enum source_health health_of(const struct docker_container *container)
{
    if (container->health == DOCKER_HEALTHY)
        return SOURCE_HEALTH_GOOD;
    return container->health == DOCKER_UNHEALTHY ? SOURCE_HEALTH_BAD : SOURCE_HEALTH_UNKNOWN;
}

static struct source_wish wish_of(const struct docker_box *box, const struct docker_container *container,
                                  const struct docker_offer *offer)
{
    return (struct source_wish){
        .record = &offer->record,
        .is_stopped = container->is_paused || box->stopping_until_ns != 0,
        .health = health_of(container),
    };
}

static bool is_offered(const struct source_registration *registration, const struct docker_offers *offers)
{
    for (unsigned i = 0; i < offers->n; i++)
        if (slice_equal_str(offers->list[i].service, registration->service) &&
            slice_equal_str(offers->list[i].id, registration->id))
            return true;
    return false;
}

/* Whether the registrations are not what is offered. */
static bool differs(struct docker_box *box, const struct docker_container *container,
                    const struct docker_offers *offers)
{
    for (unsigned i = 0; i < offers->n; i++) {
        const struct docker_offer *offer = &offers->list[i];
        const struct source_wish wish = wish_of(box, container, offer);
        const struct source_registration *registration = find(box, offer->service, offer->id);
        if (!registration || !source_registration_is(registration, &wish))
            return true;
    }
    list_for_each (link, &box->registrations)
        if (registration_of(link)->is_wanted && !is_offered(registration_of(link), offers))
            return true;
    return false;
}

/* 0 or -ENOMEM. */
static int bring(struct docker_box *box, const struct docker_container *container, const struct docker_offers *offers,
                 const char *words)
{
    for (unsigned i = 0; i < offers->n; i++) {
        const struct docker_offer *offer = &offers->list[i];
        const struct source_wish wish = wish_of(box, container, offer);
        struct source_registration *registration;
        int r = find_or_add(box, offer->service, offer->id, &registration);
        if (r == 0 && !source_registration_is(registration, &wish))
            docker_address_taken(box->docker, box, offer->record.address);
        if (r == 0)
            r = source_registration_want(registration, &wish, words);
        if (r < 0)
            return r;
    }
    list_for_each (link, &box->registrations)
        if (!is_offered(registration_of(link), offers))
            source_registration_leave(registration_of(link), "it is not offered any more");
    return 0;
}

/* ------------------------------------------------------------------------------------------------ applying */

/* Why the registrations are as they are: the engine's words, or how it was found. */
static void write_words(const struct docker_box *box, const struct docker_container *container, enum docker_look look,
                        char words[DOCKER_WORDS_MAX])
{
    int name_len = (int)min_size(container->name.len, 64);
    const char *name = container->name.ptr ? container->name.ptr : "";
    bool is_health =
        look == DOCKER_LOOK_EVENT && strstr(box->words, "health_status") && container->health_words.len > 0;
    if (is_health)
        (void)snprintf(words, DOCKER_WORDS_MAX, "%.100s: %.*s", box->words, SLICE_ARG(container->health_words));
    else if (look == DOCKER_LOOK_EVENT && box->words[0])
        (void)snprintf(words, DOCKER_WORDS_MAX, "%s", box->words);
    else if (container->is_running)
        (void)snprintf(words, DOCKER_WORDS_MAX, "%.*s: found running", name_len, name);
    else
        (void)snprintf(words, DOCKER_WORDS_MAX, "%.*s: found %.*s exitCode=%d", name_len, name,
                       (int)min_size(container->status.len, 32), container->status.ptr, container->exit_code);
}

static void tell_fault(struct docker_box *box, const struct docker_container *container, const struct err *err)
{
    uint64_t fault = err->text[0] ? hash_bytes(&box->docker->hash_key, slice_from_str(err->text)) : 0;
    if (fault == box->fault)
        return;
    box->fault = fault;
    if (err->text[0])
        log_warn(box->docker->log, "a container is not offered", log_str("container", container->name),
                 log_text("id", box->id), log_text("why", err->text));
}

/* What it is like is remembered; another run of it has another address, and was not asked to stop. */
static void remember(struct docker_box *box, const struct docker_container *container)
{
    set_running(box, container->is_running);
    if (box->started_ns != container->started_ns) {
        no_longer_stops(box);
        docker_reach_cancel(&box->reach);
        box->has_address = box->had_oom = false;
    }
    box->started_ns = container->started_ns;
    box->stop_signal = container->stop_signal;
}

static int apply_running(struct docker_box *box, const struct docker_container *container, enum docker_look look,
                         const char *words, struct arena *arena)
{
    struct docker_offers offers;
    struct err err = {""};
    enum docker_address prefers = box->has_address ? box->address : DOCKER_ADDRESS_HOST;
    int r = docker_offer_list(container, &box->docker->options.rules, prefers, arena, &offers, &err);
    if (r == -ENOMEM)
        return r;
    tell_fault(box, container, &err);
    if (r < 0)
        offers.n = 0;
    box->stop_ns = offers.n > 0 && offers.drain_ns > 0 ? offers.drain_ns : box->docker->options.stop_ns;
    const struct docker_offer *offer = undecided(box, &offers);
    if (offer) {
        decide(box, offer, look);
        return 0;
    }
    bool is_news = differs(box, container, &offers);
    if (is_news && look == DOCKER_LOOK_CHECK) {
        confirm(box);
        return 0;
    }
    if (is_news && look == DOCKER_LOOK_CONFIRM)
        count_drift(box, words);
    return bring(box, container, &offers, words);
}

static int apply(struct docker_box *box, struct slice answer, enum docker_look look)
{
    struct docker_container container;
    struct arena arena = {0};
    struct err err = {""};
    char words[DOCKER_WORDS_MAX];
    int r = docker_container_parse(answer, &arena, &container, &err);
    if (r == -EINVAL) {
        (void)err_wrap(&err, r, "the engine's description of it is not understood");
        tell_fault(box, &(struct docker_container){.name = SLICE_LIT("")}, &err);
        r = 0;
    } else if (r == 0) {
        remember(box, &container);
        write_words(box, &container, look, words);
        if (container.is_running)
            r = apply_running(box, &container, look, words, &arena);
        else
            found_gone(box, look, words);
    }
    arena_deinit(&arena);
    return r;
}

/* ------------------------------------------------------------------------------------------------ looking */

void docker_box_look(struct docker_box *box, enum docker_look look, const char *words)
{
    if (words)
        (void)snprintf(box->words, sizeof(box->words), "%s", words);
    if (look > box->look)
        box->look = look;
    loop_cancel(loop_of(box), &box->again);
    box->is_outdated |= box->state == DOCKER_BOX_LOOKS && look == DOCKER_LOOK_EVENT;
    if (box->state != DOCKER_BOX_RESTS)
        return;
    box->state = DOCKER_BOX_DUE;
    docker_look_later(box->docker, box);
}

static void on_again(struct timer *timer)
{
    struct docker_box *box = container_of(timer, struct docker_box, again);
    docker_box_look(box, box->look, NULL);
}

static void on_answer(struct docker_box *box, int result)
{
    enum docker_look look = box->look;
    box->look = DOCKER_LOOK_CHECK;
    if (result == DOCKER_ASK_NOT_FOUND)
        found_gone(box, look, "its container is gone");
    else if (result == 0)
        result = apply(box, buf_slice(&box->ask.errand.body), look);
    if (result == DOCKER_ASK_REFUSED || result == -ENOMEM) {
        box->look = look;
        arm_in(box, &box->again, AGAIN_NS);
    }
}

static void on_looked(struct docker_ask *ask, int result)
{
    struct docker_box *box = container_of(ask, struct docker_box, ask);
    struct docker *docker = box->docker;
    bool is_outdated = box->is_outdated;
    box->state = DOCKER_BOX_RESTS;
    box->is_outdated = false;
    if (docker->registrar.is_stopping) {
        docker_look_next(docker);
        return;
    }
    if (!is_outdated)
        on_answer(box, result);
    docker_ask_deinit(ask);
    if (is_outdated)
        docker_box_look(box, box->look, NULL);
    forget_if_empty(box);
    docker_look_next(docker);
}

void docker_box_begin(struct docker_box *box)
{
    ASSERT(box->state == DOCKER_BOX_DUE);
    box->state = DOCKER_BOX_LOOKS;
    docker_engine_ask(&box->docker->engine, &box->ask, on_looked, DOCKER_CONTAINER_BYTES_MAX, "/containers/%s/json",
                      box->id);
}

/* ------------------------------------------------------------------------------------------------ events */

/*
 * It does not run any more. Should a look that is under way, or due, find that it runs, then that is another run, whose
 * own event is to tell of it: the reason for the look was of this one.
 */
static void end_run(struct docker_box *box, const char *words)
{
    docker_box_leave(box, words);
    box->is_outdated = box->state == DOCKER_BOX_LOOKS;
    box->look = DOCKER_LOOK_CHECK;
}

static void on_died(struct docker_box *box, const struct docker_event *event)
{
    char words[DOCKER_WORDS_MAX];
    if (event->time_ns != 0 && event->time_ns < box->started_ns) { /* of an earlier run */
        docker_box_look(box, DOCKER_LOOK_EVENT, event->words);
        return;
    }
    (void)snprintf(words, sizeof(words), "%.200s%s", event->words, box->had_oom ? " after oom" : "");
    end_run(box, words);
}

static void on_still_running(struct timer *timer)
{
    struct docker_box *box = container_of(timer, struct docker_box, stopping);
    box->stopping_until_ns = 0;
    docker_box_look(box, DOCKER_LOOK_EVENT, "it was asked to stop long ago, and still runs");
}

static void on_signal(struct docker_box *box, const struct docker_event *event)
{
    bool ends_it = event->signal == SIGTERM || event->signal == SIGKILL || event->signal == box->stop_signal;
    if (!ends_it || event->time_ns < box->started_ns || !box->is_running)
        return;
    box->stopping_until_ns = loop_now(loop_of(box)) + box->stop_ns;
    loop_arm(loop_of(box), &box->stopping, box->stopping_until_ns);
    list_for_each (link, &box->registrations)
        source_registration_stop(registration_of(link), true, event->words);
}

void docker_box_on_event(struct docker_box *box, const struct docker_event *event)
{
    switch (event->kind) {
    case DOCKER_EVENT_CHANGED:
        docker_box_look(box, DOCKER_LOOK_EVENT, event->words);
        return;
    case DOCKER_EVENT_SIGNALLED:
        on_signal(box, event);
        return;
    case DOCKER_EVENT_OOM:
        box->had_oom = true;
        return;
    case DOCKER_EVENT_DIED:
        on_died(box, event);
        return;
    case DOCKER_EVENT_DESTROYED:
        end_run(box, event->words);
        return;
    case DOCKER_EVENT_BAD:
        break;
    }
    ASSERT(!"an event that is understood");
}

void docker_box_suspect(struct docker_box *box, const char *words)
{
    list_for_each (link, &box->registrations)
        source_registration_suspect(registration_of(link), words);
}

/* ------------------------------------------------------------------------------------------------ life */

int docker_box_new(struct docker *docker, const char *id, struct docker_box **ret_box)
{
    struct docker_box *box = calloc(1, sizeof(*box));
    if (!box)
        return -ENOMEM;
    box->docker = docker;
    memcpy(box->id, id, DOCKER_ID_LEN);
    box->stop_signal = SIGTERM;
    box->stop_ns = docker->options.stop_ns;
    box->reach.office = docker->office;
    box->reach.done = on_reached;
    list_init(&box->due);
    list_init(&box->registrations);
    timer_init(&box->again, on_again);
    timer_init(&box->stopping, on_still_running);
    *ret_box = box;
    return 0;
}

void docker_box_stop(struct docker_box *box)
{
    loop_cancel(loop_of(box), &box->again);
    loop_cancel(loop_of(box), &box->stopping);
    errand_cancel(&box->ask.errand);
    docker_reach_cancel(&box->reach);
    list_remove(&box->due);
    list_for_each (link, &box->registrations)
        source_registration_rest(registration_of(link));
}

void docker_box_free(struct docker_box *box)
{
    list_for_each (link, &box->registrations) {
        list_remove(link);
        source_registration_free(registration_of(link));
    }
    docker_reach_deinit(&box->reach);
    docker_ask_deinit(&box->ask);
    free(box);
}
