/* SPDX-License-Identifier: Apache-2.0 */
/* A model as bytes and back. */
#include "fronts/etcd/auth_document.h"
#include "support/fault_alloc.h"
#include "support/test.h"
#include "wire/pb.h"

#include <errno.h>

#define S(text) SLICE_LIT(text)

static struct auth_model *sample(void)
{
    struct auth_model *model = auth_model_new();
    expect_true(model != NULL);
    model->revision = 41;
    expect_int(auth_model_add_role(model, S("reader")), ETCD_OK);
    expect_int(auth_model_add_role(model, S("writer")), ETCD_OK);
    expect_int(auth_model_grant_permission(model, S("reader"), &(struct auth_permission){AUTH_READ, S("a"), S("\0")}),
               ETCD_OK);
    expect_int(
        auth_model_grant_permission(model, S("reader"), &(struct auth_permission){AUTH_READ_WRITE, S("b"), S("")}),
        ETCD_OK);
    expect_int(auth_model_add_user(model, S("root"), S("$2b$root"), false), ETCD_OK);
    expect_int(auth_model_add_user(model, S("cert"), S(""), true), ETCD_OK);
    expect_int(auth_model_grant_role(model, S("root"), S("root")), ETCD_OK);
    expect_int(auth_model_grant_role(model, S("cert"), S("writer")), ETCD_OK);
    expect_int(auth_model_grant_role(model, S("cert"), S("reader")), ETCD_OK);
    expect_int(auth_model_enable(model), ETCD_OK);
    return model;
}

static void what_is_written_is_read(void)
{
    struct auth_model *model = sample(), *again;
    struct buf bytes = {0}, copy = {0};
    struct err err;
    expect_int(auth_document_write(model, &bytes), 0);
    expect_int(auth_document_read(buf_slice(&bytes), &again, &err), 0);
    expect_true(again->is_enabled);
    expect_int(again->revision, model->revision);
    expect_int(again->n_users, 2);
    const struct auth_user *cert = auth_model_find_user(again, S("cert"));
    expect_true(cert->has_no_password);
    expect_int(cert->n_roles, 2);
    expect_true(auth_user_may(cert, AUTH_READ, S("zzz"), S("\0")));
    expect_false(auth_user_may(cert, AUTH_WRITE, S("a"), S("")));
    expect_slice(auth_model_find_session(again, 1)->name, "root");
    expect_slice(auth_model_find_user(again, S("root"))->hash, "$2b$root");
    expect_int(auth_document_write(again, &copy), 0);
    expect_bytes(buf_slice(&copy), buf_slice(&bytes));
    buf_deinit(&bytes);
    buf_deinit(&copy);
    auth_model_free(model);
    auth_model_free(again);
}

static void expect_refused(struct buf *bytes, const char *text)
{
    struct auth_model *model;
    struct err err = {""};
    expect_int(auth_document_read(buf_slice(bytes), &model, &err), -EBADMSG);
    expect_str(err.text, text);
    buf_deinit(bytes);
}

#define DAMAGED "the users and roles that the store keeps are damaged"

static struct buf head(uint64_t format, uint64_t last_session)
{
    struct buf bytes = {0};
    pb_add_uint(&bytes, 1, format);
    pb_add_uint(&bytes, 3, 7);
    pb_add_uint(&bytes, 4, last_session);
    return bytes;
}

static void add_user(struct buf *bytes, const char *name, uint64_t session)
{
    size_t begin = pb_begin(bytes, 5);
    pb_add_str(bytes, 1, name);
    pb_add_uint(bytes, 4, session);
    pb_end(bytes, begin);
}

static void what_breaks_the_rules_is_refused(void)
{
    struct buf bytes = {0};
    expect_refused(&bytes, DAMAGED);
    bytes = head(2, 0);
    expect_refused(&bytes, "users and roles were written by a newer muster: format 2, and 1 is known here");
    bytes = head(1, 9);
    add_user(&bytes, "b", 1);
    add_user(&bytes, "a", 2); /* out of order */
    expect_refused(&bytes, DAMAGED);
    bytes = head(1, 9);
    add_user(&bytes, "a", 1);
    add_user(&bytes, "b", 1); /* one session for two */
    expect_refused(&bytes, DAMAGED);
    bytes = head(1, 9);
    add_user(&bytes, "a", 10); /* will be given out again */
    expect_refused(&bytes, DAMAGED);
    bytes = head(1, 9);
    add_user(&bytes, "", 1);
    expect_refused(&bytes, DAMAGED);
    bytes = head(1, 9);
    pb_add_uint(&bytes, 6, 5); /* a role that is a number */
    expect_refused(&bytes, DAMAGED);
}

static void every_beginning_of_a_document_is_read_or_refused(void)
{
    struct auth_model *model = sample(), *again;
    struct buf bytes = {0};
    struct err err;
    expect_int(auth_document_write(model, &bytes), 0);
    for (size_t len = 0; len < bytes.len; len++) {
        again = NULL;
        int r = auth_document_read(slice_from(bytes.ptr, len), &again, &err);
        expect_true(r == 0 || r == -EBADMSG);
        auth_model_free(again);
    }
    buf_deinit(&bytes);
    auth_model_free(model);
}

static int read_once(void *arg)
{
    struct auth_model *model = NULL;
    struct err err;
    int r = auth_document_read(buf_slice(arg), &model, &err);
    auth_model_free(model);
    return r;
}

static void without_memory_it_says_so(void)
{
    struct auth_model *model = sample();
    struct buf bytes = {0};
    expect_int(auth_document_write(model, &bytes), 0);
    expect_true(fault_alloc_sweep(read_once, &bytes) > 1);
    buf_deinit(&bytes);
    auth_model_free(model);
}

static const struct test_case cases[] = {
    {"what is written is read, and written the same", what_is_written_is_read},
    {"what breaks the rules of a model is refused", what_breaks_the_rules_is_refused},
    {"every beginning of a document is read or refused", every_beginning_of_a_document_is_read_or_refused},
    {"without memory it says so", without_memory_it_says_so},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
