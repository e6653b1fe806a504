/*
 * world.c - see world.h
 */
#include "world.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/pages.h"
#include "core/session.h"
#include "engine_ops.h"
#include "support/shm_fixture.h"
#include "tracer.h"

#define SIZE ((size_t)WORLD_PAGES * BRI_PAGE_SIZE)

void must(int r, const char *what)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, broker_error_name(r));
    exit(EXIT_FAILURE);
}

/* ---- the live world ---- */

void world_new(struct world *w, uint64_t seed)
{
    *w = (struct world){.arena = shm_arena_new(WORLD_PAGES, WORLD_SESSIONS)};
    shm_arena_set_secret(w->arena, seed);
    /* We are the daemon too, and never silent. */
    atomic_store(&w->arena->shm->daemon_pid, (uint32_t)getpid());
    atomic_store(&w->arena->shm->daemon_beat_ns, (uint64_t)BRI_NEVER);
    for (int i = 0; i < N_ACTORS; i++)
        w->actors[i].broker = shm_broker_new(w->arena, getpid());
}

void world_free(struct world *w)
{
    for (int i = 0; i < N_ACTORS; i++)
        shm_broker_drop(w->actors[i].broker);
    shm_arena_free(w->arena);
}

void world_keep_handle(struct world *w, enum who who, enum what what, struct bri_handle *h)
{
    struct actor *actor = &w->actors[who];
    struct bri_handle *lock = h->lock;

    actor->handles[what] = *h;
    actor->broker->handles = NULL;
    free(h);
    if (lock == NULL)
        return;
    world_keep_handle(w, who, CONDITION_LOCK, lock);
    actor->handles[what].lock = &actor->handles[CONDITION_LOCK];
}

void world_open_dict(struct world *w, enum who who, uint64_t quota_bytes)
{
    broker_dict_options options = {.quota_bytes = quota_bytes};
    struct bri_handle *h;

    MUST(bri_dict_open(w->actors[who].broker, "dict", &options, &h));
    world_keep_handle(w, who, DICT, h);
}

void world_open_queue(struct world *w, enum who who, const broker_queue_options *options)
{
    struct bri_handle *h;

    MUST(bri_queue_open(w->actors[who].broker, "queue", options, &h));
    world_keep_handle(w, who, QUEUE, h);
}

void world_open_lock(struct world *w, enum who who, const broker_lock_options *options)
{
    struct bri_handle *h;

    MUST(bri_lock_open(w->actors[who].broker, "lock", options, &h));
    world_keep_handle(w, who, LOCK, h);
}

static uint32_t count_sleepers(const struct bri_object *o)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        n += *(volatile uint32_t *)&o->slot->n_waiters[i];
    return n;
}

void world_die_asleep(struct actor *who, enum what what, int (*run)(struct actor *who))
{
    const struct bri_object *o = &who->handles[what].object;
    uint32_t n_sleepers = count_sleepers(o);
    pid_t child = fork();

    must(child < 0 ? BROKER_SYSTEM : 0, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)run(who);
        _exit(EXIT_FAILURE);
    }
    while (count_sleepers(o) == n_sleepers || !tracer_sleeps(child)) {
        must(waitpid(child, NULL, WNOHANG) == child ? BROKER_INTERNAL : 0, "it does not sleep");
        (void)sched_yield();
    }
    (void)kill(child, SIGKILL);
    must(waitpid(child, NULL, 0) != child ? BROKER_SYSTEM : 0, "waitpid");
}

void world_open_list(struct world *w, enum who who, uint64_t quota_bytes)
{
    broker_list_options options = {.quota_bytes = quota_bytes};
    struct bri_handle *h;

    MUST(bri_list_open(w->actors[who].broker, "list", &options, &h));
    world_keep_handle(w, who, LIST, h);
}

void world_exhaust(struct world *w)
{
    static const uint8_t bytes[3000];
    struct bri_handle *filling;
    uint32_t page, i = 0;

    MUST(bri_dict_open(w->actors[PEER].broker, "filling", NULL, &filling));
    do
        MUST(bri_dict_set(filling, broker_int(i++), broker_bin(bytes, sizeof(bytes))));
    while (bri_pages_find(w->arena, 1, &page) == 0);
    world_forget_handles(w);
}

void world_open_array(struct world *w, enum who who, const broker_array_options *options)
{
    struct bri_handle *h;

    MUST(bri_array_open(w->actors[who].broker, "array", options, &h));
    world_keep_handle(w, who, ARRAY, h);
}

void world_open_pipe(struct world *w, enum who who, const broker_pipe_options *options)
{
    struct bri_handle *h;

    MUST(bri_pipe_open(w->actors[who].broker, "pipe", options, &h));
    world_keep_handle(w, who, PIPE, h);
}

void world_open_namespace(struct world *w, enum who who, const broker_namespace_options *options)
{
    struct bri_handle *h;

    MUST(bri_namespace_open(w->actors[who].broker, "namespace", options, &h));
    world_keep_handle(w, who, NAMESPACE, h);
}

void world_open_value(struct world *w, enum who who, const broker_number_options *options)
{
    struct bri_handle *h;

    MUST(bri_value_open(w->actors[who].broker, "value", options, &h));
    world_keep_handle(w, who, VALUE, h);
}

/* ---- copies ---- */

