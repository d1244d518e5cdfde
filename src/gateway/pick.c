/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tier is picked from by way of a hand: some of its instances that may be taken, each with its weight of the moment.
 * Of few, all that may be taken are dealt, and the choice among them is exact whatever is wrong with the others. Of
 * many, two (or what the algorithm wants) are drawn by weight; one that may not be taken, or is too new this time, is
 * put back and another one drawn. Only if that fails again and again, all are gone through.
 */
#include "gateway/pick.h"

#include "base/hash.h"
#include "gateway/ring.h"

#include "base/assert.h"

#define DEAL_ALL_MAX 8   /* P2C and random look at all of so many */
#define TURNS_MAX    64  /* that are passed over */
#define SHARE_ONE    256 /* of a weight */
#define SHARE_MIN    26

/* What keeps a score within 64 bits, whatever the weights: (2^8 + 2^8 x 2^10 x 2^16 x 2^8 / 26) x 2^22. */
#define LOAD_MAX       1023
#define LATENCY_US_MAX ((uint64_t)1 << 22)

struct card {
    const struct target *target;
    uint64_t weight; /* in parts of SHARE_ONE */
};

/* One look at a tier. */
struct hand {
    const struct pick_request *request;
    struct random *random;
    struct pick_result *result;
    const struct plan_tier *tier;
    bool is_lenient; /* those merely suspected may be taken */
    bool has_shares; /* some may be in their slow start */
    unsigned n;
    struct card cards[PICK_LOOKS_MAX];
};

uint64_t pick_key(struct slice key)
{
    static const struct hash_key known_to_all = {0x6d7573746572, 3};
    return hash_bytes(&known_to_all, key);
}

/* ------------------------------------------------------------------------------------------------ who may be taken */

static enum pick_verdict judge(const struct pick_request *request, const struct target *target, bool is_lenient)
{
    const struct runtime *runtime = target->runtime;
    for (unsigned i = 0; i < request->n_tried; i++)
        if (request->tried[i] == runtime)
            return PICK_TRIED;
    uint32_t trouble = atomic_load_explicit(&runtime->trouble, memory_order_relaxed);
    if (trouble == 0)
        return PICK_TAKEN;
    if (trouble & RUNTIME_GONE)
        return PICK_GONE;
    if (is_lenient)
        return PICK_TAKEN;
    if (trouble & RUNTIME_STALLED)
        return PICK_STALLED;
    nsec_t until_ns = atomic_load_explicit(&runtime->ejected_until_ns, memory_order_relaxed);
    return request->now_ns < until_ns ? PICK_EJECTED : PICK_TAKEN;
}

static struct pick_draw *note(struct pick_result *result, const struct target *target, enum pick_verdict verdict,
                              uint64_t score)
{
    /* Room is kept for the last two: those between which it was decided. */
    bool is_passed_over = verdict != PICK_TAKEN && verdict != PICK_WORSE;
    if (result->n_draws >= PICK_DRAWS_MAX - (is_passed_over ? 2 : 0))
        return NULL;
    struct pick_draw *draw = &result->draws[result->n_draws++];
    *draw = (struct pick_draw){target, verdict, score};
    return draw;
}

static bool may_take(struct hand *hand, const struct target *target)
{
    enum pick_verdict verdict = judge(hand->request, target, hand->is_lenient);
    if (verdict != PICK_TAKEN)
        (void)note(hand->result, target, verdict, 0);
    return verdict == PICK_TAKEN;
}

static uint64_t n_requests(const struct runtime *runtime)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < runtime->n_slots; i++) {
        const struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[i], memory_order_acquire);
        n += slot ? atomic_load_explicit(&slot->n_requests, memory_order_relaxed) : 0;
    }
    return n;
}

/* What part of its weight counts, of SHARE_ONE. */
static unsigned share_of(const struct hand *hand, const struct target *target)
{
    if (!hand->has_shares)
        return SHARE_ONE;
    nsec_t slow_ns = hand->request->slow_start_ns;
    nsec_t age_ns = hand->request->now_ns - atomic_load_explicit(&target->runtime->since_ns, memory_order_relaxed);
    if (age_ns >= slow_ns)
        return SHARE_ONE;
    double by_age = age_ns <= 0 ? 0 : (double)age_ns / (double)slow_ns;
    double by_use = (double)n_requests(target->runtime) / PICK_WARM_REQUESTS;
    double share = SHARE_ONE * (by_age < by_use ? by_age : by_use);
    return share < SHARE_MIN ? SHARE_MIN : (unsigned)share;
}

/* ------------------------------------------------------------------------------------------------ dealing */

