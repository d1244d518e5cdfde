/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "HOST:PORT", as it stands in URIs, Host headers and addresses: an IPv6 address, which has colons itself, stands in
 * brackets. Pure; any thread may call it.
 */
#pragma once

#include "base/slice.h"

/* What the text may be longer than the host: "[", "]:65535" and the NUL. */
#define HOST_PORT_EXTRA 9

/* The text, in ret_text; it is ended by a NUL. What does not fit into so many bytes is cut off. */
struct slice host_port_write(struct slice host, unsigned port, size_t size, char *ret_text);
