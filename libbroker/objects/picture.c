/*
 * picture.c - see picture.h
 */
#include "objects/picture.h"

#include <sys/mman.h>

#include <broker.h>

#include "core/pages.h"
#include "engine_ops.h"
#include "objects/queue.h"
#include "objects/reading.h"
#include "value/value.h"

#define KEEP_PAGES 256u /* a picture of no more leaves its memory for the next one */
#define FIRST_RUNS 64u

struct bri_picture_run {
    uint32_t page, n_pages;
};

struct take {
    struct bri_picture *picture;
    struct bri_output runs; /* where the list of runs goes */
    uint64_t seq;           /* when it was begun */
    uint64_t n_pages;       /* copied so far */
    uint64_t version;
    bool warms; /* copies only so that there is memory for it, and all of it is near */
};

static void *moved(const struct bri_picture *p, const struct bri_arena *a, const void *live)
{
    return p->view.base + bri_off(a, live);
}

int bri_picture_open(const struct bri_arena *a, struct bri_picture *out_picture)
{
    struct bri_picture p = {.view = *a, .runs = BROKER_BUFFER_INIT};
    void *base = mmap(
        NULL, a->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return BROKER_NOMEM;
    if (bri_buffer_reserve(&p.runs, FIRST_RUNS * sizeof(struct bri_picture_run)) < 0) {
        (void)munmap(base, a->size);
        return BROKER_NOMEM;
    }
    p.view.base = base;
    p.view.fd = -1;
    p.view.shm = moved(&p, a, a->shm);
    p.view.pages = moved(&p, a, a->pages);
    p.view.names = moved(&p, a, a->names);
    *out_picture = p;
    return 0;
}

void bri_picture_close(struct bri_picture *picture)
{
    if (picture->view.base != NULL)
        (void)munmap(picture->view.base, picture->view.size);
    picture->view.base = NULL;
    broker_buffer_free(&picture->runs);
}

/* The last object's pages are nobody's, so that the next one's cannot lead there. */
static void forget(struct bri_picture *p)
{
    const struct bri_picture_run *runs = p->runs.data;
    size_t n = p->runs.size / sizeof(*runs);
    uint64_t n_pages = 0;

    for (size_t i = 0; i < n; i++)
        n_pages += runs[i].n_pages;
    if (n_pages > KEEP_PAGES)
        (void)madvise(p->view.base, p->view.size, MADV_DONTNEED);
    for (size_t i = 0; i < n && n_pages <= KEEP_PAGES; i++)
        memset(&p->view.pages[runs[i].page], 0, runs[i].n_pages * sizeof(*p->view.pages));
    p->runs.size = 0;
}

/* ---- copying ---- */

/* In words, each of which is as it was at one moment: types without a guard have no other. */
static void copy_slot(const struct take *x, const struct bri_object *o)
{
    const volatile uint64_t *from = (const volatile uint64_t *)o->slot;
    uint64_t *to = moved(x->picture, o->arena, o->slot);

    for (size_t i = 0; i < BRI_SLOT_SIZE / sizeof(*to); i++)
        to[i] = from[i];
}

/* CORRUPT if it changes, or there can be no such run; of an object that changes now, both mean
 * nothing but another try. */
static int copy_run(struct take *x, const struct bri_object *o, uint32_t page)
{
    const struct bri_arena *a = o->arena, *view = &x->picture->view;
    uint64_t tag = bri_page_tag(a, page);
    uint32_t n = bri_tag_aux(tag);
    struct bri_picture_run *runs = x->runs.buffer->data;
    size_t size = x->runs.buffer->size;

    if (bri_tag_owner(tag) != o->id || bri_tag_kind(tag) == BRI_PAGE_TAIL || n == 0 ||
        n > a->n_pages - page || n > a->n_pages - x->n_pages)
        return BROKER_CORRUPT;
    if (bri_output_lacks(&x->runs, size + sizeof(*runs)))
        return BRI_MORE;
    runs[size / sizeof(*runs)] = (struct bri_picture_run){page, n};
    x->runs.buffer->size = size + sizeof(*runs);
    x->n_pages += n;
    for (uint32_t i = 0; i < n; i++) {
        atomic_init(&view->pages[page + i].tag, bri_page_tag(a, page + i));
        view->pages[page + i].next = *(const volatile uint32_t *)&a->pages[page + i].next;
    }
    bri_copy(view->base + ((uint64_t)page << BRI_PAGE_SHIFT),
        a->base + ((uint64_t)page << BRI_PAGE_SHIFT), (size_t)n << BRI_PAGE_SHIFT);
    return x->warms || atomic_load_explicit(&o->slot->seq, memory_order_relaxed) == x->seq
               ? 0
               : BROKER_CORRUPT;
}

/* Bodies of items that are lent are in lists of attachments; their tags say whose they are. */
static int copy_lent(struct take *x, const struct bri_object *o)
{
    uint64_t tag;
    int r = 0;

    for (uint32_t page = o->arena->first_page; page < o->arena->n_pages && r == 0; page++) {
        tag = bri_page_tag(o->arena, page);
        if (bri_tag_owner(tag) == o->id && bri_tag_kind(tag) == BRI_PAGE_LENT)
            r = copy_run(x, o, page);
    }
    return r;
}

static int take_try(struct bri_object *o, void *arg)
{
    struct take *x = arg;
    const struct bri_root_shm *root;
    uint32_t page;
    int r;

    /* An earlier try's runs stay in the list: what they left has to be forgotten as well. */
    x->n_pages = 0;
    x->seq = atomic_load_explicit(&o->slot->seq, memory_order_relaxed);
    x->version = bri_version(o);
    copy_slot(x, o);
    if (o->root == NULL)
        return 0;
    r = copy_run(x, o, (uint32_t)(bri_off(o->arena, o->root) >> BRI_PAGE_SHIFT));
    root = moved(x->picture, o->arena, o->root);
    for (page = root->heap.runs; page != 0 && r == 0; page = x->picture->view.pages[page].next)
        r = copy_run(x, o, page);
    if (r == 0 && o->type == BRI_TYPE_QUEUE && bri_queue_of(o)->items.n_leased != 0)
        r = copy_lent(x, o);
    return r;
}

/*
 * Copies a large object once for nothing: should it have to be copied under the guard, that is
 * several times faster then, for no page of the copy is touched for the first time.
 */
static int warm(struct bri_object *o, struct take *x)
{
    int r = o->root != NULL && *(const volatile uint64_t *)&o->root->heap.n_pages > KEEP_PAGES;

    x->warms = r != 0;
    while (x->warms) {
        x->warms = take_try(o, x) == BRI_MORE;
        r = x->warms ? bri_output_grow(&x->runs) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int bri_picture_take(struct bri_picture *picture, struct bri_handle *h,
    struct bri_object *out_object, uint64_t *out_version)
{
    struct take x = {.picture = picture, .runs.buffer = &picture->runs};
    struct bri_object *o = &h->object;
    int r;

    forget(picture);
    r = warm(o, &x);
    if (r == 0)
        r = bri_read_out(h, take_try, &x, &x.runs);
    if (r < 0)
        return r;
    *out_object = (struct bri_object){.arena = &picture->view,
        .slot = moved(picture, o->arena, o->slot),
        .root = o->root != NULL ? moved(picture, o->arena, o->root) : NULL,
        .generation = o->generation,
        .id = o->id,
        .type = o->type};
    *out_version = x.version;
    return 0;
}
