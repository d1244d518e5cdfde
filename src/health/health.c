/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A patient waits for its time, is due when too many looks run, runs, and waits again: `begin` and `on_look` are all
 * that moves it. Patients come and go with the catalogue's changes.
 */
#include "health/health.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "health/health_priv.h"
#include "health/patient.h"
#include "keeper/pursuit.h"

#include <errno.h>
#include <stdlib.h>

#define AGAIN_NS NSEC_PER_SEC

struct health {
    struct scout_part part;
    struct health_options options;
    struct curator *curator;
    const struct directory *directory;
    struct log *log;
    struct loop *loop;
    struct probe_kit kit;
    /* the scout's */
    struct pursuit pursuit;
    struct hash_key hash_key;
    struct random random;
    struct htab patients; /* by service and id; those that leave are not in it */
    struct list due;
    /* counted by the scout, read by any */
    _Atomic uint64_t n_good, n_bad, n_void;
    _Atomic unsigned n_watched, n_running, n_due;
};

void health_options_init(struct health_options *options)
{
    *options = (struct health_options){.n_at_once = 256, .watch_every_ns = NSEC_PER_SEC};
}

/* ------------------------------------------------------------------------------------------------ looking */

static void wait_for(struct patient *patient, nsec_t pause_ns)
{
    struct health *health = patient->owner;
    patient->state = PATIENT_WAITS;
    loop_arm(health->loop, &patient->timer, loop_now(health->loop) + pause_ns);
}

static void on_look(struct probe *probe);

/* Now, or when one of those that run is over. */
static void begin(struct patient *patient)
{
    struct health *health = patient->owner;
    if (health->n_running >= health->options.n_at_once) {
        patient->state = PATIENT_DUE;
        list_push_back(&health->due, &patient->due);
        health->n_due++;
        return;
    }
    patient->probe = malloc(sizeof(*patient->probe));
    if (!patient->probe) {
        wait_for(patient, AGAIN_NS);
        return;
    }
    patient->state = PATIENT_RUNS;
    health->n_running++;
    probe_init(patient->probe, &health->kit, on_look, patient);
    probe_start(patient->probe, patient->instance);
}

static void begin_next(struct health *health)
{
    struct list *link = list_pop_front(&health->due);
    if (!link)
        return;
    health->n_due--;
    begin(container_of(link, struct patient, due));
}

static void on_time(struct timer *timer)
{
    begin(container_of(timer, struct patient, timer));
}

static int report(struct health *health, const struct patient *patient, enum catalog_event_type type, bool is_good)
{
    const struct instance *instance = patient->instance;
    const struct catalog_event event = {
        .type = type,
        .report =
            {
                .service = instance->service,
                .id = instance->id,
                .incarnation = instance->incarnation,
                .is_good = is_good,
                .has_answered = is_good && probe_hears(instance),
                .actor = SLICE_LIT("health"),
                .evidence = slice_from_str(patient->probe->evidence),
            },
    };
    return curator_report(health->curator, &event);
}

/* Whoever is held needs proof of life; one look that merely takes too long is no proof of death. */
static bool proves(const struct patient *patient)
{
    return patient->probe->verdict == PROBE_GOOD || patient->probe->verdict == PROBE_DEAD || patient->n_bad >= 2;
}

static void tell(struct health *health, struct patient *patient)
{
    const struct instance *instance = patient->instance;
    enum probe_verdict verdict = patient->probe->verdict;
    bool is_due = patient_count(patient, verdict);
    if (is_due && (INSTANCE_HAS(instance, HELD) || report(health, patient, CATALOG_CHECK, patient->is_well) < 0))
        patient_not_told(patient); /* of a held one nobody wants to know more than that it lives */
    bool is_watched = INSTANCE_HAS(instance, HELD) || INSTANCE_HAS(instance, SUSPECT);
    if (is_watched && verdict != PROBE_VOID && proves(patient))
        (void)report(health, patient, CATALOG_PROBE, verdict == PROBE_GOOD); /* or after the next look */
}

