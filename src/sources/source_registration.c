/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `step` compares what is wanted with what the directory has, and does the one next thing that is missing: remove what
 * is of another session, write the record, tell how it is. It is called whenever either may have changed, and rests
 * while a request runs: a request is answered when the directory shows its effect, so what is read there is never old.
 *
 * Reports are not answered. So what was told last is remembered, for the incarnation that it was told of.
 *
 * Another session, such as the next run of a container, is written in two steps: the end of the one before is an entry
 * of its own in the timeline.
 */
#include "sources/source_registration.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_NS NSEC_PER_SEC

static void step(struct source_registration *registration);

/* ------------------------------------------------------------------------------------------------ what is there */

static const struct instance *find(const struct source_registration *registration)
{
    const struct directory *directory = catalog_directory(curator_catalog(registration->registrar->curator));
    return directory_look_up(directory, slice_from_str(registration->service), slice_from_str(registration->id));
}

static struct slice actor_of(const struct source_registration *registration)
{
    return slice_from_str(registration->registrar->origin);
}

static void set_words(char words[SOURCE_WORDS_MAX], const char *text)
{
    (void)snprintf(words, SOURCE_WORDS_MAX, "%s", text);
}

static void retry(struct source_registration *registration)
{
    struct loop *loop = registration->registrar->loop;
    registration->state = SOURCE_REGISTRATION_WAITS;
    loop_arm(loop, &registration->retry, loop_now(loop) + RETRY_NS);
}

static void on_retry(struct timer *timer)
{
    struct source_registration *registration = container_of(timer, struct source_registration, retry);
    registration->state = SOURCE_REGISTRATION_RESTS;
    step(registration);
}

/* ------------------------------------------------------------------------------------------------ reports */

/* 0, or -ENOMEM: lost. */
static int report(struct source_registration *registration, enum catalog_event_type type, bool is_good,
                  const char *words)
{
    const struct catalog_event event = {
        .type = type,
        .report = {.service = slice_from_str(registration->service),
                   .id = slice_from_str(registration->id),
                   .is_good = is_good,
                   .actor = actor_of(registration),
                   .evidence = slice_from_str(words)},
    };
    return curator_report(registration->registrar->curator, &event);
}

static bool has_health(const struct source_registration *registration)
{
    const struct instance_check *check = instance_details(&registration->record)->check;
    return check && check->type == INSTANCE_CHECK_TTL;
}

/* What the source and its check say. 0 or -ENOMEM. */
static int tell(struct source_registration *registration, const struct instance *instance)
{
    int r = 0;
    if (registration->incarnation != instance->incarnation) {
        registration->incarnation = instance->incarnation;
        registration->told_stopped = false;
        registration->told_health = SOURCE_HEALTH_UNKNOWN;
    }
    if (registration->told_stopped != registration->is_stopped) {
        r = report(registration, CATALOG_SOURCE, !registration->is_stopped, registration->words);
        if (r == 0)
            registration->told_stopped = registration->is_stopped;
    }
    bool is_known = registration->health == SOURCE_HEALTH_GOOD || registration->health == SOURCE_HEALTH_BAD;
    if (r == 0 && has_health(registration) && is_known && registration->told_health != registration->health) {
        r = report(registration, CATALOG_CHECK, registration->health == SOURCE_HEALTH_GOOD, registration->words);
        if (r == 0)
            registration->told_health = registration->health;
    }
    return r;
}

/* ------------------------------------------------------------------------------------------------ requests */

static const char *refusal(const struct curator_request *request)
{
    if (request->outcome == CURATOR_REFUSED)
        return store_outcome_name(request->store_outcome);
    return request->outcome == CURATOR_INVALID ? request->err.text : "it belongs to somebody else";
}

static void tell_refusal(const struct source_registration *registration)
{
    log_warn(registration->registrar->log, "an instance of a source cannot be changed in the catalogue",
             log_text("source", registration->registrar->origin), log_text("service", registration->service),
             log_text("instance", registration->id), log_text("why", refusal(&registration->request)));
}

