/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long random runs in virtual time against a model that is too simple to be wrong: arrays, and loops over all of them.
 * The model says what readers must see of each instance after each event; the kit checks that each revision has one
 * change and one note. The same run is made again with every allocation of every step failing once, and must leave the
 * same trace.
 */
#include "support/catalog_kit.h"
#include "support/test.h"

#include "catalog/flap.h"

#include <stdio.h>

#define N_SERVICES 4
#define N_IDS      8
#define N_STEPS    6000

#define BIT(reason)  (1U << INSTANCE_REASON_##reason)
#define WINDOW       (5 * NSEC_PER_SEC)
#define HOLD_MAX     (300 * NSEC_PER_SEC)
#define SUSPICION    (10 * NSEC_PER_SEC)
#define REMOVE_AFTER NSEC_PER_SEC
#define GRACE        (2 * NSEC_PER_SEC)

static const struct flap_rules flap_rules = {.half_life_ns = 60 * NSEC_PER_SEC, .suppress = 400, .reuse = 150};

enum state { ABSENT, PRESENT, LOST, HELD };

struct model_order {
    bool is_given;
    int64_t until_ms;
};

struct model_instance {
    enum state state;
    unsigned address;
    bool is_foreign; /* its key is not the native one but that of the projection */
    bool is_checked, is_proved_dead, is_flapping;
    bool has_claim; /* the other of the two keys is there too, and waits */
    unsigned claim_address;
    bool claim_is_checked;
    uint32_t facts; /* reasons that parties set; not orders, HELD, FLAPPING */
    nsec_t grace_at, remove_at, suspect_until, hold_until;
    bool is_counted; /* as lost */
    nsec_t lost_at;
    struct flap flap;
    struct model_order orders[2];
};

struct model {
    struct model_instance all[N_SERVICES][N_IDS];
    struct model_order orders[N_SERVICES][2];
    nsec_t now_ns;
    int64_t wall_ms;
};

/* ------------------------------------------------------------------------------------------------ the model */

static bool is_ordered(const struct model *model, unsigned s, unsigned i, unsigned type)
{
    return model->all[s][i].orders[type].is_given || model->orders[s][type].is_given;
}

static uint32_t reasons_of(const struct model *model, unsigned s, unsigned i)
{
    const struct model_instance *it = &model->all[s][i];
    return it->facts | (is_ordered(model, s, i, 0) ? BIT(DRAINING) : 0) |
           (is_ordered(model, s, i, 1) ? BIT(MAINTENANCE) : 0) | (it->state == HELD ? BIT(HELD) : 0) |
           (it->is_flapping ? BIT(FLAPPING) : 0);
}

static void count_departure(struct model *model, struct model_instance *it)
{
    flap_add(&it->flap, &flap_rules, model->now_ns);
    it->is_flapping |= it->flap.penalty >= flap_rules.suppress;
}

static void forget_facts(struct model_instance *it)
{
    it->facts = 0;
    it->is_proved_dead = false;
    it->grace_at = it->remove_at = it->suspect_until = it->hold_until = 0;
}

static void goes(struct model *model, struct model_instance *it)
{
    forget_facts(it);
    it->state = ABSENT;
    it->is_counted = false;
    count_departure(model, it);
}

static void is_new(struct model_instance *it, unsigned address, bool is_checked)
{
    forget_facts(it);
    it->state = PRESENT;
    it->is_counted = false;
    it->address = address;
    it->is_checked = is_checked;
    it->facts = is_checked ? BIT(STARTING) : 0;
}

/* Its key went; if the other one has waited, that takes over. */
static void key_goes(struct model *model, struct model_instance *it)
{
    if (!it->has_claim) {
        goes(model, it);
        return;
    }
    it->has_claim = false;
    it->is_foreign = !it->is_foreign;
    is_new(it, it->claim_address, it->claim_is_checked);
}

