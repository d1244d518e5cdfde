/* SPDX-License-Identifier: Apache-2.0 */
/* Users, roles and what they may. */
#include "fronts/etcd/auth_model.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

#define S(text) SLICE_LIT(text)

static const struct slice none;

static struct auth_model *model_new(void)
{
    struct auth_model *model = auth_model_new();
    expect_true(model != NULL);
    return model;
}

static void add_user(struct auth_model *draft, const char *name)
{
    expect_int(auth_model_add_user(draft, slice_from_str(name), S("hash"), false), ETCD_OK);
}

static void add_role(struct auth_model *draft, const char *name)
{
    expect_int(auth_model_add_role(draft, slice_from_str(name)), ETCD_OK);
}

static void grant(struct auth_model *draft, const char *role, enum auth_access access, struct slice key,
                  struct slice end)
{
    const struct auth_permission permission = {access, key, end};
    expect_int(auth_model_grant_permission(draft, slice_from_str(role), &permission), ETCD_OK);
}

static void join(struct auth_model *draft, const char *user, const char *role)
{
    expect_int(auth_model_grant_role(draft, slice_from_str(user), slice_from_str(role)), ETCD_OK);
}

static bool may(const struct auth_model *model, const char *user, enum auth_access access, struct slice key,
                struct slice end)
{
    return auth_user_may(auth_model_find_user(model, slice_from_str(user)), access, key, end);
}

/* ------------------------------------------------------------------------------------------------ changes */

static void users_come_and_go(void)
{
    struct auth_model *model = model_new();
    expect_int(model->revision, 1);
    expect_int(auth_model_add_user(model, none, S("h"), false), ETCD_USER_EMPTY);
    add_user(model, "bob");
    add_user(model, "alice");
    add_user(model, "carol");
    expect_int(auth_model_add_user(model, S("bob"), S("h"), false), ETCD_USER_EXISTS);
    expect_int(model->revision, 4);
    expect_int(model->n_users, 3);
    expect_slice(model->users[0].name, "alice");
    expect_slice(model->users[2].name, "carol");
    expect_int(auth_model_delete_user(model, S("bob")), ETCD_OK);
    expect_int(auth_model_delete_user(model, S("bob")), ETCD_USER_NOT_FOUND);
    expect_true(auth_model_find_user(model, S("bob")) == NULL);
    expect_true(auth_model_find_user(model, S("carol")) != NULL);
    auth_model_free(model);
}

static void roles_come_and_go_with_their_grants(void)
{
    struct auth_model *model = model_new();
    expect_int(auth_model_add_role(model, none), ETCD_ROLE_EMPTY);
    add_role(model, "writer");
    add_role(model, "reader");
    expect_int(auth_model_add_role(model, S("reader")), ETCD_ROLE_EXISTS);
    expect_int(auth_model_grant_role(model, S("alice"), S("reader")), ETCD_USER_NOT_FOUND);
    add_user(model, "alice");
    expect_int(auth_model_grant_role(model, S("alice"), S("nobody")), ETCD_ROLE_NOT_FOUND);
    join(model, "alice", "reader");
    join(model, "alice", "writer");
    uint64_t revision = model->revision;
    join(model, "alice", "reader"); /* has it already: nothing changes */
    expect_int(model->revision, revision);
    expect_int(auth_model_revoke_role(model, S("bob"), S("reader")), ETCD_USER_NOT_FOUND);
    expect_int(auth_model_revoke_role(model, S("alice"), S("root")), ETCD_ROLE_NOT_GRANTED);
    expect_int(auth_model_revoke_role(model, S("alice"), S("writer")), ETCD_OK);
    expect_int(auth_model_delete_role(model, S("reader")), ETCD_OK);
    expect_int(auth_model_delete_role(model, S("reader")), ETCD_ROLE_NOT_FOUND);
    expect_int(auth_model_find_user(model, S("alice"))->n_roles, 0);
    auth_model_free(model);
}

