/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster run`: a program that knows nothing of muster becomes an instance of a service, for exactly as long as it
 * lives.
 *
 *     NEEDS     until each service that it needs has an instance
 *     STARTING  the program runs, until it takes connections at its port
 *     SERVING   registered, held by our connection
 *     LEAVING   a signal has come: drained, and the program told to end
 *
 * Whatever the state, the end of the program ends it all. Signals come by a descriptor, so there is one place to wait:
 * for the client, signals and time. What asks the registry and waits for its answer is done by a process beside us, so
 * that a registry that has stopped holds up no signal. If we are killed ourselves the kernel closes the connection,
 * which ends the registration, and tells the program to end.
 */
#include "base/assert.h"
#include "base/host_port.h"
#include "base/time.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/listening.h"
#include "cli/words.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_MS        50
#define PROBE_OTHERS_MS 500  /* looking whose a port is takes longer */
#define WORDS_MS        2000 /* until we say what we wait for; then twice as long, and so on */
#define WORDS_MS_MAX    60000
#define PARTING_MS      1000 /* what the registry has at the end; it also sees our connection end */
#define NEEDS_MAX       ARGUMENT_LIST_MAX

enum state { NEEDS, STARTING, SERVING, LEAVING };

struct running {
    struct arguments arguments;
    const char *name, *host, *protocol;
    unsigned port;
    struct addrinfo *infos; /* of both */
    bool any_listener;
    struct argument_list needs, tags;
    int64_t drain_ms;
    struct muster_register_options options;
    char place[NI_MAXHOST + HOST_PORT_EXTRA], address[NI_MAXHOST + 64];
    struct muster_client *client;
    struct muster_service *needed[NEEDS_MAX];
    struct muster_registration *registration;
    enum state state;
    sigset_t before; /* the program gets the signals as we got them */
    int signal_fd;
    pid_t pid;           /* 0: not started, or ended */
    pid_t order_pid;     /* who has the instance drained; 0: nobody */
    int64_t words_ms;    /* NEEDS, STARTING: when we say again what we wait for */
    int64_t silent_ms;   /* how long we say nothing then */
    bool is_others;      /* STARTING: somebody else listens */
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
          "  --drain TIME     after SIGTERM, how long it gets no new work before it is told (default: 0s)\n"
          "  --any-listener   also register what another program takes connections with (docker run)\n",
          out);
    words_print_common(out);
    fputs("\nexits as the program does, with 128 and the number of the signal that ended it\n", out);
}

/* ------------------------------------------------------------------------------------------------ the program */

static void say(const struct running *running, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(const struct running *running, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("muster run: ", running->arguments.io->err);
    vfprintf(running->arguments.io->err, fmt, args);
    fputc('\n', running->arguments.io->err);
    va_end(args);
}

static int start_program(struct running *running)
{
    pid_t parent = getpid();
    running->pid = fork();
    if (running->pid < 0) {
        say(running, "cannot start: %m");
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

/* Orphans of the program count, too: we are their parent then. */
static bool program_listens(struct running *running)
{
    bool is_any = listening_answers(running->infos);
    enum listening found = is_any && !running->any_listener ? listening_find(running->port, getpid()) : LISTENING_OURS;
    if (found == LISTENING_UNKNOWN)
        say(running, "cannot tell whether it is the program that takes connections at %s", running->place);
    if (found == LISTENING_OTHERS && !running->is_others)
        running->words_ms = 0; /* at once */
    running->is_others = found == LISTENING_OTHERS;
    return is_any && found != LISTENING_OTHERS;
}

/* ------------------------------------------------------------------------------------------------ states */

/* The first of the needs that has no instance; NULL: all have. */
static struct muster_service *find_missing(const struct running *running)
{
    for (unsigned i = 0; i < running->needs.n; i++) {
        const struct muster_instance *instance;
        if (muster_service_select(running->needed[i], MUSTER_ROUND_ROBIN, &instance) != MUSTER_OK)
            return running->needed[i];
        muster_instance_release(instance);
    }
    return NULL;
}

/* What is waited for, now and then. */
static void say_waiting(struct running *running)
{
    if (running->state > STARTING || now_ms() < running->words_ms)
        return;
    struct muster_service *missing = running->state == NEEDS ? find_missing(running) : NULL;
    if (missing)
        say(running,
            muster_service_age_ms(missing) < 0 ? "waiting for %s: the registry does not answer"
                                               : "waiting for %s: it has no instance that may be used",
            muster_service_name(missing));
    else if (running->is_others)
        say(running, "waiting: at %s another program takes connections (--any-listener: register it)", running->place);
    else if (running->state == STARTING)
        say(running, "waiting: the program takes no connections at %s yet", running->place);
    running->silent_ms = running->silent_ms * 2 < WORDS_MS_MAX ? running->silent_ms * 2 : WORDS_MS_MAX;
    running->words_ms = now_ms() + running->silent_ms;
}

static void enter(struct running *running, enum state state)
{
    running->state = state;
    running->silent_ms = WORDS_MS;
    running->words_ms = now_ms() + WORDS_MS;
}

static void on_state(void *ctx, struct muster_registration *registration, enum muster_registration_state state)
{
    static const char *const words[] = {"registering", "registered", "registration lost", "registration refused", ""};
    const struct running *running = ctx;
    char reason[400];
    muster_registration_reason(registration, reason, sizeof(reason));
    if (state != MUSTER_ENDED)
        say(running, "%s%s%s", words[state], *reason ? ": " : "", reason);
}

/* 0, or the exit code. */
static int begin_serving(struct running *running)
{
    enter(running, SERVING);
    int result = muster_register(running->client, running->name, &running->options, &running->registration);
    if (result != MUSTER_OK)
        return words_fail(&running->arguments, running->client, result);
    muster_registration_notify(running->registration, on_state, running);
    return 0;
}

/* What may be done now in this state. 0, or the exit code. */
static int advance(struct running *running)
{
    if (running->state == NEEDS && !find_missing(running)) {
        enter(running, STARTING);
        if (start_program(running) < 0)
            return EXIT_NO;
    }
    if (running->state == STARTING && program_listens(running))
        return begin_serving(running);
    say_waiting(running);
    if (running->state == LEAVING && running->deadline_ms >= 0 && now_ms() >= running->deadline_ms) {
        running->deadline_ms = -1;
        if (running->pid > 0)
            kill(running->pid, running->told);
    }
    return 0;
}

/* An order of somebody else's is for longer than this program's life: it is not replaced, nor ended. */
static bool may_drain(const struct running *running, struct muster_client *client, const char *id)
{
    struct muster_explanation *explanation;
    bool is_free = true;
    if (muster_explain(client, running->name, id, &explanation) != MUSTER_OK)
        return false;
    for (size_t i = 0; i < explanation->n_steps; i++)
        is_free = is_free && strcmp(explanation->steps[i].step, "draining") != 0;
    muster_explanation_free(explanation);
    return is_free;
}

/* Gives the exit code of the process that does it. */
static int have_drained(const struct running *running)
{
    struct muster_client *client;
    const char *id = muster_registration_id(running->registration);
    int code = words_connect(&running->arguments, &client);
    if (code != 0)
        return code;
    /* With an end, should we be killed before we can end it. */
    bool is_done = may_drain(running, client, id) &&
                   muster_order(client, MUSTER_DRAIN, running->name, id, "the program was told to end",
                                running->drain_ms + 60000) == MUSTER_OK;
    muster_client_free(client);
    return is_done ? EXIT_OK : EXIT_NO;
}

/* What it has of us, the connection that holds the registration above all, must not outlive us. */
static void start_order(struct running *running)
{
    pid_t parent = getpid();
    running->order_pid = fork();
    if (running->order_pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(getppid() == parent ? have_drained(running) : EXIT_NO);
}

static void leave(struct running *running, int number)
{
    bool was_serving = running->state == SERVING;
    enter(running, LEAVING);
    running->told = number;
    running->deadline_ms = now_ms() + (was_serving ? running->drain_ms : 0);
    if (!was_serving)
        return;
    say(running, "draining");
    start_order(running);
}

/* ------------------------------------------------------------------------------------------------ signals */

/* Takes all that have ended. True: the program is among them. */
static bool reap(struct running *running)
{
    bool is_over = false;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == running->pid) {
            running->pid = 0;
            running->status = status;
            is_over = true;
        } else if (pid == running->order_pid) {
            running->order_pid = 0;
            running->is_drained = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK;
        }
    }
    return is_over;
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
    int64_t own_ms = INT_MAX;
    if (running->state == STARTING)
        own_ms = running->is_others ? PROBE_OTHERS_MS : PROBE_MS;
    else if (running->state == NEEDS)
        own_ms = running->words_ms - now_ms();
    else if (running->state == LEAVING && running->deadline_ms >= 0)
        own_ms = running->deadline_ms - now_ms();
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

/* Lets who has the instance drained come to its end. */
static void end_order(struct running *running)
{
    int64_t until_ms = now_ms() + PARTING_MS;
    for (int64_t left_ms; running->order_pid > 0 && (left_ms = until_ms - now_ms()) > 0; (void)reap(running)) {
        struct pollfd fd = {.fd = running->signal_fd, .events = POLLIN};
        struct signalfd_siginfo info;
        if (poll(&fd, 1, (int)left_ms) > 0)
            (void)!read(running->signal_fd, &info, sizeof(info));
    }
    if (running->order_pid > 0) {
        kill(running->order_pid, SIGKILL);
        (void)waitpid(running->order_pid, NULL, 0);
    }
}

/* The order is ended last, so that nobody is sent to a program that is gone. */
static void deregister(struct running *running)
{
    muster_registration_notify(running->registration, NULL, NULL);
    muster_deregister_start(running->registration);
    int64_t until_ms = now_ms() + PARTING_MS;
    for (int64_t left_ms;
         muster_registration_state(running->registration) != MUSTER_ENDED && (left_ms = until_ms - now_ms()) > 0;)
        (void)muster_wait(running->client, (int)left_ms);
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
    end_order(running);
    if (running->registration)
        deregister(running);
    for (unsigned i = 0; i < running->needs.n; i++)
        muster_service_free(running->needed[i]);
    muster_client_free(running->client);
    freeaddrinfo(running->infos);
    if (running->signal_fd >= 0)
        close(running->signal_fd);
    sigprocmask(SIG_SETMASK, &running->before, NULL);
}

static int parse(struct running *running, int argc, char **argv, const struct command_io *io)
{
    struct muster_register_options *options = &running->options;
    const struct argument own[] = {
        {"name", ARGUMENT_TEXT, &running->name},
        {"port", ARGUMENT_NUMBER, &running->port},
        {"host", ARGUMENT_TEXT, &running->host},
        {"protocol", ARGUMENT_TEXT, &running->protocol},
        {"id", ARGUMENT_TEXT, &options->id},
        {"needs", ARGUMENT_LIST, &running->needs},
        {"tags", ARGUMENT_LIST, &running->tags},
        {"zone", ARGUMENT_TEXT, &options->zone},
        {"weight", ARGUMENT_NUMBER, &options->weight},
        {"drain", ARGUMENT_DURATION, &running->drain_ms},
        {"any-listener", ARGUMENT_FLAG, &running->any_listener},
    };
    int code = words_parse(&run_command, io, argc, argv, own, ARRAY_LEN(own), true, 1, INT_MAX, &running->arguments);
    if (code == 0 && (!running->name || running->port == 0))
        code = command_fail_usage(&run_command, io, "--name and --port must be given");
    return code;
}

/* Once: who asks for names again and again waits again and again. 0, or the exit code. */
static int resolve(struct running *running)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", running->port);
    int failure = getaddrinfo(running->host, port, &hints, &running->infos);
    if (failure == 0)
        return 0;
    running->infos = NULL;
    return command_fail_usage(&run_command, running->arguments.io, "--host \"%s\": %s", running->host,
                              gai_strerror(failure));
}

static int run(int argc, char **argv, const struct command_io *io)
{
    struct running running = {
        .host = "127.0.0.1", .protocol = "http", .options = MUSTER_REGISTER_INIT, .signal_fd = -1, .deadline_ms = -1};
    int code = parse(&running, argc, argv, io);
    if (code == 0)
        code = resolve(&running);
    if (code == 0)
        code = words_connect(&running.arguments, &running.client);
    if (code != 0) {
        freeaddrinfo(running.infos);
        return code;
    }
    enter(&running, NEEDS);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)host_port_write(slice_from_str(running.host), running.port, sizeof(running.place), running.place);
    (void)snprintf(running.address, sizeof(running.address), "%s@%s", running.protocol, running.place);
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