static void registers(struct model_instance *it, bool is_foreign, unsigned address, bool is_checked)
{
    if (it->state == PRESENT && it->is_foreign != is_foreign) {
        it->has_claim = true;
        it->claim_address = address;
        it->claim_is_checked = is_checked;
        return;
    }
    it->is_foreign = is_foreign;
    bool is_same = (it->state == PRESENT || it->state == HELD) && it->address == address;
    if (!is_same) {
        is_new(it, address, is_checked);
        return;
    }
    it->state = PRESENT;
    it->is_counted = false;
    it->is_checked = is_checked;
    it->hold_until = 0;
    if (!is_checked) {
        it->facts &= ~(BIT(STARTING) | BIT(FAILING));
        it->remove_at = 0;
    }
}

static void holds(struct model *model, struct model_instance *it)
{
    if (it->state == LOST) {
        it->facts &= ~BIT(SUSPECT);
        flap_forgive(&it->flap, &flap_rules, model->now_ns);
    }
    it->state = HELD;
    it->hold_until = model->now_ns + HOLD_MAX;
}

/* The rule, as the design says it. */
static void expires(struct model *model, unsigned s, unsigned i)
{
    struct model_instance *it = &model->all[s][i];
    uint32_t evidence = BIT(FAILING) | BIT(DISCONNECTED) | BIT(STOPPED) | BIT(DRAINING) | BIT(MAINTENANCE);
    if (it->has_claim || (reasons_of(model, s, i) & evidence) || it->is_proved_dead) {
        key_goes(model, it);
        return;
    }
    unsigned n_lost = 1, n_there = 0;
    for (unsigned j = 0; j < N_IDS; j++) {
        const struct model_instance *other = &model->all[s][j];
        n_lost += j != i && other->is_counted && model->now_ns - other->lost_at < WINDOW;
        n_there += j != i && other->state == PRESENT;
    }
    it->is_counted = true;
    it->lost_at = model->now_ns;
    if (n_lost < 3 || n_lost * 100 <= 50 * (n_lost + n_there)) {
        it->state = LOST;
        it->grace_at = it->remove_at = it->suspect_until = 0;
        count_departure(model, it);
        return;
    }
    holds(model, it);
    for (unsigned j = 0; j < N_IDS; j++)
        if (model->all[s][j].state == LOST)
            holds(model, &model->all[s][j]);
}

static void check_reported(struct model *model, struct model_instance *it, bool is_good)
{
    if (is_good) {
        it->facts &= ~(BIT(STARTING) | BIT(FAILING));
        it->is_proved_dead = false;
        it->remove_at = 0;
    } else if (!(it->facts & BIT(FAILING))) {
        it->facts |= BIT(FAILING);
        it->remove_at = it->is_checked ? model->now_ns + REMOVE_AFTER : 0;
        count_departure(model, it);
    }
}

static void session_reported(struct model *model, struct model_instance *it, bool is_good)
{
    if (is_good) {
        it->facts &= ~BIT(DISCONNECTED);
        it->grace_at = 0;
    } else if (!(it->facts & BIT(DISCONNECTED))) {
        it->facts |= BIT(DISCONNECTED);
        it->grace_at = model->now_ns + GRACE;
        count_departure(model, it);
    }
}

static void suspected(struct model *model, struct model_instance *it, bool is_good)
{
    it->facts = is_good ? it->facts & ~BIT(SUSPECT) : it->facts | BIT(SUSPECT);
    it->suspect_until = is_good ? 0 : model->now_ns + SUSPICION;
}

static void reported(struct model *model, struct model_instance *it, enum catalog_event_type type, bool is_good)
{
    if (it->state != PRESENT && it->state != HELD)
        return;
    if (type == CATALOG_SUSPECT) {
        suspected(model, it, is_good);
    } else if (it->state == HELD) {
        it->hold_until = model->now_ns + HOLD_MAX;
        if (!is_good)
            goes(model, it);
    } else if (type == CATALOG_CHECK) {
        check_reported(model, it, is_good);
    } else if (type == CATALOG_SESSION) {
        session_reported(model, it, is_good);
    } else if (type == CATALOG_PROBE) {
        suspected(model, it, is_good);
        it->is_proved_dead = !is_good;
    } else {
        it->facts = is_good ? it->facts & ~BIT(STOPPED) : it->facts | BIT(STOPPED);
    }
}

