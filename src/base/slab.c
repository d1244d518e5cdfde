/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks come from mmap rather than malloc: only so do they go back to the system one by one, whatever else lies on the
 * heap. They are aligned to their size, so that an object finds its block by clearing address bits.
 *
 * Invariants:
 * 1. A block is full (on no list), usable (on slab->usable) or idle (on slab->idle).
 * 2. Objects are cut off lazily: a page that was never used is never touched.
 * 3. A usable block that falls below a quarter goes to the end of the list, one that ceases to be full to the front.
 */
#include "base/slab.h"

#include "base/assert.h"
#include "base/util.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BLOCK_SIZE ((size_t)16384)
#define ALIGN_MAX  ((size_t)64)

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define ONE_MALLOC_EACH 1
#else
#define ONE_MALLOC_EACH 0
#endif

/* A free object, linked through its own first bytes. */
struct slab_object {
    struct slab_object *next;
};

struct slab_block {
    struct list link;         /* in slab->usable or slab->idle */
    struct slab_object *free; /* freed last in front */
    size_t n_cut;             /* objects ever cut off */
    size_t n_used;            /* objects handed out */
};

_Static_assert(sizeof(struct slab_block) <= ALIGN_MAX, "the first object starts at ALIGN_MAX");

void slab_init(struct slab *slab, size_t size, size_t align)
{
    ASSERT(size > 0 && size <= SLAB_OBJECT_MAX);
    ASSERT(align > 0 && align <= ALIGN_MAX && (align & (align - 1)) == 0);
    align = max_size(align, _Alignof(struct slab_object));
    size = (size + align - 1) & ~(align - 1);
    *slab = (struct slab){
        .object_size = size,
        .object_align = align,
        .n_per_block = (BLOCK_SIZE - ALIGN_MAX) / size,
        .n_idle_max = SLAB_IDLE_BYTES / BLOCK_SIZE,
    };
    list_init(&slab->usable);
    list_init(&slab->idle);
}

void slab_keep(struct slab *slab, size_t n_bytes)
{
    slab->n_idle_max = n_bytes / BLOCK_SIZE;
}

/* Maps a block at a multiple of its size. */
static struct slab_block *block_map(void)
{
    /* Blocks are mostly mapped one beside the other, so this one is mostly aligned already. */
    char *at = mmap(NULL, BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if ((uintptr_t)at % BLOCK_SIZE == 0)
        return (struct slab_block *)(void *)at;
    (void)munmap(at, BLOCK_SIZE);

    at = mmap(NULL, 2 * BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t head = (BLOCK_SIZE - (uintptr_t)at % BLOCK_SIZE) % BLOCK_SIZE;
    if (head > 0)
        (void)munmap(at, head);
    (void)munmap(at + head + BLOCK_SIZE, BLOCK_SIZE - head);
    return (struct slab_block *)(void *)(at + head);
}

static struct slab_block *block_new(struct slab *slab)
{
    struct slab_block *block = block_map();
    if (!block)
        return NULL;
    list_init(&block->link);
    slab->n_blocks++;
    return block;
}

static void block_free(struct slab *slab, struct slab_block *block)
{
    ASSERT(block->n_used == 0);
    int r = munmap(block, BLOCK_SIZE);
    /* The one failure there is: the hole would split one mapping too many. Then the block stays and is used first. */
    if (r < 0) {
        list_push_front(&slab->usable, &block->link);
        return;
    }
    slab->n_blocks--;
}

void slab_deinit(struct slab *slab)
{
    ASSERT(slab->n_objects == 0);
    list_splice_back(&slab->usable, &slab->idle);
    list_for_each (node, &slab->usable)
        (void)munmap(container_of(node, struct slab_block, link), BLOCK_SIZE);
    slab_init(slab, slab->object_size, slab->object_align);
}

static struct slab_block *idle_take(struct slab *slab)
{
    slab->n_idle--;
    return container_of(list_pop_front(&slab->idle), struct slab_block, link);
}

/* The block that the next object comes from; it is on slab->usable. */
static struct slab_block *block_with_room(struct slab *slab)
{
    if (!list_is_empty(&slab->usable))
        return container_of(slab->usable.next, struct slab_block, link);
    struct slab_block *block = slab->n_idle > 0 ? idle_take(slab) : block_new(slab);
    if (block)
        list_push_front(&slab->usable, &block->link);
    return block;
}

static void *block_take(struct slab *slab, struct slab_block *block)
{
    struct slab_object *object = block->free;
    if (object)
        block->free = object->next;
    else
        object = (struct slab_object *)(void *)((char *)block + ALIGN_MAX + block->n_cut++ * slab->object_size);
    block->n_used++;
    if (block->n_used == slab->n_per_block)
        list_remove(&block->link);
    return object;
}

/* Plain malloc where it will do: it is the one whose n-th call tests can fail. */
static void *malloc_aligned(size_t align, size_t size)
{
    return align <= _Alignof(max_align_t) ? malloc(size) : aligned_alloc(align, size);
}

void *slab_alloc(struct slab *slab)
{
    void *object;
    if (ONE_MALLOC_EACH) {
        object = malloc_aligned(slab->object_align, slab->object_size);
    } else {
        struct slab_block *block = block_with_room(slab);
        object = block ? block_take(slab, block) : NULL;
    }
    if (object)
        slab->n_objects++;
    return object;
}

static void block_idle(struct slab *slab, struct slab_block *block)
{
    list_remove(&block->link);
    if (slab->n_idle >= slab->n_idle_max) {
        block_free(slab, block);
    } else {
        list_push_front(&slab->idle, &block->link);
        slab->n_idle++;
    }
}

static void block_put(struct slab *slab, struct slab_block *block, struct slab_object *object)
{
    ASSERT(block->n_used > 0 && block->n_used <= slab->n_per_block);
    object->next = block->free;
    block->free = object;
    block->n_used--;

    if (block->n_used == 0) {
        block_idle(slab, block);
    } else if (block->n_used == slab->n_per_block - 1) {
        list_push_front(&slab->usable, &block->link);
    } else if (block->n_used == slab->n_per_block / 4) {
        list_remove(&block->link);
        list_push_back(&slab->usable, &block->link);
    }
}

void slab_free(struct slab *slab, void *object)
{
    if (!object)
        return;
    ASSERT(slab->n_objects > 0);
    slab->n_objects--;
    if (ONE_MALLOC_EACH)
        free(object);
    else
        block_put(slab, (struct slab_block *)(void *)((uintptr_t)object & ~(BLOCK_SIZE - 1)), object);
}

size_t slab_bytes(const struct slab *slab)
{
    return ONE_MALLOC_EACH ? slab->n_objects * slab->object_size : slab->n_blocks * BLOCK_SIZE;
}