static void permissions_are_replaced_and_revoked(void)
{
    struct auth_model *model = model_new();
    add_role(model, "r");
    expect_int(auth_model_grant_permission(model, S("x"), &(struct auth_permission){AUTH_READ, S("a"), none}),
               ETCD_ROLE_NOT_FOUND);
    expect_int(auth_model_grant_permission(model, S("r"), &(struct auth_permission){AUTH_READ, none, S("b")}),
               ETCD_INVALID_AUTH_MGMT);
    expect_int(auth_model_grant_permission(model, S("r"), &(struct auth_permission){AUTH_READ, S("b"), S("b")}),
               ETCD_INVALID_AUTH_MGMT);
    grant(model, "r", AUTH_READ, S("b"), S("c"));
    grant(model, "r", AUTH_READ, S("b"), none);
    grant(model, "r", AUTH_READ, S("a"), S("\0"));
    grant(model, "r", AUTH_WRITE, S("b"), S("c"));
    const struct auth_role *role = auth_model_find_role(model, S("r"));
    expect_int(role->n_permissions, 3);
    expect_slice(role->permissions[0].key, "a");
    expect_slice(role->permissions[1].end, "");
    expect_int(role->permissions[2].access, AUTH_WRITE);
    expect_int(auth_model_revoke_permission(model, S("r"), S("b"), S("d")), ETCD_PERMISSION_NOT_GRANTED);
    expect_int(auth_model_revoke_permission(model, S("r"), S("b"), S("c")), ETCD_OK);
    expect_int(auth_model_revoke_permission(model, S("x"), S("b"), S("c")), ETCD_ROLE_NOT_FOUND);
    expect_int(role->n_permissions, 2);
    auth_model_free(model);
}

static void enabling_needs_a_root_that_then_stays(void)
{
    struct auth_model *model = model_new();
    expect_int(auth_model_enable(model), ETCD_NO_ROOT_USER);
    add_user(model, "root");
    expect_int(auth_model_enable(model), ETCD_NO_ROOT_ROLE);
    join(model, "root", "root"); /* the role itself need not be there */
    uint64_t revision = model->revision;
    expect_int(auth_model_enable(model), ETCD_OK);
    expect_int(model->revision, revision);
    expect_int(auth_model_delete_user(model, S("root")), ETCD_INVALID_AUTH_MGMT);
    expect_int(auth_model_delete_role(model, S("root")), ETCD_INVALID_AUTH_MGMT);
    expect_int(auth_model_revoke_role(model, S("root"), S("root")), ETCD_INVALID_AUTH_MGMT);
    expect_int(auth_model_disable(model), ETCD_OK);
    expect_int(model->revision, revision + 1);
    expect_int(auth_model_delete_user(model, S("root")), ETCD_OK);
    auth_model_free(model);
}

static void sessions_end_with_the_password_and_with_auth(void)
{
    struct auth_model *model = model_new();
    add_user(model, "alice");
    add_user(model, "root");
    join(model, "root", "root");
    expect_int(auth_model_enable(model), ETCD_OK);
    expect_int(auth_model_seal(model), ETCD_OK);
    uint64_t alice = auth_model_find_user(model, S("alice"))->session;
    uint64_t root = auth_model_find_user(model, S("root"))->session;
    expect_true(alice != 0 && alice != root);
    expect_slice(auth_model_find_session(model, alice)->name, "alice");
    expect_int(auth_model_set_password(model, S("nobody"), S("new")), ETCD_USER_NOT_FOUND);
    expect_int(auth_model_set_password(model, S("alice"), S("new")), ETCD_OK);
    expect_int(auth_model_seal(model), ETCD_OK);
    expect_true(auth_model_find_session(model, alice) == NULL);
    expect_slice(auth_model_find_session(model, root)->name, "root");
    expect_int(auth_model_disable(model), ETCD_OK);
    expect_int(auth_model_seal(model), ETCD_OK);
    expect_true(auth_model_find_session(model, root) == NULL);
    /* a user of the same name is another one */
    expect_int(auth_model_delete_user(model, S("root")), ETCD_OK);
    add_user(model, "root");
    expect_int(auth_model_seal(model), ETCD_OK);
    expect_true(auth_model_find_user(model, S("root"))->session > root);
    auth_model_free(model);
}

static void a_user_without_a_password_gets_none(void)
{
    struct auth_model *model = model_new();
    expect_int(auth_model_add_user(model, S("cert"), none, true), ETCD_OK);
    expect_int(auth_model_set_password(model, S("cert"), S("hash")), ETCD_OK);
    expect_slice(auth_model_find_user(model, S("cert"))->hash, "");
    expect_true(auth_model_find_user(model, S("cert"))->has_no_password);
    auth_model_free(model);
}

static void a_copy_leaves_the_original_alone(void)
{
    struct auth_model *model = model_new(), *draft;
    add_role(model, "r");
    grant(model, "r", AUTH_READ, S("a"), none);
    add_user(model, "alice");
    join(model, "alice", "r");
    expect_int(auth_model_seal(model), ETCD_OK);
    expect_int(auth_model_copy(model, &draft), ETCD_OK);
    expect_false(draft->is_changed);
    expect_int(auth_model_revoke_permission(draft, S("r"), S("a"), none), ETCD_OK);
    expect_true(draft->is_changed);
    expect_int(auth_model_seal(draft), ETCD_OK);
    expect_true(may(model, "alice", AUTH_READ, S("a"), none));
    expect_false(may(draft, "alice", AUTH_READ, S("a"), none));
    auth_model_free(draft);
    expect_true(may(model, "alice", AUTH_READ, S("a"), none));
    auth_model_free(model);
}