/* -------- time */

static bool is_due(nsec_t at_ns, nsec_t now_ns)
{
    return at_ns != 0 && at_ns <= now_ns;
}

static void instance_at(struct model *model, struct model_instance *it)
{
    nsec_t now = model->now_ns;
    if (is_due(it->grace_at, now) || is_due(it->remove_at, now))
        key_goes(model, it);
    if (is_due(it->hold_until, now))
        goes(model, it);
    if (is_due(it->suspect_until, now)) {
        it->facts &= ~BIT(SUSPECT);
        it->suspect_until = 0;
    }
    if (it->state == LOST && now - it->lost_at >= WINDOW) {
        it->state = ABSENT;
        it->is_counted = false;
        forget_facts(it);
    }
    uint32_t penalty = flap_penalty(&it->flap, &flap_rules, now);
    it->is_flapping &= penalty > flap_rules.reuse;
    if (!it->is_flapping && penalty <= 50)
        it->flap = (struct flap){0};
}

static void orders_at(struct model_order *orders, int64_t wall_ms)
{
    for (unsigned type = 0; type < 2; type++)
        if (orders[type].is_given && orders[type].until_ms != 0 && orders[type].until_ms <= wall_ms)
            orders[type] = (struct model_order){0};
}

/* Millisecond by millisecond. */
static void pass(struct model *model, nsec_t by_ns)
{
    for (nsec_t passed = 0; passed <= by_ns; passed += NSEC_PER_MSEC) {
        for (unsigned s = 0; s < N_SERVICES; s++) {
            orders_at(model->orders[s], model->wall_ms);
            for (unsigned i = 0; i < N_IDS; i++) {
                orders_at(model->all[s][i].orders, model->wall_ms);
                instance_at(model, &model->all[s][i]);
            }
        }
        if (passed < by_ns) {
            model->now_ns += NSEC_PER_MSEC;
            model->wall_ms++;
        }
    }
}

/* ------------------------------------------------------------------------------------------------ the run */

struct run {
    struct catalog_kit kit;
    struct model model;
    uint64_t seed;
};

static unsigned choose(struct run *run, unsigned n)
{
    return (unsigned)(test_random(&run->seed) % n);
}

static void do_register(struct run *run, unsigned s, unsigned i, const char *service, const char *id)
{
    unsigned address = choose(run, 8) == 0 ? choose(run, 3) : run->model.all[s][i].address;
    bool is_foreign = choose(run, 10) == 0 ? !run->model.all[s][i].is_foreign : run->model.all[s][i].is_foreign;
    bool is_checked = !is_foreign && choose(run, 2) == 0;
    char record[128], key[16];
    if (is_foreign) {
        snprintf(key, sizeof(key), "%s/%s", service, id);
        snprintf(record, sizeof(record), "10.0.%u.%u:80", i, address);
        kit_put(&run->kit, key, record, 5, "");
        registers(&run->model.all[s][i], true, address, false);
        return;
    }
    snprintf(record, sizeof(record), "{\"address\": \"10.0.%u.%u:80\"%s}", i, address,
             is_checked ? ", \"check\": {\"type\": \"tcp\", \"remove_after_ms\": 1000}" : "");
    kit_register(&run->kit, service, id, record);
    registers(&run->model.all[s][i], false, address, is_checked);
}

static void key_of(char *room, size_t size, unsigned s, unsigned i, bool is_foreign)
{
    snprintf(room, size, "%ss%u/%u", is_foreign ? "" : "/muster/services/", s, i);
}

static bool has_key(const struct run *run, unsigned s, unsigned i, bool is_foreign)
{
    char key[32];
    key_of(key, sizeof(key), s, i, is_foreign);
    for (size_t k = 0; k < run->kit.n_keys; k++)
        if (strcmp(run->kit.keys[k].key, key) == 0)
            return true;
    return false;
}

