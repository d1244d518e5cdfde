/* SPDX-License-Identifier: Apache-2.0 */
/* See voice.h. Metadata is read where it lies: a service is made anew only when one of its instances changes. */
#include "gateway/voice.h"

#include "gateway/policy.h"

#define PREFIX       SLICE_LIT("gateway.")
#define ROUTE        SLICE_LIT("gateway.route")
#define ROUTE_PREFIX SLICE_LIT("gateway.route.")
#define EXPOSE       SLICE_LIT("expose")

static bool is_route(struct slice name)
{
    return slice_equal(name, ROUTE) || slice_starts_with(name, ROUTE_PREFIX);
}

bool voice_is(const struct instance *instance)
{
    const struct instance_details *details = instance_details(&instance->record);
    for (unsigned i = 0; i < details->n_metadata; i++) {
        struct slice name = details->metadata[i].name;
        if (slice_equal(name, EXPOSE) || slice_starts_with(name, PREFIX))
            return true;
    }
    return false;
}

const struct instance *voice_later(const struct instance *a, const struct instance *b)
{
    if (!a || !b)
        return a ? a : b;
    if (a->registered_ms != b->registered_ms)
        return a->registered_ms > b->registered_ms ? a : b;
    return a->create_revision >= b->create_revision ? a : b;
}

static void first_fault(struct err *fault, const struct err *this_one)
{
    if (fault->text[0] == '\0')
        *fault = *this_one;
}

static void read_expose(struct slice value, bool *is_exposed, struct err *fault)
{
    struct err err;
    if (slice_equal_str(value, "true")) {
        *is_exposed = true;
        return;
    }
    if (slice_equal_str(value, "false"))
        return;
    (void)err_set(&err, 0, "expose=%.*s: expected true or false", SLICE_ARG(value));
    first_fault(fault, &err);
}

static void read_word(struct slice word, struct slice value, struct policy *policy, struct err *fault)
{
    struct err err = {0};
    struct suggest suggest;
    unsigned set = 0;
    int r = policy_set(policy, &set, word, value, &err);
    if (r == 0)
        return;
    if (r == POLICY_UNKNOWN) {
        suggest_init(&suggest, word);
        policy_suggest(&suggest);
        const char *best = suggest_best(&suggest);
        (void)err_set(&err, 0, "gateway.%.*s: no such word%s%s%s", SLICE_ARG(word),
                      best ? ", did you mean gateway." : "", best ? best : "", best ? "?" : "");
    } else {
        (void)err_wrap(&err, 0, "gateway.%.*s", SLICE_ARG(word));
    }
    first_fault(fault, &err);
}

void voice_read(const struct instance *voice, struct policy *policy, bool *ret_is_exposed, struct err *fault)
{
    *ret_is_exposed = false;
    fault->text[0] = '\0';
    const struct instance_details *details = voice ? instance_details(&voice->record) : NULL;
    for (unsigned i = 0; details && i < details->n_metadata; i++) {
        const struct instance_pair *pair = &details->metadata[i];
        if (slice_equal(pair->name, EXPOSE))
            read_expose(pair->value, ret_is_exposed, fault);
        else if (slice_starts_with(pair->name, PREFIX) && !is_route(pair->name))
            read_word(slice_skip(pair->name, PREFIX.len), pair->value, policy, fault);
    }
}

unsigned voice_routes(const struct instance *voice, struct slice *ret_texts)
{
    const struct instance_details *details = voice ? instance_details(&voice->record) : NULL;
    unsigned n = 0;
    for (unsigned i = 0; details && i < details->n_metadata && n < VOICE_ROUTES_MAX; i++)
        if (is_route(details->metadata[i].name))
            ret_texts[n++] = details->metadata[i].value;
    return n;
}

bool voice_same_routes(const struct instance *a, const struct instance *b)
{
    struct slice ours[VOICE_ROUTES_MAX], theirs[VOICE_ROUTES_MAX];
    unsigned n = voice_routes(a, ours);
    if (voice_routes(b, theirs) != n)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!slice_equal(ours[i], theirs[i]))
            return false;
    return true;
}
