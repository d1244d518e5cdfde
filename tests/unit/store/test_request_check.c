/* SPDX-License-Identifier: Apache-2.0 */
#include "store/request_check.h"

#include "support/test.h"

static char bytes[STORE_VALUE_MAX + 1];
static struct store_note notes[STORE_NOTES_MAX + 1];

static void what_is_not_too_large_passes(void)
{
    struct store_request doc = {.type = STORE_DOC, .doc.name = slice_from(bytes, STORE_DOC_NAME_MAX)};
    doc.doc.value = slice_from(bytes, STORE_VALUE_MAX);
    expect_int(store_request_check(&doc), STORE_OK);
    doc.doc.value.len++;
    expect_int(store_request_check(&doc), STORE_TOO_LARGE);
    doc.doc.value.len = 0;
    doc.doc.name.len++;
    expect_int(store_request_check(&doc), STORE_TOO_LARGE);
    expect_int(store_request_check(&(struct store_request){.type = STORE_LEASE_LIST}), STORE_OK);
}

static void notes_have_limits(void)
{
    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        notes[i] = (struct store_note){.kind = i % 2 ? STORE_NOTE_FREE : STORE_NOTE_KIND_MAX};
    struct store_request request = {.type = STORE_NOTES, .notes = {notes, STORE_NOTES_MAX}};
    notes[STORE_NOTES_MAX - 1].subject = slice_from(bytes, STORE_KEY_MAX);
    expect_int(store_request_check(&request), STORE_OK);
    notes[STORE_NOTES_MAX - 1].subject.len++;
    expect_int(store_request_check(&request), STORE_TOO_LARGE);
    request.notes.n++;
    expect_int(store_request_check(&request), STORE_TOO_MANY_OPS);
}

static void check(void *arg)
{
    (void)store_request_check(arg);
}

static void what_callers_must_know_is_asserted(void)
{
    struct store_request request = {.type = STORE_NOTES, .notes = {notes, 1}}, nameless = {.type = STORE_DOC};
    notes[0].kind = STORE_NOTE_DELETED;
    expect_abort(check, &request);
    notes[0].kind = STORE_NOTE_KIND_MAX + 1;
    expect_abort(check, &request);
    expect_abort(check, &nameless);
}

static void transactions_are_looked_at_too(void)
{
    struct store_op ops[2] = {{.type = STORE_OP_PUT, .put.key = SLICE_LIT("k")},
                              {.type = STORE_OP_PUT, .put.key = SLICE_LIT("k")}};
    struct store_request request = {.type = STORE_TXN, .txn = {.success = ops, .n_success = 2}};
    expect_int(store_request_check(&request), STORE_DUPLICATE_KEY);
}

static const struct test_case cases[] = {
    {"what is not too large passes", what_is_not_too_large_passes},
    {"notes have limits", notes_have_limits},
    {"what callers must know is asserted", what_callers_must_know_is_asserted},
    {"transactions are looked at, too", transactions_are_looked_at_too},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