/* One of the two keys, be it shown, waiting, or not there. */
static void do_delete(struct run *run, unsigned s, unsigned i)
{
    struct model_instance *it = &run->model.all[s][i];
    bool is_foreign = choose(run, 2) == 0;
    char key[32];
    key_of(key, sizeof(key), s, i, is_foreign);
    if (it->state == PRESENT && it->is_foreign == is_foreign)
        key_goes(&run->model, it);
    else
        it->has_claim = false;
    kit_delete(&run->kit, key, STORE_NOTE_DELETED, "root", "");
}

/* A run of expiries, as when a network breaks. */
static void do_expire(struct run *run, unsigned s, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n && i < N_IDS; i++) {
        char key[32];
        if (run->model.all[s][i].state != PRESENT)
            continue;
        key_of(key, sizeof(key), s, i, run->model.all[s][i].is_foreign);
        kit_delete(&run->kit, key, STORE_NOTE_EXPIRED, "", "");
        expires(&run->model, s, i);
    }
}

static void do_report(struct run *run, unsigned s, unsigned i, const char *service, const char *id)
{
    static const enum catalog_event_type types[] = {CATALOG_CHECK, CATALOG_PROBE, CATALOG_SUSPECT, CATALOG_SESSION,
                                                    CATALOG_SOURCE};
    enum catalog_event_type type = types[choose(run, ARRAY_LEN(types))];
    bool is_good = choose(run, 3) > 0;
    if (type == CATALOG_SESSION && !is_good)
        kit_session_broke(&run->kit, service, id, GRACE);
    else
        kit_report(&run->kit, type, service, id, is_good, "words");
    reported(&run->model, &run->model.all[s][i], type, is_good);
}

static void do_order(struct run *run, unsigned s, unsigned i, const char *service, const char *id)
{
    unsigned type = choose(run, 2);
    enum catalog_event_type event = type == 0 ? CATALOG_DRAIN : CATALOG_MAINTAIN;
    bool is_whole = choose(run, 4) == 0;
    struct model_order *order = is_whole ? &run->model.orders[s][type] : &run->model.all[s][i].orders[type];
    if (choose(run, 3) > 0) {
        kit_withdraw(&run->kit, event, service, is_whole ? "" : id, "eve");
        *order = (struct model_order){0};
        return;
    }
    int64_t until_ms = choose(run, 4) == 0 ? 0 : run->kit.time.wall_ms + 1 + choose(run, 20000);
    kit_order(&run->kit, event, service, is_whole ? "" : id, "bob", "words", until_ms);
    *order = (struct model_order){true, until_ms};
}

static void do_one(struct run *run)
{
    unsigned s = choose(run, N_SERVICES), i = choose(run, N_IDS);
    char service[4] = {'s', (char)('0' + s), 0}, id[4] = {(char)('0' + i), 0};
    unsigned dice = choose(run, 100);
    if (dice < 45) {
        do_register(run, s, i, service, id);
    } else if (dice < 58) {
        do_expire(run, s, i, choose(run, 6) == 0 ? N_IDS : 1);
    } else if (dice < 64) {
        do_delete(run, s, i);
    } else if (dice < 90) {
        do_report(run, s, i, service, id);
    } else {
        do_order(run, s, i, service, id);
    }
}

static void expect_same(struct run *run)
{
    for (unsigned s = 0; s < N_SERVICES; s++) {
        unsigned n = 0;
        char service[4] = {'s', (char)('0' + s), 0};
        for (unsigned i = 0; i < N_IDS; i++) {
            char id[4] = {(char)('0' + i), 0};
            const struct model_instance *expected = &run->model.all[s][i];
            bool is_shown = expected->state == PRESENT || expected->state == HELD;
            const struct instance *instance = kit_find(&run->kit, service, id);
            if (is_shown != (instance != NULL) || (is_shown && instance->reasons != reasons_of(&run->model, s, i)))
                test_fail(__FILE__, __LINE__, "%s/%s is %s, expected %s with reasons %x; %.*s", service, id,
                          kit_reasons(&run->kit, service, id), is_shown ? "there" : "gone",
                          reasons_of(&run->model, s, i), SLICE_ARG(buf_slice(&run->kit.trace)));
            n += is_shown;
            expect_int(has_key(run, s, i, expected->is_foreign), expected->state == PRESENT);
            expect_int(has_key(run, s, i, !expected->is_foreign), expected->has_claim);
        }
        expect_int(kit_count(&run->kit, service), n);
    }
}

