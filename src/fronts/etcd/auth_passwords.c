/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job waits in `waiting`, then is worked on, then is in the mail; from the second on it is in `taken`. When the front
 * end is destroyed those in `waiting` are cancelled, and those in `taken` are in the mail for sure once the threads
 * have ended, so their loops deliver it.
 */
#include "fronts/etcd/auth_passwords.h"

#include "base/assert.h"
#include "base/random.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS       2
#define WAITING_MAX   1024
#define SALT_BYTES    16
#define BCRYPT_LENGTH 60 /* "$2b$10$", 22 characters of salt, 31 of hash */

struct passwords {
    unsigned cost;
    pthread_mutex_t lock; /* for all below; never held over a hash */
    pthread_cond_t changed;
    struct list waiting, taken;
    unsigned n_waiting;
    bool is_stopping;
    unsigned n_threads;
    pthread_t threads[THREADS];
};

bool password_is_usable(struct slice password)
{
    return password.len <= PASSWORD_MAX_BYTES && slice_find(password, '\0') == password.len;
}

bool password_hash_is_usable(struct slice hash)
{
    uint64_t cost;
    if (hash.len != BCRYPT_LENGTH || !slice_starts_with(hash, SLICE_LIT("$2")) || hash.ptr[3] != '$' ||
        hash.ptr[6] != '$')
        return false;
    char text[BCRYPT_LENGTH + 1] = {0};
    memcpy(text, hash.ptr, hash.len);
    bool has_cost = slice_parse_u64(slice_from(hash.ptr + 4, 2), &cost) == 0;
    return has_cost && cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX && crypt_checksalt(text) == CRYPT_SALT_OK;
}

void passwords_decoy(const struct passwords *passwords, char ret_hash[PASSWORD_HASH_MAX_BYTES])
{
    (void)snprintf(ret_hash, PASSWORD_HASH_MAX_BYTES, "$2b$%02u$......................", passwords->cost);
}

/* ------------------------------------------------------------------------------------------------ hashing */

