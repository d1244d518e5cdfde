/* SPDX-License-Identifier: Apache-2.0 */
/* What the hub knows of watches. */
#pragma once

#include "fronts/api/api_hub.h"

void api_watches_init(struct api_hub *hub);
