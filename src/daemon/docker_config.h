/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to the options of the Docker source. What the configuration leaves open is as Docker's own
 * command line has it: DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH of the environment. Main thread.
 */
#pragma once

#include "daemon/config.h"
#include "sources/docker/docker.h"

struct docker_config {
    struct docker_options options; /* points to what is here, to the configuration and to the environment */
    struct tls_config *tls;        /* NULL: plain */
    struct slice *images;
};

/* 0; -EINVAL with words; another -errno with the reason, such as a certificate that cannot be read; -ENOMEM. */
int docker_config_make(const struct config *config, char *const *environment, struct docker_config *ret_made,
                       struct err *err);
void docker_config_deinit(struct docker_config *made);
