/* SPDX-License-Identifier: Apache-2.0 */
/* Behind the events: lease and silence, unless a client made the commit; then the words of the actor and the cause. */
#include "store/commit_why.h"

#include "base/assert.h"
#include "base/util.h"

struct lease_end {
    int64_t lease, silence_ms;
};

static size_t fixed_bytes(unsigned kind)
{
    return kind == STORE_NOTE_CHANGED ? 0 : sizeof(struct lease_end);
}

static size_t kept_len(struct slice text)
{
    return min_size(text.len, STORE_NOTE_TEXT_MAX);
}

size_t commit_why_bytes(const struct store_note *why)
{
    return why ? fixed_bytes(why->kind) + kept_len(why->actor) + kept_len(why->cause) : 0;
}

void commit_why_set(struct store_commit *commit, const struct store_note *why)
{
    static const struct store_note nobody = {.kind = STORE_NOTE_CHANGED};
    if (!why)
        why = &nobody;
    ASSERT(why->kind < STORE_NOTE_DELETED);
    commit->why_kind = (unsigned char)why->kind;
    commit->actor_len = (unsigned char)kept_len(why->actor);
    commit->cause_len = (unsigned char)kept_len(why->cause);

    char *at = (char *)&commit->events[commit->n_events];
    struct lease_end end = {why->lease, why->silence_ms};
    size_t n_fixed = fixed_bytes(why->kind);
    memcpy(at, &end, n_fixed);
    at += n_fixed;
    if (commit->actor_len)
        memcpy(at, why->actor.ptr, commit->actor_len);
    at += commit->actor_len;
    if (commit->cause_len)
        memcpy(at, why->cause.ptr, commit->cause_len);
}

void store_commit_why(const struct store_commit *commit, struct store_note *ret_note)
{
    const char *at = (const char *)&commit->events[commit->n_events];
    struct lease_end end = {0};
    size_t n_fixed = fixed_bytes(commit->why_kind);
    memcpy(&end, at, n_fixed);
    at += n_fixed;
    *ret_note = (struct store_note){
        .kind = commit->why_kind,
        .revision = commit->revision,
        .wall_ms = commit->wall_ms,
        .lease = end.lease,
        .silence_ms = end.silence_ms,
        .actor = {at, commit->actor_len},
        .cause = {at + commit->actor_len, commit->cause_len},
    };
}
