/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request is in one of three places, which the lock protects: waiting (in `waiting`), worked on (request->thread and
 * thread->request point at each other), or mailed. Whoever takes it out of one of the first two mails it, so it is
 * mailed once. A thread looks the name up into memory of its own, so that a cancelled request can go at once while
 * getaddrinfo, which cannot be interrupted, runs on for nobody.
 */
#include "io/resolver.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct resolver_thread {
    struct resolver *resolver;
    pthread_t id;
    struct resolve_request *request; /* NULL: idle, or working for a request that was cancelled */
    char name[RESOLVER_NAME_MAX];
    struct addr addrs[RESOLVER_MAX_ADDRS];
};

struct resolver {
    pthread_mutex_t lock; /* for all below but what never changes; never held over a lookup */
    pthread_cond_t changed;
    struct list waiting;
    unsigned n_waiting;
    bool is_stopping;
    /* never change */
    unsigned max_waiting;
    resolve_lookup_fn lookup;
    void *ctx;
    unsigned n_threads;
    struct resolver_thread threads[];
};

static int result_of(int gai_error)
{
    switch (gai_error) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_NODATA:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static int system_lookup(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max,
                         unsigned *ret_n)
{
    (void)ctx;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int r = result_of(getaddrinfo(name, NULL, &hints, &list));
    if (r < 0)
        return r;
    unsigned n = 0;
    for (const struct addrinfo *info = list; info && n < max; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
            continue;
        struct addr *addr = &ret_addrs[n++];
        addr->len = info->ai_addrlen;
        memcpy(&addr->any, info->ai_addr, info->ai_addrlen);
        if (info->ai_family == AF_INET)
            addr->v4.sin_port = htons(port);
        else
            addr->v6.sin6_port = htons(port);
    }
    freeaddrinfo(list);
    *ret_n = n;
    return 0;
}

static void deliver(struct mail *mail)
{
    struct resolve_request *request = container_of(mail, struct resolve_request, mail);
    request->done(request);
}

static void answer(struct resolve_request *request, int result)
{
    request->result = result;
    loop_post(request->loop, &request->mail);
}

/* Gives the thread its next request; false when the resolver stops. */
static bool take_request(struct resolver *resolver, struct resolver_thread *thread, uint16_t *ret_port)
{
    pthread_mutex_lock(&resolver->lock);
    while (list_is_empty(&resolver->waiting) && !resolver->is_stopping)
        pthread_cond_wait(&resolver->changed, &resolver->lock);
    bool is_stopping = resolver->is_stopping;
    if (!is_stopping) {
        struct resolve_request *request =
            container_of(list_pop_front(&resolver->waiting), struct resolve_request, link);
        resolver->n_waiting--;
        request->thread = thread;
        thread->request = request;
        memcpy(thread->name, request->name, sizeof(thread->name));
        *ret_port = request->port;
    }
    pthread_mutex_unlock(&resolver->lock);
    return !is_stopping;
}

static void finish_request(struct resolver *resolver, struct resolver_thread *thread, int result, unsigned n_addrs)
{
    pthread_mutex_lock(&resolver->lock);
    struct resolve_request *request = TAKE(thread->request);
    if (request) { /* else it was cancelled meanwhile */
        request->thread = NULL;
        request->n_addrs = n_addrs;
        memcpy(request->addrs, thread->addrs, n_addrs * sizeof(thread->addrs[0]));
        answer(request, result); /* under the lock: who cancels too late finds the answer in his mail */
    }
    pthread_mutex_unlock(&resolver->lock);
}

static void *thread_main(void *arg)
{
    struct resolver_thread *thread = arg;
    struct resolver *resolver = thread->resolver;
    uint16_t port;
    while (take_request(resolver, thread, &port)) {
        unsigned n_addrs = 0;
        int r = resolver->lookup(resolver->ctx, thread->name, port, thread->addrs, RESOLVER_MAX_ADDRS, &n_addrs);
        finish_request(resolver, thread, r, r == 0 ? n_addrs : 0);
    }
    return NULL;
}

static int start_threads(struct resolver *resolver, unsigned n_threads)
{
    /* Threads inherit the mask: signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    while (r == 0 && resolver->n_threads < n_threads) {
        struct resolver_thread *thread = &resolver->threads[resolver->n_threads];
        thread->resolver = resolver;
        r = -pthread_create(&thread->id, NULL, thread_main, thread);
        if (r == 0)
            resolver->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int resolver_new(unsigned n_threads, unsigned max_waiting, resolve_lookup_fn lookup, void *ctx,
                 struct resolver **ret_resolver)
{
    ASSERT(n_threads > 0);
    struct resolver *resolver = calloc(1, sizeof(*resolver) + n_threads * sizeof(resolver->threads[0]));
    if (!resolver)
        return -ENOMEM;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->changed, NULL);
    list_init(&resolver->waiting);
    resolver->max_waiting = max_waiting;
    resolver->lookup = lookup ? lookup : system_lookup;
    resolver->ctx = ctx;
    int r = start_threads(resolver, n_threads);
    if (r < 0) {
        resolver_free(resolver);
        return r;
    }
    *ret_resolver = resolver;
    return 0;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    ASSERT(list_is_empty(&resolver->waiting));
    for (unsigned i = 0; i < resolver->n_threads; i++)
        ASSERT(!resolver->threads[i].request);
    resolver->is_stopping = true;
    pthread_cond_broadcast(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
    for (unsigned i = 0; i < resolver->n_threads; i++)
        pthread_join(resolver->threads[i].id, NULL);
    pthread_cond_destroy(&resolver->changed);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

/* True when the name is an address in text, which then is the answer. */
static bool answer_from_text(struct resolve_request *request)
{
    struct peer peer = {.family = AF_INET, .port = request->port};
    if (inet_pton(AF_INET, request->name, peer.ip) != 1) {
        peer.family = AF_INET6;
        if (inet_pton(AF_INET6, request->name, peer.ip) != 1)
            return false;
    }
    addr_from_ip(&peer, &request->addrs[0]);
    request->n_addrs = 1;
    return true;
}

int resolver_submit(struct resolver *resolver, struct resolve_request *request)
{
    ASSERT(memchr(request->name, 0, sizeof(request->name)));
    request->mail.deliver = deliver;
    request->n_addrs = 0;
    request->thread = NULL;
    list_init(&request->link);
    if (answer_from_text(request)) {
        answer(request, 0);
        return 0;
    }

    pthread_mutex_lock(&resolver->lock);
    bool has_room = resolver->n_waiting < resolver->max_waiting;
    if (has_room) {
        list_push_back(&resolver->waiting, &request->link);
        resolver->n_waiting++;
        pthread_cond_signal(&resolver->changed);
    }
    pthread_mutex_unlock(&resolver->lock);
    return has_room ? 0 : -EBUSY;
}

void resolver_cancel(struct resolver *resolver, struct resolve_request *request)
{
    pthread_mutex_lock(&resolver->lock);
    bool is_waiting = list_is_linked(&request->link);
    bool is_worked_on = request->thread;
    if (is_waiting) {
        list_remove(&request->link);
        resolver->n_waiting--;
    }
    if (is_worked_on)
        TAKE(request->thread)->request = NULL;
    pthread_mutex_unlock(&resolver->lock);
    if (is_waiting || is_worked_on)
        answer(request, -ECANCELED);
}
