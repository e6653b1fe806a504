/*
 * heap.c - see heap.h
 */
#include "core/heap.h"

#include <broker/errors.h>

#include "core/pages.h"

static const uint16_t class_sizes[BRI_N_CLASSES] = {16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224,
    256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048};

/* Slabs of large blocks span four pages, or their head and rest would waste too much. */
static uint32_t slab_pages(unsigned class_no)
{
    return class_sizes[class_no] > 512 ? 4 : 1;
}

static uint32_t slab_blocks(unsigned class_no)
{
    return (slab_pages(class_no) * BRI_PAGE_SIZE - (uint32_t)sizeof(struct bri_slab_shm)) /
           class_sizes[class_no];
}

static inline unsigned class_of(uint64_t size)
{
    unsigned shift, step;

    if (size <= 128)
        return (unsigned)((size + 15) / 16) - (size != 0);
    shift = 63u - (unsigned)__builtin_clzll(size - 1); /* size-1 in [2^shift, 2^(shift+1)) */
    step = (unsigned)((size - 1) >> (shift - 2)) & 3;
    return 8 + (shift - 7) * 4 + step;
}

static struct bri_slab_shm *slab_at(const struct bri_object *o, uint32_t page)
{
    uint64_t tag = bri_page_tag(o->arena, page);

    if (bri_tag_kind(tag) != BRI_PAGE_SLAB || bri_tag_owner(tag) != o->id)
        return NULL;
    return bri_page_at(o->arena, page);
}

void bri_heap_init(struct bri_root_shm *root, uint64_t quota_bytes)
{
    memset(root, 0, sizeof(*root));
    root->heap.n_pages = 1;
    root->heap.max_pages = (quota_bytes + BRI_PAGE_SIZE - 1) / BRI_PAGE_SIZE;
}

uint32_t bri_class_size(unsigned class_no)
{
    return class_sizes[class_no];
}

uint32_t bri_class_blocks(unsigned class_no)
{
    return slab_blocks(class_no);
}

uint64_t bri_block_size(uint64_t size)
{
    if (size <= BRI_SMALL_MAX)
        return class_sizes[class_of(size)];
    return (size + BRI_PAGE_SIZE - 1) / BRI_PAGE_SIZE * BRI_PAGE_SIZE;
}

/* ---- slabs ---- */

static uint32_t new_slab(struct bri_txn *t, unsigned class_no)
{
    uint32_t page = bri_alloc_pages(t, slab_pages(class_no), BRI_PAGE_SLAB);
    uint32_t n = slab_blocks(class_no);
    struct bri_slab_shm *slab;

    if (page == 0)
        return 0;
    slab = bri_page_at(t->o->arena, page);
    for (uint32_t i = 0; i < 4; i++)
        slab->used[i] = n >= 64 * (i + 1) ? 0
                        : n <= 64 * i     ? UINT64_MAX
                                          : UINT64_MAX << (n - 64 * i);
    slab->class_no = class_no;
    slab->n_blocks = n;
    slab->next = 0;
    slab->prev = 0;
    bri_set32(t, &bri_heap_of(t)->partial[class_no], page);
    return page;
}

static inline bool is_full(const struct bri_slab_shm *s)
{
    return (s->used[0] & s->used[1] & s->used[2] & s->used[3]) == UINT64_MAX;
}

static bool is_empty(const struct bri_slab_shm *s, uint32_t n)
{
    uint32_t used = 0;

    for (unsigned i = 0; i < 4; i++)
        used += (uint32_t)__builtin_popcountll(s->used[i]);
    return used == 256 - n;
}

static void unlink_slab(struct bri_txn *t, struct bri_slab_shm *s, uint32_t page)
{
    uint32_t *head = &bri_heap_of(t)->partial[s->class_no];
    struct bri_slab_shm *next = s->next != 0 ? slab_at(t->o, s->next) : NULL;
    struct bri_slab_shm *prev = s->prev != 0 ? slab_at(t->o, s->prev) : NULL;

    if ((s->next != 0 && next == NULL) || (s->prev != 0 && prev == NULL) ||
        (prev != NULL ? prev->next : *head) != page) {
        (void)BRI_DAMAGED(t);
        return;
    }
    if (next != NULL)
        bri_set32(t, &next->prev, s->prev);
    if (prev != NULL)
        bri_set32(t, &prev->next, s->next);
    else
        bri_set32(t, head, s->next);
    bri_set64(t, (uint64_t *)&s->next, 0);
}

static void link_slab(struct bri_txn *t, struct bri_slab_shm *s, uint32_t page)
{
    uint32_t *head = &bri_heap_of(t)->partial[s->class_no];
    struct bri_slab_shm *next = *head != 0 ? slab_at(t->o, *head) : NULL;

    if (*head != 0 && next == NULL) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, (uint64_t *)&s->next, *head); /* prev becomes 0 */
    if (next != NULL)
        bri_set32(t, &next->prev, page);
    bri_set32(t, head, page);
}

static uint64_t alloc_small(struct bri_txn *t, unsigned class_no)
{
    uint32_t page = bri_heap_of(t)->partial[class_no];
    struct bri_slab_shm *slab;
    uint32_t bit, i = 0;

    if (page == 0)
        page = new_slab(t, class_no);
    if (page == 0)
        return 0;
    slab = slab_at(t->o, page);
    if (slab == NULL || slab->class_no != class_no)
        return (void)BRI_DAMAGED(t), 0;
    while (i < 4 && slab->used[i] == UINT64_MAX)
        i++;
    if (i == 4)
        return (void)BRI_DAMAGED(t), 0;
    bit = (uint32_t)__builtin_ctzll(~slab->used[i]);
    if (64 * i + bit >= slab_blocks(class_no))
        return (void)BRI_DAMAGED(t), 0;
    bri_set64(t, &slab->used[i], slab->used[i] | UINT64_C(1) << bit);
    if (is_full(slab))
        unlink_slab(t, slab, page);
    if (t->failed != 0)
        return 0;
    return ((uint64_t)page << BRI_PAGE_SHIFT) + sizeof(*slab) +
           (uint64_t)(64 * i + bit) * class_sizes[class_no];
}

