/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/screen.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_ADDRESS "127.0.0.1:2379"

/* The first listener of the registry that curl reaches by a URL; NULL when there is none. */
static const struct system_listener *find_registry(const struct system_facts *facts)
{
    for (unsigned i = 0; i < facts->n_listeners; i++) {
        const struct system_listener *listener = &facts->listeners[i];
        if (strcmp(listener->role, "registry") == 0 && strncmp(listener->address, "unix:", 5) != 0)
            return listener;
    }
    return NULL;
}

static void print_hints(FILE *out, const struct system_listener *registry)
{
    const char *protocols = registry->protocols;
    const char *scheme = strstr(protocols, "with TLS") ? "https" : "http";
    bool is_default = strcmp(registry->address, DEFAULT_ADDRESS) == 0 && strcmp(scheme, "http") == 0;
    fputs("\ntry, in another terminal:\n", out);
    if (is_default)
        fprintf(out, "  %s status\n", program_invocation_name);
    else
        fprintf(out, "  %s status --address %s://%s\n", program_invocation_name, scheme, registry->address);
    fprintf(out, "  curl %s://%s/readyz\n", scheme, registry->address);
    fprintf(out, "  curl %s://%s/metrics\n", scheme, registry->address);
}

void screen_print(FILE *out, const struct system_facts *facts, const char *data)
{
    fprintf(out, "\nmuster %s is ready, process %ld, %u worker%s\n\n", facts->version, (long)facts->pid,
            facts->n_workers, facts->n_workers == 1 ? "" : "s");
    for (unsigned i = 0; i < facts->n_listeners; i++) {
        const struct system_listener *listener = &facts->listeners[i];
        fprintf(out, "  %-9s %-24s %s\n", listener->role, listener->address, (const char *)listener->protocols);
    }
    if (data)
        fprintf(out, "  %-9s %s\n", "data", data);
    const struct system_listener *registry = find_registry(facts);
    if (registry)
        print_hints(out, registry);
    fputs("\nCtrl-C stops it.\n\n", out);
    fflush(out);
}
