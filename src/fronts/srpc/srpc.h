/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header registry: addresses in a header, one service unless a name is given (docs/srpc.md).
 *
 *     POST /srpc/registry[/NAME]   Srpc-Servers: tcp@10.0.0.7:9000    registers, and is the heartbeat
 *     GET  /srpc/registry[/NAME]   answers Srpc-Servers: all addresses, sorted, joined by commas
 */
#pragma once

#include "fronts/front.h"

extern const struct front srpc_front;
