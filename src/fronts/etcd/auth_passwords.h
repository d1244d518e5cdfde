/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashing passwords, which is slow on purpose, on threads of its own: a worker hands a job over and goes on.
 *
 * Hashes are bcrypt's, as crypt(3) writes them ("$2b$10$…"), which is also what etcd keeps, so that a hash may be taken
 * over. bcrypt looks at 72 bytes and ends at a zero byte; longer passwords are refused rather than cut.
 *
 * The threads are started at the first job, and wait when there is nothing to do.
 */
#pragma once

#include "base/list.h"
#include "io/loop.h"

#define PASSWORD_MAX_BYTES      72
#define PASSWORD_HASH_MAX_BYTES 128 /* with its NUL */

/* Each step takes twice as long: 10 some 50 ms, which is etcd's choice too. */
#define PASSWORD_COST_MIN 4
#define PASSWORD_COST_MAX 16

struct password_job;
typedef void (*password_done_fn)(struct password_job *job);

enum password_result {
    PASSWORD_IS_GOOD,   /* hashed; or it is the one */
    PASSWORD_IS_WRONG,  /* it is not the one */
    PASSWORD_CANCELLED, /* the front end is destroyed */
    PASSWORD_FAILED,    /* no memory, no random numbers */
};

/* Embedded in its owner's object, which must stay until `done`, on `loop`, or on the thread that frees. */
struct password_job {
    /* the owner's */
    struct loop *loop;
    password_done_fn done;
    bool is_check; /* whether the password is the one of `hash`; else `hash` is made */
    char hash[PASSWORD_HASH_MAX_BYTES];
    /* the answer */
    enum password_result result;
    /* auth_passwords.c's */
    char password[PASSWORD_MAX_BYTES + 1]; /* wiped before `done` */
    struct list link;
    struct mail mail;
    struct passwords *passwords;
};

struct passwords;

/* 0 or -ENOMEM. cost: PASSWORD_COST_MIN to _MAX. */
int passwords_new(unsigned cost, struct passwords **ret_passwords);
/* On a thread that is none of the loops', which have stopped; what is left is done or cancelled here. Accepts NULL. */
void passwords_free(struct passwords *passwords);

/* Whether a password is one that bcrypt sees all of. */
bool password_is_usable(struct slice password);
/* Whether text is a hash that this hashes with, and of a cost that is taken here. */
bool password_hash_is_usable(struct slice hash);

/*
 * Takes a job, with a password that is usable; hash is set when it is to be checked. 0, -EBUSY (too many wait), or the
 * -errno of pthread_create: then `done` is not called. Any thread.
 */
int passwords_submit(struct passwords *passwords, struct password_job *job, struct slice password);

/*
 * A hash that fits no password, of the cost that new ones have: to check against when there is no user of a name, so
 * that the answer comes no sooner. With a NUL.
 */
void passwords_decoy(const struct passwords *passwords, char ret_hash[PASSWORD_HASH_MAX_BYTES]);