/* What the store refuses now it may take later; what belongs to others is looked at again when it is wanted again. */
static void on_done(struct curator_request *request)
{
    struct source_registration *registration = container_of(request, struct source_registration, request);
    bool is_done = request->outcome == CURATOR_OK || request->outcome == CURATOR_NOT_FOUND;
    bool may_be_later = request->outcome == CURATOR_REFUSED;
    registration->state = SOURCE_REGISTRATION_RESTS;
    if (!is_done && !registration->registrar->is_stopping)
        tell_refusal(registration);
    curator_request_deinit(request);
    if (registration->registrar->is_stopping)
        return;
    if (is_done)
        step(registration);
    else if (may_be_later)
        retry(registration);
    else if (!registration->is_wanted)
        loop_defer(registration->registrar->loop, &registration->gone);
    registration->is_written &= !may_be_later;
}

static void submit(struct source_registration *registration, enum curator_request_type type, const char *why)
{
    set_words(registration->cause, why);
    registration->state = SOURCE_REGISTRATION_WRITES;
    registration->request = (struct curator_request){
        .type = type,
        .loop = registration->registrar->loop,
        .done = on_done,
        .origin = {.actor = actor_of(registration), .cause = slice_from_str(registration->cause)},
        .service = slice_from_str(registration->service),
        .id = slice_from_str(registration->id),
        .record = &registration->record,
    };
    curator_submit(registration->registrar->curator, &registration->request);
}

/* What was wanted is read again, into memory that lasts as long as the request. 0 or -ENOMEM. */
static int read_record(struct source_registration *registration)
{
    arena_deinit(&registration->arena);
    registration->record = (struct instance_record){0};
    int r = instance_record_parse(buf_slice(&registration->json), INSTANCE_RECORD_STRICT, &registration->arena,
                                  &registration->record, NULL);
    ASSERT(r != -EINVAL);
    return r;
}

static void write_record(struct source_registration *registration)
{
    if (read_record(registration) < 0) {
        retry(registration);
        return;
    }
    registration->is_written = true; /* until it is refused, or something else is wanted */
    submit(registration, CURATOR_REGISTER, registration->words);
}

/* ------------------------------------------------------------------------------------------------ the step */

static bool is_ours(const struct source_registration *registration, const struct instance *instance)
{
    return slice_equal_str(instance->record.origin, registration->registrar->origin);
}

static bool is_of_another_session(struct source_registration *registration, const struct instance *instance)
{
    if (registration->is_written || !is_ours(registration, instance))
        return false;
    if (read_record(registration) < 0)
        return false;
    return !slice_equal(instance_details(&instance->record)->session, instance_details(&registration->record)->session);
}

static void step(struct source_registration *registration)
{
    if (registration->state != SOURCE_REGISTRATION_RESTS || registration->registrar->is_stopping)
        return;
    const struct instance *instance = find(registration);
    if (!registration->is_wanted) {
        if (instance && is_ours(registration, instance))
            submit(registration, CURATOR_DEREGISTER, registration->words);
        else
            loop_defer(registration->registrar->loop, &registration->gone);
        return;
    }
    if (instance && is_of_another_session(registration, instance))
        submit(registration, CURATOR_DEREGISTER, registration->registrar->succession);
    else if (!instance || !registration->is_written || INSTANCE_HAS(instance, HELD))
        write_record(registration);
    else if (tell(registration, instance) < 0)
        retry(registration);
}

static void on_gone(struct loop_task *task)
{
    struct source_registration *registration = container_of(task, struct source_registration, gone);
    if (!registration->is_wanted && registration->state == SOURCE_REGISTRATION_RESTS)
        registration->registrar->on_gone(registration);
}

/* ------------------------------------------------------------------------------------------------ wishes */