/* The index at which `at` falls in the row of the weights. */
static unsigned index_at(const struct plan_tier *tier, uint64_t at)
{
    unsigned low = 0, high = tier->n - 1;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (tier->weight_sums[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static unsigned draw_index(const struct plan_tier *tier, struct random *random)
{
    if (!tier->weight_sums)
        return (unsigned)random_below(random, tier->n);
    return index_at(tier, random_below(random, tier->weight));
}

static void deal(struct hand *hand, const struct target *target, unsigned share)
{
    hand->cards[hand->n++] = (struct card){target, (uint64_t)target->weight * share};
}

static void deal_all(struct hand *hand)
{
    for (unsigned i = 0; i < hand->tier->n; i++) {
        const struct target *target = hand->tier->targets[i];
        if (may_take(hand, target))
            deal(hand, target, share_of(hand, target));
    }
}

/* Somebody, from a random one on: when most may not be taken. */
static void deal_any(struct hand *hand)
{
    unsigned first = draw_index(hand->tier, hand->random);
    for (unsigned i = 0; i < hand->tier->n && hand->n == 0; i++) {
        const struct target *target = hand->tier->targets[(first + i) % hand->tier->n];
        if (judge(hand->request, target, hand->is_lenient) == PICK_TAKEN)
            deal(hand, target, SHARE_ONE);
    }
}

static bool has_card(const struct hand *hand, const struct target *target)
{
    for (unsigned i = 0; i < hand->n; i++)
        if (hand->cards[i].target == target)
            return true;
    return false;
}

static void deal_some(struct hand *hand, unsigned n_wanted)
{
    for (unsigned tries = 4 * n_wanted + 8; tries > 0 && hand->n < n_wanted; tries--) {
        const struct target *target = hand->tier->targets[draw_index(hand->tier, hand->random)];
        if (has_card(hand, target) || !may_take(hand, target))
            continue;
        unsigned share = share_of(hand, target);
        if (share == SHARE_ONE || random_below(hand->random, SHARE_ONE) < share)
            deal(hand, target, share);
    }
    if (hand->n == 0)
        deal_any(hand);
}

/* One of the cards, by weight; `but`: not this one. */
static unsigned draw_card(const struct hand *hand, const struct card *but)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < hand->n; i++)
        sum += &hand->cards[i] == but ? 0 : hand->cards[i].weight;
    uint64_t at = random_below(hand->random, sum);
    unsigned i = 0;
    for (; &hand->cards[i] == but || at >= hand->cards[i].weight; i++)
        at -= &hand->cards[i] == but ? 0 : hand->cards[i].weight;
    return i;
}

/* ------------------------------------------------------------------------------------------------ comparing */

/* How busy an instance is, and how slow, as far as is known. */
struct load {
    uint64_t n_in_flight;
    uint64_t latency_us; /* 0: not known */
    uint64_t age_us;     /* of the oldest that waits */
};

static uint64_t decayed(uint64_t latency_us, nsec_t idle_ns)
{
    if (idle_ns <= 0)
        return latency_us;
    uint64_t halves = (uint64_t)(idle_ns / PICK_LATENCY_HALF_NS);
    uint64_t rest = (uint64_t)(idle_ns % PICK_LATENCY_HALF_NS);
    latency_us = halves < 32 ? latency_us >> halves : 0;
    latency_us -= latency_us * rest / (2 * (uint64_t)PICK_LATENCY_HALF_NS); /* straight from one half to the next */
    return latency_us > 0 ? latency_us : 1;
}

static struct load load_of(const struct pick_request *request, const struct runtime *runtime)
{
    struct load load = {0};
    nsec_t oldest_ns = 0;
    uint64_t own_us = 0;
    for (unsigned i = 0; i < runtime->n_slots; i++) {
        const struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[i], memory_order_acquire);
        if (!slot)
            continue;
        load.n_in_flight += atomic_load_explicit(&slot->n_in_flight, memory_order_relaxed);
        nsec_t waits_ns = atomic_load_explicit(&slot->oldest_ns, memory_order_relaxed);
        if (waits_ns != 0 && (oldest_ns == 0 || waits_ns < oldest_ns))
            oldest_ns = waits_ns;
        uint64_t latency_us = atomic_load_explicit(&slot->latency_us, memory_order_relaxed);
        if (latency_us == 0)
            continue;
        nsec_t fed_ns = atomic_load_explicit(&slot->latency_at_ns, memory_order_relaxed);
        latency_us = decayed(latency_us, request->now_ns - fed_ns);
        if (i == request->worker)
            own_us = latency_us;
        if (load.latency_us == 0 || latency_us < load.latency_us)
            load.latency_us = latency_us;
    }
    load.latency_us = own_us != 0 ? own_us : load.latency_us;
    if (oldest_ns != 0 && oldest_ns < request->now_ns)
        load.age_us = (uint64_t)((request->now_ns - oldest_ns) / NSEC_PER_USEC);
    return load;
}

