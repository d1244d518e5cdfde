/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub: programs post what they are and what they require, are answered with what there is of it, and are told of
 * each change at their own /services; their /heart-beat is asked (docs/hub.md).
 */
#pragma once

#include "fronts/front.h"

extern const struct front hub_front;
