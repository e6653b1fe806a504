/*
 * hand.c - see hand.h
 */
#include "hand.h"

#include <stdlib.h>
#include <unistd.h>

#include "client/handle.h"
#include "client/observe.h"
#include "core/session.h"
#include "engine_ops.h"

broker *hand_broker(struct bri_arena *a)
{
    struct bri_peer me = {.pid = getpid(), .uid = geteuid(), .gid = getegid(), .may_write = true};
    broker *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->magic = BRI_BROKER_MAGIC;
    b->refs = 1;
    b->engine = &bri_engine_shm;
    (void)pthread_mutex_init(&b->mutex, NULL);
    atomic_store(&b->process, bri_process());
    b->arena = a;
    b->sock = -1;
    if (bri_session_create(a, &me, &b->session_number) < 0 ||
        bri_session_object(a, b->session_number, &b->session) < 0) {
        free(b);
        return NULL;
    }
    bri_observe_begin(b);
    return b;
}

void hand_free(broker *b)
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
