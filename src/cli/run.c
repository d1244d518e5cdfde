/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster run`: a program that knows nothing of muster becomes an instance of a service, for exactly as long as it
 * lives.
 *
 *     NEEDS     until each service that it needs has an instance
 *     STARTING  the program runs, until its port takes connections
 *     SERVING   registered, held by our connection
 *     LEAVING   a signal has come: drained, and the program told to end
 *
 * Whatever the state, the end of the program ends it all. Signals come by a descriptor, so there is one place to wait:
 * for the client, signals and time. If we are killed ourselves the kernel closes the connection, which ends the
 * registration, and tells the program to end.
 */
#include "base/assert.h"
#include "base/host_port.h"
#include "base/time.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_MS  50
#define NEEDS_MAX ARGUMENT_LIST_MAX

enum state { NEEDS, STARTING, SERVING, LEAVING };

struct running {
    struct arguments arguments;
    const char *name, *host, *protocol;
    unsigned port;
    struct argument_list needs, tags;
    int64_t drain_ms;
    struct muster_register_options options;
    char address[NI_MAXHOST + 64];
    struct muster_client *client;
    struct muster_service *needed[NEEDS_MAX];
    struct muster_registration *registration;
    enum state state;
    sigset_t before; /* the program gets the signals as we got them */
    int signal_fd;
    pid_t pid;           /* 0: not started, or ended */
    int64_t deadline_ms; /* LEAVING: when the program is told; -1: it was */
    int told;            /* by which signal */
    int status;          /* of the program */
    bool is_drained;
};

static int64_t now_ms(void)
{
    return time_now() / NSEC_PER_MSEC;
}

static void print_options(FILE *out)
{
    fputs("  --name SERVICE   whose instance the program is; must be given\n"
          "  --port PORT      where it listens; must be given\n"
          "  --host HOST      under which others reach it (default: 127.0.0.1)\n"
          "  --protocol NAME  that it speaks (default: http)\n"
          "  --id ID          of the instance (default: HOST:PORT)\n"
          "  --needs LIST     do not start it before each of these services has an instance\n"
          "  --tags LIST, --zone ZONE, --weight N\n"
          "  --drain TIME     after SIGTERM, how long it gets no new work before it is told (default: 0s)\n",
          out);
    words_print_common(out);
    fputs("\nexits as the program does, with 128 and the number of the signal that ended it\n", out);
}

/* ------------------------------------------------------------------------------------------------ the program */

static void say(const struct running *running, const char *what)
{
    fprintf(running->arguments.io->err, "muster run: %s\n", what);
}

static int start_program(struct running *running)
{
    pid_t parent = getpid();
    running->pid = fork();
    if (running->pid < 0) {
        fprintf(running->arguments.io->err, "muster run: cannot start: %m\n");
        return -1;
    }
    if (running->pid > 0)
        return 0;
    sigprocmask(SIG_SETMASK, &running->before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execvp(running->arguments.words[0], running->arguments.words);
    fprintf(stderr, "muster run: %s: %m\n", running->arguments.words[0]);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Does anybody take connections there? Blocks no longer than a connect within the machine does. */
static bool port_is_open(const struct running *running)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *infos = NULL;
    char port[8];
    bool is_open = false;
    (void)snprintf(port, sizeof(port), "%u", running->port);
    if (getaddrinfo(running->host, port, &hints, &infos) != 0)
        return false;
    for (const struct addrinfo *info = infos; info && !is_open; info = info->ai_next) {
        int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct timeval limit = {.tv_usec = PROBE_MS * 1000};
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        is_open = connect(fd, info->ai_addr, info->ai_addrlen) == 0;
        close(fd);
    }
    freeaddrinfo(infos);
    return is_open;
}

/* ------------------------------------------------------------------------------------------------ states */

static bool needs_are_there(const struct running *running)
{
    for (unsigned i = 0; i < running->needs.n; i++) {
        const struct muster_instance *instance;
        if (muster_service_select(running->needed[i], MUSTER_ROUND_ROBIN, &instance) != MUSTER_OK)
            return false;
        muster_instance_release(instance);
    }
    return true;
}

static void on_state(void *ctx, struct muster_registration *registration, enum muster_registration_state state)
{
    static const char *const words[] = {"registering", "registered", "registration lost", "registration refused", ""};
    const struct running *running = ctx;
    char reason[400], text[512];
    muster_registration_reason(registration, reason, sizeof(reason));
    (void)snprintf(text, sizeof(text), "%s%s%s", words[state], *reason ? ": " : "", reason);
    if (state != MUSTER_ENDED)
        say(running, text);
}

/* 0, or the exit code. */
static int begin_serving(struct running *running)
{
    running->state = SERVING;
    int result = muster_register(running->client, running->name, &running->options, &running->registration);
    if (result != MUSTER_OK)
        return words_fail(&running->arguments, running->client, result);
    muster_registration_notify(running->registration, on_state, running);
    return 0;
}

/* What may be done now in this state. 0, or the exit code. */
static int advance(struct running *running)
{
    if (running->state == NEEDS && needs_are_there(running)) {
        running->state = STARTING;
        if (start_program(running) < 0)
            return EXIT_NO;
    }
    if (running->state == STARTING && port_is_open(running))
        return begin_serving(running);
    if (running->state == LEAVING && running->deadline_ms >= 0 && now_ms() >= running->deadline_ms) {
        running->deadline_ms = -1;
        if (running->pid > 0)
            kill(running->pid, running->told);
    }
    return 0;
}

/*
 * An order of somebody else's is for longer than this program's life: it is not replaced, nor ended. And a registry
 * that does not answer is not asked twice: the program waits for its signal.
 */
static bool may_drain(const struct running *running, const char *id)
{
    struct muster_explanation *explanation;
    bool is_free = true;
    if (muster_explain(running->client, running->name, id, &explanation) != MUSTER_OK)
        return false;
    for (size_t i = 0; i < explanation->n_steps; i++)
        is_free = is_free && strcmp(explanation->steps[i].step, "draining") != 0;
    muster_explanation_free(explanation);
    return is_free;
}

static void leave(struct running *running, int number)
{
    bool was_serving = running->state == SERVING;
    running->state = LEAVING;
    running->told = number;
    running->deadline_ms = now_ms() + (was_serving ? running->drain_ms : 0);
    if (!was_serving)
        return;
    say(running, "draining");
    /* With an end, should we be killed before we can end it. */
    const char *id = muster_registration_id(running->registration);
    running->is_drained =
        may_drain(running, id) && muster_order(running->client, MUSTER_DRAIN, running->name, id,
                                               "the program was told to end", running->drain_ms + 60000) == MUSTER_OK;
}

/* ------------------------------------------------------------------------------------------------ signals */

/* True: the program is at its end. */
static bool reap(struct running *running)
{
    if (running->pid <= 0 || waitpid(running->pid, &running->status, WNOHANG) != running->pid)
        return false;
    running->pid = 0;
    return true;
}

/* True: it is over. */
static bool take_signals(struct running *running)
{
    struct signalfd_siginfo info;
    while (read(running->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        int number = (int)info.ssi_signo;
        bool is_end = number == SIGTERM || number == SIGINT || number == SIGQUIT;
        if (number == SIGCHLD) {
            if (reap(running))
                return true;
        } else if (is_end && running->state == NEEDS) {
            running->status = number; /* as if the program had been ended by it */
            return true;
        } else if (is_end && running->state != LEAVING) {
            leave(running, number);
        } else if (running->pid > 0) {
            kill(running->pid, number);
        }
    }
    return false;
}

static int milliseconds_to_wait(struct running *running)
{
    int timeout_ms = muster_timeout_ms(running->client);
    int64_t own_ms = running->state == STARTING                               ? PROBE_MS
                     : running->state == LEAVING && running->deadline_ms >= 0 ? running->deadline_ms - now_ms()
                                                                              : INT_MAX;
    own_ms = own_ms < 0 ? 0 : own_ms;
    return timeout_ms >= 0 && timeout_ms < own_ms ? timeout_ms : own_ms < INT_MAX ? (int)own_ms : -1;
}

static int exit_code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int turn_until_over(struct running *running)
{
    for (;;) {
        int code = advance(running);
        if (code != 0)
            return code;
        struct pollfd fds[] = {{.fd = muster_fd(running->client), .events = POLLIN},
                               {.fd = running->signal_fd, .events = POLLIN}};
        (void)poll(fds, ARRAY_LEN(fds), milliseconds_to_wait(running));
        muster_process(running->client);
        if (take_signals(running))
            return exit_code_of(running->status);
    }
}

/* ------------------------------------------------------------------------------------------------ begin and end */

static int take_over_signals(struct running *running)
{
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
    sigset_t taken;
    sigemptyset(&taken);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&taken, numbers[i]);
    sigprocmask(SIG_BLOCK, &taken, &running->before);
    running->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    return running->signal_fd < 0 ? -1 : 0;
}

static int follow_needs(struct running *running)
{
    for (unsigned i = 0; i < running->needs.n; i++) {
        int result = muster_follow(running->client, running->needs.items[i], &running->needed[i]);
        if (result != MUSTER_OK)
            return words_fail(&running->arguments, running->client, result);
    }
    return 0;
}

/* The order is ended last, so that nobody is sent to a program that is gone. */
static void deregister(struct running *running)
{
    muster_registration_notify(running->registration, NULL, NULL);
    muster_deregister_start(running->registration);
    while (muster_registration_state(running->registration) != MUSTER_ENDED)
        (void)muster_wait(running->client, -1);
    if (running->is_drained)
        (void)muster_order_end(running->client, MUSTER_DRAIN, running->name,
                               muster_registration_id(running->registration));
    muster_registration_free(running->registration);
}

static void end(struct running *running)
{
    if (running->pid > 0) { /* we fail before it does */
        kill(running->pid, SIGTERM);
        (void)waitpid(running->pid, NULL, 0);
    }
    if (running->registration)
        deregister(running);
    for (unsigned i = 0; i < running->needs.n; i++)
        muster_service_free(running->needed[i]);
    muster_client_free(running->client);
    if (running->signal_fd >= 0)
        close(running->signal_fd);
    sigprocmask(SIG_SETMASK, &running->before, NULL);
}

static int parse(struct running *running, int argc, char **argv, const struct command_io *io)
{
    struct muster_register_options *options = &running->options;
    const struct argument own[] = {
        {"name", ARGUMENT_TEXT, &running->name},       {"port", ARGUMENT_NUMBER, &running->port},
        {"host", ARGUMENT_TEXT, &running->host},       {"protocol", ARGUMENT_TEXT, &running->protocol},
        {"id", ARGUMENT_TEXT, &options->id},           {"needs", ARGUMENT_LIST, &running->needs},
        {"tags", ARGUMENT_LIST, &running->tags},       {"zone", ARGUMENT_TEXT, &options->zone},
        {"weight", ARGUMENT_NUMBER, &options->weight}, {"drain", ARGUMENT_DURATION, &running->drain_ms},
    };
    int code = words_parse(&run_command, io, argc, argv, own, ARRAY_LEN(own), true, 1, INT_MAX, &running->arguments);
    if (code == 0 && (!running->name || running->port == 0))
        code = command_fail_usage(&run_command, io, "--name and --port must be given");
    return code;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct running running = {
        .host = "127.0.0.1", .protocol = "http", .options = MUSTER_REGISTER_INIT, .signal_fd = -1, .deadline_ms = -1};
    int code = parse(&running, argc, argv, io);
    if (code == 0)
        code = words_connect(&running.arguments, &running.client);
    if (code != 0)
        return code;
    char place[NI_MAXHOST + HOST_PORT_EXTRA];
    (void)host_port_write(slice_from_str(running.host), running.port, sizeof(place), place);
    (void)snprintf(running.address, sizeof(running.address), "%s@%s", running.protocol, place);
    running.options.address = running.address;
    running.options.needs = running.needs.n > 0 ? running.needs.items : NULL;
    running.options.tags = running.tags.n > 0 ? running.tags.items : NULL;
    running.options.hold = 1;
    code = take_over_signals(&running) < 0 ? EXIT_NO : follow_needs(&running);
    if (code == 0)
        code = turn_until_over(&running);
    end(&running);
    return code;
}

const struct command run_command = {
    .name = "run",
    .summary = "Run a program as an instance of a service",
    .usage = "--name SERVICE --port PORT [--needs LIST] -- COMMAND…",
    .example = "muster run --name web --port 8080 --needs db,log -- ./web --listen 8080",
    .print_options = print_options,
    .run = run,
};
