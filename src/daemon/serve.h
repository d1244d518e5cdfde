/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command `muster serve`.
 */
#pragma once

#include "cli/command.h"

extern const struct command serve_command;