static enum password_result make_hash(struct password_job *job, unsigned cost, struct crypt_data *data)
{
    char salt[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (random_system(salt, sizeof(salt)) < 0 ||
        !crypt_gensalt_rn("$2b$", cost, salt, sizeof(salt), setting, sizeof(setting)))
        return PASSWORD_FAILED;
    const char *hash = crypt_rn(job->password, setting, data, sizeof(*data));
    if (!hash || strlen(hash) >= sizeof(job->hash))
        return PASSWORD_FAILED;
    memcpy(job->hash, hash, strlen(hash) + 1);
    return PASSWORD_IS_GOOD;
}

static enum password_result check(const struct password_job *job, struct crypt_data *data)
{
    const char *hash = crypt_rn(job->password, job->hash, data, sizeof(*data));
    if (!hash)
        return PASSWORD_FAILED;
    size_t len = strlen(hash);
    bool is_it = len == strlen(job->hash) && CRYPTO_memcmp(hash, job->hash, len) == 0;
    return is_it ? PASSWORD_IS_GOOD : PASSWORD_IS_WRONG;
}

static void work(struct password_job *job, unsigned cost, struct crypt_data *data)
{
    if (!data)
        job->result = PASSWORD_FAILED;
    else
        job->result = job->is_check ? check(job, data) : make_hash(job, cost, data);
    OPENSSL_cleanse(job->password, sizeof(job->password));
    if (data)
        OPENSSL_cleanse(data, sizeof(*data));
}

/* ------------------------------------------------------------------------------------------------ threads */

static void deliver(struct mail *mail)
{
    struct password_job *job = container_of(mail, struct password_job, mail);
    struct passwords *passwords = job->passwords;
    pthread_mutex_lock(&passwords->lock);
    list_remove(&job->link);
    pthread_mutex_unlock(&passwords->lock);
    job->done(job);
}

/* NULL: it is time to stop. */
static struct password_job *take_job(struct passwords *passwords)
{
    struct password_job *job = NULL;
    pthread_mutex_lock(&passwords->lock);
    while (list_is_empty(&passwords->waiting) && !passwords->is_stopping)
        pthread_cond_wait(&passwords->changed, &passwords->lock);
    if (!passwords->is_stopping) {
        job = container_of(list_pop_front(&passwords->waiting), struct password_job, link);
        passwords->n_waiting--;
        list_push_back(&passwords->taken, &job->link);
    }
    pthread_mutex_unlock(&passwords->lock);
    return job;
}

static void *thread_main(void *arg)
{
    struct passwords *passwords = arg;
    struct password_job *job;
    struct crypt_data *data = calloc(1, sizeof(*data));
    while ((job = take_job(passwords))) {
        work(job, passwords->cost, data);
        loop_post(job->loop, &job->mail);
    }
    free(data);
    return NULL;
}

/* Under the lock. 0 when there is a thread at least. */
static int start_threads(struct passwords *passwords)
{
    /* Threads inherit the mask: signals are for the main thread. */
    sigset_t all, before;
    int r = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (r == 0 && passwords->n_threads < THREADS) {
        r = pthread_create(&passwords->threads[passwords->n_threads], NULL, thread_main, passwords);
        passwords->n_threads += r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return passwords->n_threads > 0 ? 0 : -r;
}

int passwords_submit(struct passwords *passwords, struct password_job *job, struct slice password)
{
    ASSERT(password_is_usable(password));
    job->passwords = passwords;
    job->mail.deliver = deliver;
    memset(job->password, 0, sizeof(job->password));
    if (password.len > 0)
        memcpy(job->password, password.ptr, password.len);
    pthread_mutex_lock(&passwords->lock);
    int r = start_threads(passwords);
    if (r == 0 && passwords->n_waiting >= WAITING_MAX)
        r = -EBUSY;
    if (r == 0) {
        list_init(&job->link);
        list_push_back(&passwords->waiting, &job->link);
        passwords->n_waiting++;
        pthread_cond_signal(&passwords->changed);
    }
    pthread_mutex_unlock(&passwords->lock);
    if (r < 0)
        OPENSSL_cleanse(job->password, sizeof(job->password));
    return r;
}

/* ------------------------------------------------------------------------------------------------ life */

int passwords_new(unsigned cost, struct passwords **ret_passwords)
{
    ASSERT(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
    struct passwords *passwords = calloc(1, sizeof(*passwords));
    if (!passwords)
        return -ENOMEM;
    passwords->cost = cost;
    pthread_mutex_init(&passwords->lock, NULL);
    pthread_cond_init(&passwords->changed, NULL);
    list_init(&passwords->waiting);
    list_init(&passwords->taken);
    *ret_passwords = passwords;
    return 0;
}

static void cancel_waiting(struct passwords *passwords)
{
    while (!list_is_empty(&passwords->waiting)) {
        struct password_job *job = container_of(list_pop_front(&passwords->waiting), struct password_job, link);
        OPENSSL_cleanse(job->password, sizeof(job->password));
        job->result = PASSWORD_CANCELLED;
        job->done(job);
    }
}

static void deliver_taken(struct passwords *passwords)
{
    while (!list_is_empty(&passwords->taken))
        loop_settle(container_of(passwords->taken.next, struct password_job, link)->loop);
}

void passwords_free(struct passwords *passwords)
{
    if (!passwords)
        return;
    pthread_mutex_lock(&passwords->lock);
    passwords->is_stopping = true;
    pthread_cond_broadcast(&passwords->changed);
    pthread_mutex_unlock(&passwords->lock);
    for (unsigned i = 0; i < passwords->n_threads; i++)
        pthread_join(passwords->threads[i], NULL);
    cancel_waiting(passwords);
    deliver_taken(passwords);
    pthread_cond_destroy(&passwords->changed);
    pthread_mutex_destroy(&passwords->lock);
    free(passwords);
}
