/*
 * local.c - see local.h
 */
#include "client/local.h"

#include <stdlib.h>

#include "client/observe.h"
#include "core/attachment.h"
#include "core/session.h"
#include "engine_ops.h"

#define LEAVE_PATIENCE (-100 * BRI_MILLISECOND)

int bri_local_open(struct bri_arena *a, uint32_t session, struct broker *out)
{
    int r = 0;

    *out = (struct broker){.magic = BRI_BROKER_MAGIC,
        .refs = 1,
        .engine = &bri_engine_shm,
        .arena = a,
        .session_number = session,
        .sock = -1,
        .monitored = &bri_observe_nothing,
        .read_only = session == UINT32_MAX};
    atomic_store(&out->process, bri_process());
    if (session != UINT32_MAX)
        r = bri_session_object(a, session, &out->session);
    return r < 0 ? r : pthread_mutex_init(&out->mutex, NULL) == 0 ? 0 : BROKER_NOMEM;
}

void bri_local_close(struct broker *b)
{
    for (struct bri_handle *h = b->handles, *next; h != NULL; h = next) {
        next = h->next;
        h->magic = 0;
        free(h);
    }
    b->handles = NULL;
    if (!b->read_only)
        (void)bri_session_reap(b->arena, b->session_number, false, LEAVE_PATIENCE);
    (void)pthread_mutex_destroy(&b->mutex);
    b->magic = 0;
}