static void patient_free(struct patient *patient)
{
    ASSERT(!patient->probe);
    instance_unref(patient->instance);
    free(patient);
}

static void count(struct health *health, enum probe_verdict verdict)
{
    health->n_good += verdict == PROBE_GOOD;
    health->n_bad += verdict == PROBE_BAD || verdict == PROBE_DEAD;
    health->n_void += verdict == PROBE_VOID;
}

static void on_look(struct probe *probe)
{
    struct patient *patient = probe->owner;
    struct health *health = patient->owner;
    health->n_running--;
    if (patient->state != PATIENT_LEAVES) {
        count(health, probe->verdict);
        tell(health, patient);
    }
    probe_deinit(probe);
    free(TAKE(patient->probe));
    if (patient->state == PATIENT_LEAVES)
        patient_free(patient);
    else
        wait_for(patient, patient_next_pause(patient, &health->random, health->options.watch_every_ns));
    begin_next(health);
}

/* ------------------------------------------------------------------------------------------------ patients */

static struct patient *find(const struct health *health, struct slice service, struct slice id)
{
    htab_for_each_match (node, &health->patients, hash_pair(&health->hash_key, service, id)) {
        struct patient *patient = container_of(node, struct patient, node);
        if (slice_equal(patient->instance->service, service) && slice_equal(patient->instance->id, id))
            return patient;
    }
    return NULL;
}

static void leave(struct health *health, struct patient *patient)
{
    htab_remove(&health->patients, &patient->node);
    health->n_watched--;
    switch (patient->state) {
    case PATIENT_WAITS:
        loop_cancel(health->loop, &patient->timer);
        patient_free(patient);
        return;
    case PATIENT_DUE:
        list_remove(&patient->due);
        health->n_due--;
        patient_free(patient);
        return;
    case PATIENT_RUNS:
        patient->state = PATIENT_LEAVES;
        probe_cancel(patient->probe);
        return;
    case PATIENT_LEAVES:
        break;
    }
    ASSERT(!"a patient leaves once");
}

static int enter(struct health *health, const struct instance *instance, bool is_new)
{
    struct patient *patient = calloc(1, sizeof(*patient));
    if (!patient)
        return -ENOMEM;
    int r =
        htab_insert(&health->patients, &patient->node, hash_pair(&health->hash_key, instance->service, instance->id));
    if (r < 0) {
        free(patient);
        return r;
    }
    patient->owner = health;
    list_init(&patient->due);
    timer_init(&patient->timer, on_time);
    (void)patient_set_instance(patient, instance);
    health->n_watched++;
    wait_for(patient, patient_first_pause(patient, &health->random, is_new));
    return 0;
}