/* ------------------------------------------------------------------------------------------------ permissions */

static struct auth_model *alice_with(const struct auth_permission *permissions, size_t n)
{
    struct auth_model *model = model_new();
    add_user(model, "alice");
    add_role(model, "one");
    add_role(model, "two");
    join(model, "alice", "one");
    join(model, "alice", "two");
    for (size_t i = 0; i < n; i++)
        expect_int(auth_model_grant_permission(model, i % 2 ? S("two") : S("one"), &permissions[i]), ETCD_OK);
    expect_int(auth_model_seal(model), ETCD_OK);
    return model;
}

static void one_key_is_not_its_neighbours(void)
{
    const struct auth_permission permissions[] = {{AUTH_READ, S("k"), none}};
    struct auth_model *model = alice_with(permissions, 1);
    expect_true(may(model, "alice", AUTH_READ, S("k"), none));
    expect_true(may(model, "alice", AUTH_READ, S("k"), S("k\0")));
    expect_false(may(model, "alice", AUTH_WRITE, S("k"), none));
    expect_false(may(model, "alice", AUTH_READ, S("k\0"), none));
    expect_false(may(model, "alice", AUTH_READ, S("j"), none));
    expect_false(may(model, "alice", AUTH_READ, S("k"), S("l")));
    expect_false(may(model, "alice", AUTH_READ, S("k"), S("\0")));
    auth_model_free(model);
}

static void a_range_is_covered_by_all_roles_together(void)
{
    const struct auth_permission permissions[] = {
        {AUTH_READ, S("a"), S("c")},
        {AUTH_READ_WRITE, S("c"), S("e")}, /* the other role's; they touch */
        {AUTH_READ, S("f"), S("\0")},
    };
    struct auth_model *model = alice_with(permissions, ARRAY_LEN(permissions));
    expect_true(may(model, "alice", AUTH_READ, S("a"), S("e")));
    expect_true(may(model, "alice", AUTH_READ, S("b"), S("d")));
    expect_false(may(model, "alice", AUTH_READ, S("a"), S("e\0")));
    expect_false(may(model, "alice", AUTH_READ, S("a"), S("g")));
    expect_true(may(model, "alice", AUTH_READ, S("f"), S("\0")));
    expect_true(may(model, "alice", AUTH_READ, S("x"), none));
    expect_false(may(model, "alice", AUTH_READ, S("\0"), S("\0")));
    expect_true(may(model, "alice", AUTH_WRITE, S("c"), S("e")));
    expect_false(may(model, "alice", AUTH_WRITE, S("b"), S("d")));
    auth_model_free(model);
}

static void root_may_everything(void)
{
    struct auth_model *model = model_new();
    add_user(model, "root");
    add_user(model, "nobody");
    join(model, "root", "root");
    expect_int(auth_model_seal(model), ETCD_OK);
    expect_true(may(model, "root", AUTH_WRITE, S("\0"), S("\0")));
    expect_false(may(model, "nobody", AUTH_READ, S("a"), none));
    auth_model_free(model);
}

/* ------------------------------------------------------------------------------------------------ at random */

static struct slice random_key(uint64_t *state, char room[3])
{
    static const char letters[] = {'\0', 'a', 'b', (char)0xff};
    size_t len = 1 + test_random(state) % 3;
    for (size_t i = 0; i < len; i++)
        room[i] = letters[test_random(state) % sizeof(letters)];
    return slice_from(room, len);
}

static bool one_covers(const struct auth_permission *permissions, size_t n, enum auth_access access, struct slice key)
{
    for (size_t i = 0; i < n; i++) {
        bool is_kind = permissions[i].access == access || permissions[i].access == AUTH_READ_WRITE;
        if (is_kind && store_range_has(permissions[i].key, permissions[i].end, key))
            return true;
    }
    return false;
}

/*
 * Without merging: the places where coverage can change are the permissions' ends, so it is enough to look at the
 * range's beginning and at those of them that lie in it.
 */
