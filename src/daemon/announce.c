/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/announce.h"

#include "daemon/screen.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void warn(const struct announce *announce)
{
    char text[512];
    size_t index = 0;
    for (const char *name; (name = config_misspelt_variable(announce->environment, &index, text, sizeof(text)));)
        log_warn(announce->log, "environment variable is no setting",
                 log_str("name", slice_from(name, strcspn(name, "="))), log_text("meant", text));
    if (announce->config->auth.ignore)
        log_warn(announce->log,
                 "auth.ignore is set: nobody is asked for a token, whether etcd's auth is enabled or not");
    endpoints_list_exposed(announce->endpoints, text, sizeof(text));
    if (*text && !(announce->tls->registry && announce->config->tls.client_auth == CLIENT_AUTH_REQUIRE))
        log_warn(announce->log,
                 "other machines can reach the registry and nothing checks who they are: set tls.cert, tls.ca and "
                 "tls.client_auth=require, or listen on 127.0.0.1",
                 log_text("listen", text));
}

/* One line per listener, for a program that waits for us. */
static void tell_ready_fd(const struct announce *announce)
{
    int fd = announce->arguments->ready_fd;
    if (fd < 0)
        return;
    for (unsigned i = 0; i < announce->endpoints->n; i++)
        (void)dprintf(fd, "%s %s\n", announce->endpoints->shown[i].role, announce->endpoints->shown[i].address);
    close(fd);
}

/* Where commands that find the data folder in use can ask instead; Unix sockets need nothing else. */
static void tell_addresses(const struct announce *announce)
{
    const struct system_facts *facts = announce->facts;
    const char *scheme = announce->tls->registry && !announce->config->tls.plain ? "https" : "http";
    char text[2048] = "";
    size_t len = 0;
    for (unsigned i = 0; announce->data_dir && i < 2 * facts->n_listeners; i++) {
        const struct system_listener *listener = &facts->listeners[i % facts->n_listeners];
        bool is_unix = strncmp(listener->address, "unix:", 5) == 0, wants_unix = i < facts->n_listeners;
        if (strcmp(listener->role, "registry") != 0 || is_unix != wants_unix || len + ADDR_TEXT_MAX + 16 > sizeof(text))
            continue;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s%s", len ? "," : "", is_unix ? "" : scheme,
                                is_unix ? "" : "://", listener->address);
    }
    if (announce->data_dir)
        data_dir_tell(announce->data_dir, text);
}

void announce_ready(const struct announce *announce)
{
    const struct system_facts *facts = announce->facts;
    for (unsigned i = 0; i < facts->n_listeners; i++)
        log_info(announce->log, "listening", log_text("role", facts->listeners[i].role),
                 log_text("address", facts->listeners[i].address), log_text("speaks", facts->listeners[i].protocols));
    log_info(announce->log, "ready", log_text("version", facts->version), log_int("workers", facts->n_workers),
             log_text("data", announce->data_dir ? data_dir_path(announce->data_dir) : ""));
    warn(announce);
    if (isatty(STDOUT_FILENO))
        screen_print(stdout, facts, announce->data_dir ? data_dir_path(announce->data_dir) : NULL);
    tell_addresses(announce);
    notify_send(announce->notify, "READY=1\nSTATUS=serving");
    tell_ready_fd(announce);
}