/* 1 + requests under way, in 256ths; as of one of mean weight. */
static uint64_t scaled(const struct hand *hand, uint64_t n_in_flight, uint64_t weight)
{
    if (!hand->tier->weight_sums && !hand->has_shares)
        return 256 + min_size(n_in_flight, LOAD_MAX) * 256;
    uint64_t mean = hand->tier->weight * SHARE_ONE / hand->tier->n;
    return 256 + min_size(n_in_flight, LOAD_MAX) * 256 * mean / weight;
}

/* Takes the card `first`, or `second` if it is better. */
static const struct target *better(struct hand *hand, const struct card *first, const struct card *second)
{
    struct load a = load_of(hand->request, first->target->runtime);
    struct load b = load_of(hand->request, second->target->runtime);
    uint64_t a_us = a.latency_us > 0 ? a.latency_us : b.latency_us;
    uint64_t b_us = b.latency_us > 0 ? b.latency_us : a_us;
    if (a_us < 2 * b_us && b_us < 2 * a_us)
        a_us = b_us = (a_us + b_us) / 2;
    a_us = a.age_us > a_us ? a.age_us : a_us;
    b_us = b.age_us > b_us ? b.age_us : b_us;
    uint64_t a_score = scaled(hand, a.n_in_flight, first->weight) * min_size(a_us + 1, LATENCY_US_MAX);
    uint64_t b_score = scaled(hand, b.n_in_flight, second->weight) * min_size(b_us + 1, LATENCY_US_MAX);
    bool is_second = b_score < a_score;
    (void)note(hand->result, first->target, is_second ? PICK_WORSE : PICK_TAKEN, a_score);
    (void)note(hand->result, second->target, is_second ? PICK_TAKEN : PICK_WORSE, b_score);
    return is_second ? second->target : first->target;
}

static const struct target *take(struct hand *hand, const struct target *target)
{
    if (target)
        (void)note(hand->result, target, PICK_TAKEN, 0);
    return target;
}

/* ------------------------------------------------------------------------------------------------ algorithms */

/*
 * Two different ones, without a look at any other: nearly always both may be taken. True: the hand has them. The second
 * is drawn from the row of the weights without the first.
 */
static bool deal_two(struct hand *hand)
{
    const struct plan_tier *tier = hand->tier;
    if (tier->n < 2 || hand->has_shares)
        return false;
    unsigned i, j;
    if (tier->weight_sums) {
        i = draw_index(tier, hand->random);
        uint64_t begin = i > 0 ? tier->weight_sums[i - 1] : 0, own = tier->weight_sums[i] - begin;
        uint64_t at = random_below(hand->random, tier->weight - own);
        j = index_at(tier, at < begin ? at : at + own);
    } else {
        i = (unsigned)random_below(hand->random, tier->n);
        j = (unsigned)random_below(hand->random, tier->n - 1);
        j += j >= i;
    }
    const struct target *first = tier->targets[i], *second = tier->targets[j];
    if (judge(hand->request, first, false) != PICK_TAKEN || judge(hand->request, second, false) != PICK_TAKEN)
        return false;
    deal(hand, first, SHARE_ONE);
    deal(hand, second, SHARE_ONE);
    return true;
}

static const struct target *pick_p2c(struct hand *hand)
{
    if (deal_two(hand))
        return better(hand, &hand->cards[0], &hand->cards[1]);
    bool has_all = hand->tier->n <= DEAL_ALL_MAX;
    if (has_all)
        deal_all(hand);
    else
        deal_some(hand, 2);
    if (hand->n < 2)
        return hand->n == 0 ? NULL : take(hand, hand->cards[0].target);
    const struct card *first = &hand->cards[has_all ? draw_card(hand, NULL) : 0];
    const struct card *second = &hand->cards[has_all ? draw_card(hand, first) : 1];
    return better(hand, first, second);
}

static const struct target *pick_random(struct hand *hand)
{
    bool has_all = hand->tier->n <= DEAL_ALL_MAX;
    if (has_all)
        deal_all(hand);
    else
        deal_some(hand, 1);
    if (hand->n == 0)
        return NULL;
    return take(hand, hand->cards[has_all ? draw_card(hand, NULL) : 0].target);
}

