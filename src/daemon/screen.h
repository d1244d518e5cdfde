/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person sees when the daemon was started on a terminal.
 */
#pragma once

#include "fronts/system_view.h"

#include <stdio.h>

/* data: the path of the data folder, or NULL. */
void screen_print(FILE *out, const struct system_facts *facts, const char *data);