/* An empty arena: only its header is there, so that the view knows its bounds. */
void world_new_copy(struct world *copy)
{
    struct bri_arena *model = shm_arena_new(WORLD_PAGES, WORLD_SESSIONS);
    void *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    *copy = (struct world){0};
    must(bytes == MAP_FAILED ? BROKER_NOMEM : 0, "mmap");
    memcpy(bytes, model->base, BRI_PAGE_SIZE);
    shm_arena_free(model);
    MUST(bri_arena_view(bytes, SIZE, &copy->arena));
    for (int i = 0; i < N_ACTORS; i++) {
        copy->actors[i].broker = calloc(1, sizeof(broker));
        must(copy->actors[i].broker == NULL ? BROKER_NOMEM : 0, "calloc");
    }
}

static void free_handles(broker *b)
{
    for (struct bri_handle *h = b->handles, *next; h != NULL; h = next) {
        next = h->next;
        free(h);
    }
    b->handles = NULL;
}

void world_forget_handles(struct world *w)
{
    for (int i = 0; i < N_ACTORS; i++)
        free_handles(w->actors[i].broker);
}

void world_free_copy(struct world *copy)
{
    uint8_t *bytes = world_bytes(copy);

    world_forget_handles(copy);
    for (int i = 0; i < N_ACTORS; i++)
        free(copy->actors[i].broker);
    bri_arena_unmap(copy->arena);
    (void)munmap(bytes, SIZE);
}

static void *moved(const void *p, const struct world *from, const struct world *to)
{
    return p != NULL ? world_bytes(to) + bri_off(from->arena, p) : NULL;
}

static void move_object(struct bri_object *o, const struct world *from, const struct world *to)
{
    o->arena = to->arena;
    o->slot = moved(o->slot, from, to);
    o->root = moved(o->root, from, to);
    o->att = moved(o->att, from, to);
}

void world_copy_actors(struct world *copy, const struct world *w)
{
    struct bri_arena *a = copy->arena;

    memcpy(a->secret, w->arena->secret, sizeof(a->secret));
    memcpy(a->id, w->arena->id, sizeof(a->id));
    world_forget_handles(copy);
    for (int i = 0; i < N_ACTORS; i++) {
        struct actor *to = &copy->actors[i];
        broker *b = to->broker;

        *b = *w->actors[i].broker;
        b->arena = a;
        b->handles = NULL;
        move_object(&b->session, w, copy);
        memcpy(to->handles, w->actors[i].handles, sizeof(to->handles));
        for (int k = 0; k < N_HANDLES; k++) {
            if (to->handles[k].magic == 0)
                continue;
            to->handles[k].broker = b;
            move_object(&to->handles[k].object, w, copy);
            if (to->handles[k].lock != NULL)
                to->handles[k].lock = &to->handles[CONDITION_LOCK];
        }
    }
}

/* ---- pages ---- */

static bool is_reserved(const struct bri_arena *a, uint32_t page, uint64_t tag)
{
    if (bri_tag_kind(tag) == BRI_PAGE_TAIL && bri_tag_aux(tag) <= page)
        tag = bri_page_tag(a, page - bri_tag_aux(tag));
    return bri_tag_kind(tag) == BRI_PAGE_RESERVED;
}

void world_pages(const struct bri_arena *a, bool reserved, struct world_pages *out)
{
    uint32_t n = 0;

    for (uint32_t page = 0; page < a->n_pages; page++) {
        uint64_t tag = bri_page_tag(a, page);

        if (page < a->first_page ||
            (bri_tag_owner(tag) != 0 && (reserved || !is_reserved(a, page, tag))))
            out->pages[n++] = (uint16_t)page;
    }
    out->n = n;
}

void world_copy_pages(const struct world_pages *pages, const uint8_t *from, uint8_t *to)
{
    for (uint32_t i = 0; i < pages->n; i++) {
        size_t at = (size_t)pages->pages[i] << BRI_PAGE_SHIFT;

        memcpy(to + at, from + at, BRI_PAGE_SIZE);
    }
}

static bool follow_page(const uint8_t *now, uint8_t *seen, uint32_t page)
{
    size_t at = (size_t)page << BRI_PAGE_SHIFT;

    if (memcmp(now + at, seen + at, BRI_PAGE_SIZE) == 0)
        return false;
    memcpy(seen + at, now + at, BRI_PAGE_SIZE);
    return true;
}

bool world_follow(
    const struct bri_arena *now, uint8_t *seen, bool reserved, struct world_pages *pages)
{
    bool changed = false;

    /* The page table is among the fixed pages, which come first. */
    for (uint32_t i = 0; i < now->first_page; i++)
        changed |= follow_page(now->base, seen, i);
    if (changed)
        world_pages(now, reserved, pages);
    for (uint32_t i = now->first_page; i < pages->n; i++)
        changed |= follow_page(now->base, seen, pages->pages[i]);
    return changed;
}

bool world_follow_page(const struct bri_arena *now, uint8_t *seen, bool reserved, uint32_t page,
    struct world_pages *pages)
{
    if (page < now->first_page) /* what counts may be others now */
        return world_follow(now, seen, reserved, pages);
    for (uint32_t i = now->first_page; i < pages->n; i++)
        if (pages->pages[i] == page)
            return follow_page(now->base, seen, page);
    return false;
}