static bool naive_may(const struct auth_permission *permissions, size_t n, enum auth_access access, struct slice begin,
                      struct slice end)
{
    if (!one_covers(permissions, n, access, begin))
        return false;
    for (size_t i = 0; !slice_is_empty(end) && i < n; i++) {
        char room[4] = {0};
        struct slice place = permissions[i].end;
        if (slice_is_empty(place)) { /* one key: the least one behind it */
            memcpy(room, permissions[i].key.ptr, permissions[i].key.len);
            place = slice_from(room, permissions[i].key.len + 1);
        }
        if (store_range_is_open(place) || slice_compare(place, begin) <= 0 || !store_range_has(begin, end, place))
            continue;
        if (!one_covers(permissions, n, access, place))
            return false;
    }
    return true;
}

static void random_permissions_agree_with_a_naive_model(void)
{
    uint64_t state = test_seed();
    unsigned n_yes = 0, n_no = 0;
    for (int round = 0; round < 2000; round++) {
        struct auth_permission permissions[6];
        char rooms[6][2][3], key_room[3], end_room[3];
        size_t n = 0;
        while (n < 1 + (size_t)round % 6) {
            struct auth_permission *next = &permissions[n];
            next->access = (enum auth_access)(test_random(&state) % 3);
            next->key = random_key(&state, rooms[n][0]);
            next->end = test_random(&state) % 3 ? random_key(&state, rooms[n][1]) : none;
            bool is_new = auth_permission_is_valid(next);
            for (size_t i = 0; i < n; i++)
                is_new &= !slice_equal(next->key, permissions[i].key) || !slice_equal(next->end, permissions[i].end);
            n += is_new;
        }
        struct auth_model *model = alice_with(permissions, n);
        for (int question = 0; question < 20; question++) {
            struct slice key = random_key(&state, key_room);
            struct slice end = question % 4 ? random_key(&state, end_room) : none;
            if (!slice_is_empty(end) && !store_range_is_open(end) && slice_compare(key, end) >= 0)
                continue;
            enum auth_access access = question % 2 ? AUTH_READ : AUTH_WRITE;
            bool expected = naive_may(permissions, n, access, key, end);
            expect_int(may(model, "alice", access, key, end), expected);
            n_yes += expected;
            n_no += !expected;
        }
        auth_model_free(model);
    }
    expect_true(n_yes > 1000 && n_no > 1000);
}

/* ------------------------------------------------------------------------------------------------ memory */

static enum etcd_error change_some(const struct auth_model *model, struct auth_model **ret_draft)
{
    const struct auth_permission permission = {AUTH_READ, S("b"), S("c")};
    enum etcd_error error = auth_model_copy(model, ret_draft);
    if (error == ETCD_OK)
        error = auth_model_add_user(*ret_draft, S("bob"), S("hash"), false);
    if (error == ETCD_OK)
        error = auth_model_grant_role(*ret_draft, S("bob"), S("r"));
    if (error == ETCD_OK)
        error = auth_model_grant_permission(*ret_draft, S("r"), &permission);
    if (error == ETCD_OK)
        error = auth_model_seal(*ret_draft);
    return error;
}

static int change_once(void *arg)
{
    struct auth_model *draft = NULL;
    enum etcd_error error = change_some(arg, &draft);
    auth_model_free(draft);
    expect_true(error == ETCD_OK || error == ETCD_TOO_MANY_REQUESTS);
    return error == ETCD_OK ? 0 : -ENOMEM;
}

static void without_memory_nothing_is_lost(void)
{
    struct auth_model *model = model_new();
    add_role(model, "r");
    grant(model, "r", AUTH_READ, S("a"), none);
    expect_true(fault_alloc_sweep(change_once, model) > 1);
    auth_model_free(model);
}

static const struct test_case cases[] = {
    {"users come and go, in order of name", users_come_and_go},
    {"roles come and go, and users lose them", roles_come_and_go_with_their_grants},
    {"permissions are replaced and revoked", permissions_are_replaced_and_revoked},
    {"enabling needs a root user with the root role, which then stay", enabling_needs_a_root_that_then_stays},
    {"a session ends with the password, and when auth is switched off", sessions_end_with_the_password_and_with_auth},
    {"a user without a password gets none", a_user_without_a_password_gets_none},
    {"a copy leaves the original alone", a_copy_leaves_the_original_alone},
    {"permission for one key is not for its neighbours", one_key_is_not_its_neighbours},
    {"a range is covered by all roles together or not at all", a_range_is_covered_by_all_roles_together},
    {"the root role may everything, no role nothing", root_may_everything},
    {"random permissions agree with a naive model", random_permissions_agree_with_a_naive_model},
    {"without memory nothing is lost", without_memory_nothing_is_lost},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