static const struct target *pick_least(struct hand *hand)
{
    if (hand->tier->n <= PICK_LOOKS_MAX)
        deal_all(hand);
    else
        deal_some(hand, PICK_LOOKS_MAX);
    const struct card *best = NULL;
    uint64_t best_load = 0, tied = 0;
    for (unsigned i = 0; i < hand->n; i++) {
        const struct card *card = &hand->cards[i];
        uint64_t load = scaled(hand, runtime_n_in_flight(card->target->runtime), card->weight);
        if (best && load > best_load)
            continue;
        tied = best && load == best_load ? tied + card->weight : card->weight;
        if (!best || load < best_load || random_below(hand->random, tied) < card->weight)
            best = card;
        best_load = load;
    }
    return best ? take(hand, best->target) : NULL;
}

static const struct target *pick_in_turn(struct hand *hand, struct plan_cell *cell)
{
    const struct plan_tier *tier = hand->tier;
    for (unsigned tries = 0; tries < tier->n && tries < TURNS_MAX; tries++) {
        uint64_t turn = atomic_fetch_add_explicit(&cell->turn, 1, memory_order_relaxed);
        unsigned i = tier->weight_sums
                         ? index_at(tier, (uint64_t)((unsigned __int128)turn * tier->stride % tier->weight))
                         : (unsigned)(turn % tier->n);
        const struct target *target = tier->targets[i];
        if (!may_take(hand, target))
            continue;
        unsigned share = share_of(hand, target);
        if (share == SHARE_ONE || random_below(hand->random, SHARE_ONE) < share)
            return take(hand, target);
    }
    return pick_random(hand);
}

static bool is_usable(void *ctx, const struct target *target)
{
    const struct hand *hand = ctx;
    return judge(hand->request, target, hand->is_lenient) == PICK_TAKEN;
}

static const struct target *pick_hashed(struct hand *hand)
{
    if (!hand->request->has_key || !hand->tier->points)
        return pick_p2c(hand);
    return take(hand, ring_find(hand->tier, hand->request->key, is_usable, hand));
}

static const struct target *pick_from(struct hand *hand, struct plan_cell *cell)
{
    switch (hand->request->balance) {
    case BALANCE_ROUND_ROBIN:
        return pick_in_turn(hand, cell);
    case BALANCE_RANDOM:
        return pick_random(hand);
    case BALANCE_LEAST:
        return pick_least(hand);
    case BALANCE_HASH:
        return pick_hashed(hand);
    case BALANCE_P2C:
        break;
    }
    return pick_p2c(hand);
}

/* ------------------------------------------------------------------------------------------------ tiers */

static bool pick_sticky(const struct plan_service *service, const struct pick_request *request,
                        struct pick_result *result)
{
    if (request->sticky.len == 0)
        return false;
    const struct target *target = plan_find_target(service, request->sticky);
    if (!target || !(target->places & TARGET_OFFERED))
        return false;
    enum pick_verdict verdict = judge(request, target, false);
    (void)note(result, target, verdict, 0);
    if (verdict != PICK_TAKEN)
        return false;
    result->target = target;
    result->tier = PICK_STICKY;
    result->n_candidates = 1;
    return true;
}

static bool pick_tier(const struct plan_service *service, const struct plan_tier *tier, enum pick_tier name,
                      struct hand *hand)
{
    if (tier->n == 0)
        return false;
    const struct pick_request *request = hand->request;
    hand->tier = tier;
    hand->n = 0;
    hand->has_shares = request->slow_start_ns > 0 && request->now_ns - tier->since_ns >= request->slow_start_ns;
    hand->result->target = pick_from(hand, service->cell);
    hand->result->tier = name;
    hand->result->n_candidates = tier->n;
    return hand->result->target != NULL;
}

void pick(const struct plan_service *service, const struct pick_request *request, struct random *random,
          struct pick_result *ret_result)
{
    ASSERT(request->n_tried <= PICK_TRIED_MAX);
    *ret_result = (struct pick_result){0};
    if (pick_sticky(service, request, ret_result))
        return;
    struct hand hand; /* most of it is cards, which are not looked at before they are dealt */
    hand.request = request;
    hand.random = random;
    hand.result = ret_result;
    for (unsigned pass = 0; pass < 2; pass++) {
        hand.is_lenient = pass == 1;
        bool has_near = service->near.targets != service->offered.targets;
        if ((has_near && pick_tier(service, &service->near, PICK_NEAR, &hand)) ||
            pick_tier(service, &service->offered, has_near ? PICK_OFFERED : PICK_NEAR, &hand) ||
            pick_tier(service, &service->resort, PICK_RESORT, &hand))
            return;
    }
}
