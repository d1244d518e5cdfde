/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing passwords on other threads. */
#include "fronts/etcd/auth_passwords.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

struct asked {
    struct password_job job;
    unsigned n_done;
};

static void on_done(struct password_job *job)
{
    container_of(job, struct asked, job)->n_done++;
}

static struct loop *loop_with(struct passwords **ret_passwords)
{
    struct loop *loop;
    expect_int(loop_new(NULL, &loop), 0);
    expect_int(passwords_new(PASSWORD_COST_MIN, ret_passwords), 0);
    return loop;
}

static int submit(struct asked *asked, struct passwords *passwords, struct loop *loop, const char *password)
{
    asked->job.loop = loop;
    asked->job.done = on_done;
    return passwords_submit(passwords, &asked->job, slice_from_str(password));
}

static enum password_result wait_for(struct asked *asked)
{
    while (asked->n_done == 0)
        expect_int(loop_turn(asked->job.loop, NSEC_NEVER), 0);
    expect_int(asked->n_done, 1);
    asked->n_done = 0;
    return asked->job.result;
}

static void a_hash_fits_its_password_alone(void)
{
    struct passwords *passwords;
    struct loop *loop = loop_with(&passwords);
    struct asked asked = {.n_done = 0}, other = {.n_done = 0};
    expect_int(submit(&asked, passwords, loop, "secret"), 0);
    expect_int(wait_for(&asked), PASSWORD_IS_GOOD);
    expect_true(password_hash_is_usable(slice_from_str(asked.job.hash)));
    expect_true(slice_starts_with(slice_from_str(asked.job.hash), SLICE_LIT("$2b$04$")));
    expect_int(submit(&other, passwords, loop, "secret"), 0);
    expect_int(wait_for(&other), PASSWORD_IS_GOOD);
    expect_true(strcmp(asked.job.hash, other.job.hash) != 0); /* each has salt of its own */
    asked.job.is_check = true;
    expect_int(submit(&asked, passwords, loop, "secret"), 0);
    expect_int(wait_for(&asked), PASSWORD_IS_GOOD);
    expect_int(submit(&asked, passwords, loop, "Secret"), 0);
    expect_int(wait_for(&asked), PASSWORD_IS_WRONG);
    for (size_t i = 0; i < sizeof(asked.job.password); i++)
        expect_int(asked.job.password[i], 0);
    passwords_free(passwords);
    loop_free(loop);
}

/* Made by another program, as etcd keeps them. */
static void hashes_of_others_are_taken(void)
{
    struct passwords *passwords;
    struct loop *loop = loop_with(&passwords);
    struct asked asked = {.job.is_check = true,
                          .job.hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"};
    expect_true(password_hash_is_usable(slice_from_str(asked.job.hash)));
    expect_int(submit(&asked, passwords, loop, "U*U"), 0);
    expect_int(wait_for(&asked), PASSWORD_IS_GOOD);
    passwords_free(passwords);
    loop_free(loop);
}

static void nothing_fits_the_decoy(void)
{
    struct passwords *passwords;
    struct loop *loop = loop_with(&passwords);
    struct asked asked = {.job.is_check = true};
    passwords_decoy(passwords, asked.job.hash);
    expect_int(submit(&asked, passwords, loop, ""), 0);
    expect_int(wait_for(&asked), PASSWORD_IS_WRONG);
    passwords_free(passwords);
    loop_free(loop);
}

static void what_cannot_be_hashed_is_told(void)
{
    char long_one[PASSWORD_MAX_BYTES + 1];
    memset(long_one, 'x', sizeof(long_one));
    expect_true(password_is_usable(slice_from(long_one, PASSWORD_MAX_BYTES)));
    expect_false(password_is_usable(slice_from(long_one, PASSWORD_MAX_BYTES + 1)));
    expect_false(password_is_usable(SLICE_LIT("a\0b")));
    expect_true(password_is_usable(SLICE_LIT("")));
    static const char *const bad[] = {
        "",
        "plain",
        "$1$salt$hash",
        "$2b$04$short",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$xx$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2z$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_false(password_hash_is_usable(slice_from_str(bad[i])));
}

/* Each is answered once, by a thread, or when the threads end. */
static void jobs_that_are_left_end_with_the_threads(void)
{
    enum { N = 200 };
    struct passwords *passwords;
    struct loop *loop = loop_with(&passwords);
    struct asked *asked = calloc(N, sizeof(*asked));
    expect_true(asked != NULL);
    for (size_t i = 0; i < N; i++)
        expect_int(submit(&asked[i], passwords, loop, "secret"), 0);
    expect_int(wait_for(&asked[0]), PASSWORD_IS_GOOD);
    asked[0].n_done = 1;
    passwords_free(passwords);
    for (size_t i = 0; i < N; i++)
        expect_int(asked[i].n_done, 1);
    expect_int(asked[N - 1].job.result, PASSWORD_CANCELLED);
    free(asked);
    loop_free(loop);
}

static void too_many_are_refused(void)
{
    enum { N = 1200 };
    struct passwords *passwords;
    struct loop *loop;
    expect_int(loop_new(NULL, &loop), 0);
    expect_int(passwords_new(8, &passwords), 0); /* slow enough that they pile up */
    struct asked *asked = calloc(N, sizeof(*asked));
    expect_true(asked != NULL);
    unsigned n_busy = 0;
    for (size_t i = 0; i < N; i++)
        n_busy += submit(&asked[i], passwords, loop, "secret") == -EBUSY;
    expect_true(n_busy > 0);
    passwords_free(passwords);
    free(asked);
    loop_free(loop);
}

static const struct test_case cases[] = {
    {"a hash fits its password alone", a_hash_fits_its_password_alone},
    {"hashes that others made are taken", hashes_of_others_are_taken},
    {"nothing fits the decoy", nothing_fits_the_decoy},
    {"what cannot be hashed is told", what_cannot_be_hashed_is_told},
    {"jobs that are left end with the threads", jobs_that_are_left_end_with_the_threads},
    {"too many waiting jobs are refused", too_many_are_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
