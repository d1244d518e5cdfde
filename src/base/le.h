/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as they stand in files: little-endian, whatever the machine. */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void put_le32(char *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static inline void put_le64(char *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

static inline uint32_t get_le32(const char *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

static inline uint64_t get_le64(const char *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}
