/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the document of users and roles: it is refused, or it is a model that answers questions, takes memory in
 * proportion to the bytes, and is written as a document that is read as the same model.
 */
#include "fronts/etcd/auth_document.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An empty user or permission takes two bytes, and some hundred of memory. */
#define BYTES_PER_BYTE 300

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void ask(const struct auth_model *model, struct slice key)
{
    for (size_t i = 0; i < model->n_users; i++) {
        const struct auth_user *user = &model->users[i];
        check(auth_model_find_user(model, user->name) == user);
        check(auth_model_find_session(model, user->session) == user);
        bool may_all = auth_user_may(user, AUTH_READ, SLICE_LIT("\0"), SLICE_LIT("\0"));
        bool may_one = auth_user_may(user, AUTH_READ, key, (struct slice){0});
        check(may_one || !may_all);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_model *model, *again;
    struct err err;
    struct buf bytes = {0}, copy = {0};
    if (auth_document_read(slice_from(data, size), &model, &err) < 0)
        return 0;
    check(model->arena.n_bytes < 4096 + size * BYTES_PER_BYTE);
    ask(model, size > 0 ? slice_from(data, 1) : SLICE_LIT("k"));
    check(auth_document_write(model, &bytes) == 0);
    check(auth_document_read(buf_slice(&bytes), &again, &err) == 0);
    check(auth_document_write(again, &copy) == 0);
    check(slice_equal(buf_slice(&bytes), buf_slice(&copy)));
    buf_deinit(&bytes);
    buf_deinit(&copy);
    auth_model_free(model);
    auth_model_free(again);
    return 0;
}
