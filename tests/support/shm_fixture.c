/*
 * shm_fixture.c - see shm_fixture.h
 */
#include "support/shm_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/observe.h"
#include "core/attachment.h"
#include "core/session.h"
#include "engine_ops.h"

static void must(int r, const char *what)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "shm_fixture: %s: %s\n", what, broker_error_name(r));
    exit(EXIT_FAILURE);
}

struct bri_arena *shm_arena_new(uint32_t n_pages, uint32_t n_sessions)
{
    struct bri_arena_options options = {
        .name = "test", .size = (uint64_t)n_pages * BRI_PAGE_SIZE, .n_sessions = n_sessions};
    struct bri_arena *a;
    int fd = memfd_create("broker-test", MFD_CLOEXEC);

    must(fd < 0 ? BROKER_SYSTEM : 0, "memfd_create");
    must(bri_arena_create(fd, &options, &a), "bri_arena_create");
    must(madvise(a->base, a->size, MADV_DOFORK) != 0 ? BROKER_SYSTEM : 0, "madvise");
    return a;
}

void shm_arena_set_secret(struct bri_arena *a, uint64_t seed)
{
    for (size_t i = 0; i < sizeof(a->secret); i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        a->secret[i] = (uint8_t)(seed >> 56);
    }
    memcpy(a->shm->secret, a->secret, sizeof(a->secret));
}

void shm_arena_free(struct bri_arena *a)
{
    bri_arena_unmap(a);
}

broker *shm_broker_new(struct bri_arena *a, pid_t pid)
{
    struct bri_peer peer = {.pid = pid, .uid = geteuid(), .gid = getegid(), .may_write = true};
    broker *b = calloc(1, sizeof(*b));

    must(b == NULL ? BROKER_NOMEM : 0, "calloc");
    b->magic = BRI_BROKER_MAGIC;
    b->refs = 1;
    b->engine = &bri_engine_shm;
    (void)pthread_mutex_init(&b->mutex, NULL);
    atomic_store(&b->process, bri_process());
    b->arena = a;
    b->sock = -1;
    must(bri_session_create(a, &peer, &b->session_number), "bri_session_create");
    must(bri_session_object(a, b->session_number, &b->session), "bri_session_object");
    bri_observe_begin(b);
    return b;
}

void shm_broker_drop(broker *b)
{
    if (b == NULL)
        return;
    for (struct bri_handle *h = b->handles, *next; h != NULL; h = next) {
        next = h->next;
        free(h);
    }
    (void)pthread_mutex_destroy(&b->mutex);
    free(b);
}

void shm_broker_free(broker *b)
{
    if (b == NULL)
        return;
    must(bri_session_reap(b->arena, b->session_number, false, BRI_PATIENCE), "bri_session_reap");
    shm_broker_drop(b);
}
