/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli), the checksum of what muster keeps on disk: it finds every run of damage of up to 32 bits and
 * all but one in four thousand million others. Against accidents, not against forgers. Any thread.
 */
#pragma once

#include "base/slice.h"

#include <stdint.h>

/*
 * The checksum of `before` followed by the bytes; 0 is the checksum of nothing, so a checksum is built piece by piece:
 * crc = crc32c(crc, next). Starting from another value salts it.
 */
uint32_t crc32c(uint32_t before, struct slice bytes);

/* The same by table: what crc32c does where the processor has no instruction for it. */
uint32_t crc32c_portable(uint32_t before, struct slice bytes);
