/*
 * handle.h - what a program holds: the broker it opened, and handles to objects in it
 *
 * Handles may be used from several threads; what they need they only read, but for counters of
 * their own. A handle knows in which process it was made: after fork the child attaches by itself,
 * as a session of its own, at its first operation.
 */
#ifndef BRI_HANDLE_H
#define BRI_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <broker/errors.h>
#include <broker/types.h>
#include <broker/value.h>

#include "client/address.h"
#include "core/guard.h"
#include "core/monitor.h"
#include "core/ref.h"
#include "value/value.h"

#define BRI_HANDLE_MAGIC 0x62726b68u
#define BRI_BROKER_MAGIC 0x62726b62u

struct bri_engine_ops;
struct bri_link;
struct bri_watcher;
enum bri_op;

/* What the remote engine knows of an object. */
struct bri_remote_handle {
    uint32_t number;    /* of the session's handle */
    uint32_t n_opens;   /* [mutex of the broker] how often the session has opened it for us */
    struct bri_ref ref; /* [const] */
};

/* A handle to one object. One per object and process, counted; public types such as broker_dict are
 * this. */
struct bri_handle {
    uint32_t magic; /* zeroed when freed */
    uint32_t type;
    const struct bri_engine_ops *engine;
    broker *broker;
    const _Atomic uint64_t *monitored; /* the broker's */
    struct bri_handle *next;           /* [mutex of the broker] its other handles */
    unsigned refs;                     /* [mutex of the broker] */
    _Atomic uint32_t process;          /* bri_process() when `object` was bound */
    struct bri_object object;          /* shm engine: where it is */
    struct bri_remote_handle remote;
    struct bri_handle *lock; /* of a condition that shares its lock: that, closed with it */
    _Atomic int32_t score;   /* shm engine: whether spinning has paid; see bri_spin() */
    _Atomic uint32_t n_owed; /* shm engine: what the next operation has to settle; see barrier.c */
    char name[BRI_NAME_MAX + 1];
};

struct broker {
    uint32_t magic;
    unsigned refs; /* [process-wide mutex] */
    const struct bri_engine_ops *engine;
    pthread_mutex_t mutex;
    struct bri_handle *handles; /* [mutex] */
    _Atomic uint32_t process;   /* bri_process() when it was attached */
    struct bri_link *link;      /* [mutex to change] remote engine: the session */
    struct bri_arena *arena;    /* [mutex to change] shm engine, as are all up to is_private */
    struct bri_object session;  /* not bound when read-only */
    uint32_t session_number;    /* UINT32_MAX when read-only */
    int sock; /* [mutex] to the daemon; -1 after it went away, until there is need to ask again */
    struct bri_watcher *watcher;       /* [mutex] NULL until a descriptor was asked for */
    const _Atomic uint64_t *monitored; /* not 0: operations are to be told of; see observe.h */
    struct bri_record_who who;         /* whose they are */
    bool is_private;                   /* we started the daemon */
    bool read_only;
    bool on_behalf; /* objects are made for `behalf_uid`: only by who loads an arena, alone */
    uint32_t behalf_uid;
    char path[BRI_SOCKET_PATH_MAX]; /* of the attach socket */
    char arena_name[BRI_ARENA_NAME_MAX];
    _Atomic int64_t wait_ns;       /* for the daemon's answer, as the last address said */
    char address[BRI_ADDRESS_MAX]; /* with which any process can open the same */
};

/* Number of this process in its line of forks: changes in a child. */
extern _Atomic uint32_t bri_process_number;
static inline uint32_t bri_process(void)
{
    return atomic_load_explicit(&bri_process_number, memory_order_relaxed);
}

/* Makes the broker and the handle usable in this process, which forked after they were made. */
int bri_reattach(broker *b);
int bri_reattach_handle(struct bri_handle *h);

/* Asks the daemon to free @slot's guard from a dead owner: for a read-only client, who cannot. 0,
 * NODAEMON. attach.c */
int bri_unstick(broker *b, uint32_t slot);

static inline int bri_enter(struct bri_handle *h, uint32_t type)
{
    if (__builtin_expect(h == NULL || h->magic != BRI_HANDLE_MAGIC || h->type != type, 0))
        return BROKER_INVALID;
    if (__builtin_expect(
            atomic_load_explicit(&h->process, memory_order_acquire) != bri_process(), 0))
        return bri_reattach_handle(h);
    return 0;
}

static inline int bri_enter_broker(broker *b)
{
    if (b == NULL || b->magic != BRI_BROKER_MAGIC)
        return BROKER_INVALID;
    if (atomic_load_explicit(&b->process, memory_order_acquire) != bri_process())
        return bri_reattach(b);
    return 0;
}

static inline const struct bri_engine_ops *bri_broker_engine(const broker *b)
{
    return b->engine;
}

/* Record this thread's last failure for broker_last_error(), and give @r back. error.c */
int bri_fail(struct bri_handle *h, enum bri_op op, int r);
int bri_fail_broker(broker *b, enum bri_op op, const char *name, int r);

/* Says more of the failure @r that an operation is about to return, in a text of static storage;
 * gives
 * @r. */
int bri_fail_detail(int r, const char *text);

/* Says the whole in place of what would be said of it: the @size bytes at @text are copied. */
int bri_fail_sentence(int r, const char *text, size_t size);

/* Records the failure of a public function that is no operation of an engine. */
int bri_fail_function(const char *function, int r);

/* The same for failures before there is a broker, with a sentence of its own (printf). */
int bri_fail_text(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
