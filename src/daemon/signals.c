/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct signals *signals = container_of(source, struct signals, source);
    struct signalfd_siginfo info;
    (void)events;
    while (signals->loop && read(source->fd, &info, sizeof(info)) == sizeof(info))
        signals->on_signal(signals->ctx, (int)info.ssi_signo);
}

int signals_open(struct signals *signals, struct loop *loop, void (*on_signal)(void *ctx, int signo), void *ctx,
                 struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);

    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, -errno, "signalfd");
    *signals = (struct signals){loop, {.fd = fd, .on_ready = on_ready}, on_signal, ctx};
    int r = loop_add(loop, &signals->source, EPOLLIN | EPOLLET);
    if (r < 0) {
        close(fd);
        signals->loop = NULL;
        return err_set_errno(err, r, "signalfd");
    }
    return 0;
}

void signals_close(struct signals *signals)
{
    if (!signals->loop)
        return;
    loop_remove(signals->loop, &signals->source);
    close(signals->source.fd);
    signals->loop = NULL;
}