static void set_wanted(struct source_registration *registration, bool is_wanted)
{
    if (is_wanted != registration->is_wanted)
        registration->registrar->n_wanted += is_wanted ? 1 : -1U;
    registration->is_wanted = is_wanted;
}

bool source_registration_is(const struct source_registration *registration, const struct source_wish *wish)
{
    struct buf json = {0};
    instance_record_write(&json, wish->record);
    bool is_so = registration->is_wanted && buf_error(&json) == 0 &&
                 slice_equal(buf_slice(&json), buf_slice(&registration->json)) &&
                 registration->is_stopped == wish->is_stopped && registration->health == wish->health &&
                 (find(registration) || registration->state != SOURCE_REGISTRATION_RESTS);
    buf_deinit(&json);
    return is_so;
}

bool source_registration_is_missing(const struct source_registration *registration)
{
    return registration->is_wanted && registration->state == SOURCE_REGISTRATION_RESTS && !find(registration);
}

int source_registration_want(struct source_registration *registration, const struct source_wish *wish,
                             const char *words)
{
    struct buf json = {0};
    instance_record_write(&json, wish->record);
    if (buf_error(&json) < 0) {
        buf_deinit(&json);
        return -ENOMEM;
    }
    if (!registration->is_wanted || !slice_equal(buf_slice(&json), buf_slice(&registration->json)))
        registration->is_written = false;
    if (!source_registration_is(registration, wish))
        set_words(registration->words, words);
    buf_deinit(&registration->json);
    registration->json = json;
    set_wanted(registration, true);
    registration->is_stopped = wish->is_stopped;
    registration->health = wish->health;
    registration->told_health = SOURCE_HEALTH_UNKNOWN; /* a TTL check wants to hear it now and then */
    step(registration);
    return 0;
}

void source_registration_stop(struct source_registration *registration, bool is_stopped, const char *words)
{
    if (!registration->is_wanted || registration->is_stopped == is_stopped)
        return;
    registration->is_stopped = is_stopped;
    set_words(registration->words, words);
    step(registration);
}

void source_registration_leave(struct source_registration *registration, const char *words)
{
    if (!registration->is_wanted && registration->state != SOURCE_REGISTRATION_RESTS)
        return;
    set_wanted(registration, false);
    set_words(registration->words, words);
    if (find(registration)) /* seen at once, before anything has to be written */
        (void)report(registration, CATALOG_SOURCE, false, words);
    step(registration);
}

void source_registration_suspect(struct source_registration *registration, const char *words)
{
    (void)report(registration, CATALOG_SUSPECT, false, words);
}

/* ------------------------------------------------------------------------------------------------ life */

void source_registration_rest(struct source_registration *registration)
{
    loop_cancel(registration->registrar->loop, &registration->retry);
    loop_undefer(&registration->gone);
    if (registration->state == SOURCE_REGISTRATION_WAITS)
        registration->state = SOURCE_REGISTRATION_RESTS;
}

int source_registration_new(struct source_registrar *registrar, void *owner, struct slice service, struct slice id,
                            struct source_registration **ret_registration)
{
    struct source_registration *registration = calloc(1, sizeof(*registration));
    if (!registration)
        return -ENOMEM;
    registration->registrar = registrar;
    registration->owner = owner;
    registration->service = slice_dup(service);
    registration->id = slice_dup(id);
    list_init(&registration->link);
    timer_init(&registration->retry, on_retry);
    loop_task_init(&registration->gone, on_gone);
    if (!registration->service || !registration->id) {
        source_registration_free(registration);
        return -ENOMEM;
    }
    *ret_registration = registration;
    return 0;
}

void source_registration_free(struct source_registration *registration)
{
    if (!registration)
        return;
    ASSERT(registration->state != SOURCE_REGISTRATION_WRITES);
    buf_deinit(&registration->json);
    arena_deinit(&registration->arena);
    free(registration->service);
    free(registration->id);
    free(registration);
}