/* Brings a patient in line with the newest state of its instance, NULL when it is gone. 0 or -ENOMEM. */
static int sync_patient(struct health *health, struct slice service, struct slice id, const struct instance *instance,
                        bool is_new)
{
    struct patient *patient = find(health, service, id);
    if (!patient_is_needed(instance)) {
        if (patient)
            leave(health, patient);
        return 0;
    }
    if (!patient)
        return enter(health, instance, is_new);
    bool is_another = patient->instance->incarnation != instance->incarnation;
    if (patient->state == PATIENT_RUNS && is_another) {
        leave(health, patient); /* what it finds out is about somebody else */
        return enter(health, instance, is_new);
    }
    bool is_pressing = patient_set_instance(patient, instance);
    if (patient->state == PATIENT_WAITS && is_pressing)
        wait_for(patient, 0);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ following */

struct comparison {
    struct health *health;
    int result;
};

static bool compare_service(void *ctx, const struct directory_service *service)
{
    struct comparison *comparison = ctx;
    const struct instance *instance;
    for (struct directory_cursor at = {.service = service}; (instance = directory_next(&at));) {
        if (sync_patient(comparison->health, instance->service, instance->id, instance, false) < 0)
            comparison->result = -ENOMEM;
    }
    return true;
}

static int compare_all(struct health *health)
{
    struct comparison comparison = {health, 0};
    directory_each(health->directory, compare_service, &comparison);
    htab_for_each (node, &health->patients) {
        struct patient *patient = container_of(node, struct patient, node);
        if (!directory_look_up(health->directory, patient->instance->service, patient->instance->id))
            leave(health, patient);
    }
    return comparison.result;
}

static int on_change(struct pursuit *pursuit, const struct catalog_change *change)
{
    const struct instance *either = change->after ? change->after : change->before;
    return sync_patient(container_of(pursuit, struct health, pursuit), either->service, either->id, change->after,
                        true);
}

static int on_gap(struct pursuit *pursuit)
{
    struct health *health = container_of(pursuit, struct health, pursuit);
    log_warn(health->log, "health checks could not follow every change and compare all there is");
    return compare_all(health);
}

static const struct pursuit_events pursuit_events = {.on_change = on_change, .on_gap = on_gap};

/* ------------------------------------------------------------------------------------------------ life */

static int start(struct scout_part *part, struct errand_office *office)
{
    struct health *health = container_of(part, struct health, part);
    health->kit.office = office;
    int r = pursuit_start(&health->pursuit, &pursuit_events, health->curator, health->loop);
    if (r < 0)
        return r;
    r = compare_all(health);
    if (r < 0)
        part->stop(part);
    return r;
}

static void stop(struct scout_part *part)
{
    struct health *health = container_of(part, struct health, part);
    pursuit_stop(&health->pursuit);
    htab_for_each (node, &health->patients)
        leave(health, container_of(node, struct patient, node));
}

static int make_tls(struct health *health, struct err *err)
{
    static const char *const alpn[] = {"h2", NULL};
    struct tls_options options = {.peer_check = TLS_PEER_IGNORE};
    int r = tls_config_new_client(&options, &health->kit.tls, err);
    options.alpn = alpn;
    return r < 0 ? r : tls_config_new_client(&options, &health->kit.tls_h2, err);
}

int health_new_on(const struct health_options *options, struct loop *loop, struct curator *curator, struct log *log,
                  struct health **ret_health, struct err *err)
{
    struct health *health = calloc(1, sizeof(*health));
    if (!health)
        return err_set(err, -ENOMEM, "out of memory");
    health->part = (struct scout_part){.start = start, .stop = stop};
    health->options = *options;
    health->curator = curator;
    health->directory = catalog_directory(curator_catalog(curator));
    health->log = log;
    health->loop = loop;
    list_init(&health->due);
    int r = random_init_system(&health->random);
    if (r == 0)
        r = random_system(&health->hash_key, sizeof(health->hash_key));
    if (r == 0)
        r = make_tls(health, err);
    if (r < 0) {
        health_free(health);
        return r;
    }
    *ret_health = health;
    return 0;
}

int health_new(const struct health_options *options, struct scout *scout, struct curator *curator, struct log *log,
               struct health **ret_health, struct err *err)
{
    int r = health_new_on(options, scout_loop(scout), curator, log, ret_health, err);
    if (r == 0)
        scout_add(scout, &(*ret_health)->part);
    return r;
}

struct scout_part *health_part(struct health *health)
{
    return &health->part;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    htab_deinit(&health->patients);
    (void)tls_config_unref(health->kit.tls);
    (void)tls_config_unref(health->kit.tls_h2);
    free(health);
}

void health_get_stats(const struct health *health, struct health_stats *ret_stats)
{
    *ret_stats = (struct health_stats){
        .n_good = health->n_good,
        .n_bad = health->n_bad,
        .n_void = health->n_void,
        .n_watched = health->n_watched,
        .n_running = health->n_running,
        .n_due = health->n_due,
    };
}
