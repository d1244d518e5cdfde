/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts that one thread writes and any thread reads. Adding costs that thread a plain add, without a locked bus; what
 * is read is recent, and says nothing about other memory.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

static inline void counter_add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void counter_add32(_Atomic uint32_t *count, uint32_t n)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}