uint64_t bri_alloc(struct bri_txn *t, uint64_t size)
{
    uint32_t page;

    if (size <= BRI_SMALL_MAX)
        return t->failed != 0 ? 0 : alloc_small(t, class_of(size));
    if (size > t->o->arena->size)
        return bri_fail_zero(t, BROKER_NOMEM);
    page =
        bri_alloc_pages(t, (uint32_t)((size + BRI_PAGE_SIZE - 1) >> BRI_PAGE_SHIFT), BRI_PAGE_RUN);
    return (uint64_t)page << BRI_PAGE_SHIFT;
}

/* The first page of the run that @off lies in, and its tag; 0 if it is not @o's. */
static uint32_t run_of(const struct bri_object *o, uint64_t off, uint64_t *out_tag)
{
    uint32_t page;
    uint64_t tag;

    if (off >= o->arena->size)
        return 0;
    page = (uint32_t)(off >> BRI_PAGE_SHIFT);
    tag = bri_page_tag(o->arena, page);
    if (bri_tag_kind(tag) == BRI_PAGE_TAIL && bri_tag_owner(tag) == o->id &&
        bri_tag_aux(tag) <= page) {
        page -= bri_tag_aux(tag);
        tag = bri_page_tag(o->arena, page);
    }
    *out_tag = tag;
    return tag != 0 && bri_tag_owner(tag) == o->id ? page : 0;
}

/* The block's number in its slab, or UINT32_MAX. */
static uint32_t block_number(const struct bri_slab_shm *s, uint64_t off_in_slab)
{
    uint32_t class_no = s->class_no, n;

    if (class_no >= BRI_N_CLASSES || off_in_slab < sizeof(*s))
        return UINT32_MAX;
    off_in_slab -= sizeof(*s);
    n = (uint32_t)(off_in_slab / class_sizes[class_no]);
    if (off_in_slab % class_sizes[class_no] != 0 || n >= slab_blocks(class_no))
        return UINT32_MAX;
    return n;
}

uint64_t bri_block_capacity(const struct bri_object *o, uint64_t off)
{
    uint64_t tag, start;
    uint32_t page = run_of(o, off, &tag), n;
    const struct bri_slab_shm *s;

    if (page == 0)
        return 0;
    start = (uint64_t)page << BRI_PAGE_SHIFT;
    if (bri_tag_kind(tag) == BRI_PAGE_RUN)
        return off == start ? (uint64_t)bri_tag_aux(tag) << BRI_PAGE_SHIFT : 0;
    if (bri_tag_kind(tag) != BRI_PAGE_SLAB)
        return 0;
    s = bri_page_at(o->arena, page);
    n = block_number(s, off - start);
    return n != UINT32_MAX && (s->used[n / 64] >> n % 64 & 1) != 0 ? class_sizes[s->class_no] : 0;
}

static void free_block(struct bri_txn *t, uint64_t off)
{
    uint64_t tag, start;
    uint32_t page = run_of(t->o, off, &tag), n;
    struct bri_slab_shm *s;
    bool was_full;

    start = (uint64_t)page << BRI_PAGE_SHIFT;
    if (page != 0 && bri_tag_kind(tag) == BRI_PAGE_RUN && off == start) {
        bri_run_release(t, &bri_heap_of(t)->runs, page);
        return;
    }
    s = page != 0 && bri_tag_kind(tag) == BRI_PAGE_SLAB ? bri_page_at(t->o->arena, page) : NULL;
    n = s != NULL ? block_number(s, off - start) : UINT32_MAX;
    if (n == UINT32_MAX || (s->used[n / 64] >> n % 64 & 1) == 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    was_full = is_full(s);
    bri_set64(t, &s->used[n / 64], s->used[n / 64] & ~(UINT64_C(1) << n % 64));
    if (was_full)
        link_slab(t, s, page);
    /* One empty slab of a class stays, or an object that goes up and down would claim and release
     * all the time. */
    if (is_empty(s, slab_blocks(s->class_no)) && (s->next != 0 || s->prev != 0)) {
        unlink_slab(t, s, page);
        bri_run_release(t, &bri_heap_of(t)->runs, page);
    }
}

/* The block stays as it is until the commit: a rollback must find it untouched, and unused by
 * anybody else. */
void bri_free(struct bri_txn *t, uint64_t off)
{
    uint64_t *word;

    if (t->n_frees < BRI_N_FREES) {
        t->frees[t->n_frees++] = off;
        return;
    }
    word = BRI_AT(t->o->arena, off, uint64_t);
    if (word == NULL || bri_block_capacity(t->o, off) == 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, word, t->more_frees);
    t->more_frees = off;
}

void bri_heap_free_now(struct bri_txn *t)
{
    uint64_t limit = t->o->arena->size / 16;

    for (uint32_t i = 0; i < t->n_frees && t->failed == 0; i++)
        free_block(t, t->frees[i]);
    for (uint64_t off = t->more_frees; off != 0 && t->failed == 0 && limit-- > 0;) {
        uint64_t next = *(uint64_t *)(t->o->arena->base + off); /* checked by bri_free() */

        free_block(t, off);
        off = next;
    }
    t->n_frees = 0;
    t->more_frees = 0;
}