static void run_once(struct run *run, uint64_t seed, unsigned n_steps, bool is_disturbed)
{
    *run = (struct run){.seed = seed};
    catalog_kit_init(&run->kit, NULL);
    run->kit.is_disturbed = is_disturbed;
    run->model.now_ns = run->kit.time.now_ns;
    run->model.wall_ms = run->kit.time.wall_ms;
    for (unsigned n = 0; n < n_steps; n++) {
        do_one(run);
        unsigned at_most_ms = choose(run, 3) == 0 ? 1 : choose(run, 60) == 0 ? 20000 : 300;
        nsec_t by_ns = choose(run, at_most_ms) * NSEC_PER_MSEC;
        kit_pass(&run->kit, by_ns);
        pass(&run->model, by_ns);
        expect_same(run);
    }
}

/* A new catalogue makes the same of the keys: those that are shown, at the same addresses. */
static void expect_same_after_restart(struct run *run)
{
    kit_restart(&run->kit);
    for (unsigned s = 0; s < N_SERVICES; s++) {
        for (unsigned i = 0; i < N_IDS; i++) {
            char service[4] = {'s', (char)('0' + s), 0}, id[4] = {(char)('0' + i), 0}, address[32];
            const struct model_instance *expected = &run->model.all[s][i];
            const struct instance *instance = kit_find(&run->kit, service, id);
            expect_int(instance != NULL, expected->state == PRESENT);
            if (!instance)
                continue;
            snprintf(address, sizeof(address), "10.0.%u.%u:80", i, expected->address);
            expect_slice(instance->record.address, address);
            expect_int(slice_starts_with(instance->key, SLICE_LIT("/muster/")), !expected->is_foreign);
        }
    }
}

static void the_catalogue_is_what_the_model_says(void)
{
    struct run run;
    run_once(&run, test_seed(), N_STEPS, false);
    expect_true(kit_trace_count(&run.kit, " held ") > 10);
    expect_true(kit_trace_count(&run.kit, " released ") > 0);
    expect_true(kit_trace_count(&run.kit, " flapping ") > 0);
    expect_true(kit_trace_count(&run.kit, " removed by its check ") > 0);
    expect_true(kit_trace_count(&run.kit, " conflict ") > 10);
    expect_same_after_restart(&run);
    catalog_kit_deinit(&run.kit);
}

static void the_same_seed_gives_the_same_trace(void)
{
    struct run a, b;
    uint64_t seed = test_seed();
    run_once(&a, seed, 1000, false);
    run_once(&b, seed, 1000, false);
    expect_bytes(buf_slice(&b.kit.trace), buf_slice(&a.kit.trace));
    catalog_kit_deinit(&a.kit);
    catalog_kit_deinit(&b.kit);
}

static void failing_allocations_change_nothing(void)
{
    struct run calm, disturbed;
    uint64_t seed = test_seed();
    run_once(&calm, seed, 1000, false);
    run_once(&disturbed, seed, 1000, true);
    expect_true(disturbed.kit.n_failed > 1000);
    expect_bytes(buf_slice(&disturbed.kit.trace), buf_slice(&calm.kit.trace));
    catalog_kit_deinit(&calm.kit);
    catalog_kit_deinit(&disturbed.kit);
}

static const struct test_case cases[] = {
    {"the catalogue is what the model says", the_catalogue_is_what_the_model_says},
    {"the same seed gives the same trace", the_same_seed_gives_the_same_trace},
    {"each allocation failing once changes nothing", failing_allocations_change_nothing},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
