/*
 * watch.c - see watch.h; and waiting for several objects
 *
 * Objects are waited for with futexes, event loops with descriptors. One thread for each broker
 * that has been asked for a descriptor stands between the two: it sleeps for all watched objects
 * at once, and writes to the eventfd of one that is ready. That one is then left alone until the
 * program clears its descriptor. A child after fork has no such thread until it asks for a
 * descriptor of its own.
 */
#include "client/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <broker.h>

#include "client/observe.h"
#include "core/errno.h"
#include "core/lock.h"
#include "core/wait_any.h"
#include "engine/remote.h"
#include "engine_ops.h"

struct bri_watched {
    struct bri_handle *handle;
    int fd;
    bool is_armed; /* not readable yet */
    struct bri_watched *next;
};

struct bri_watcher {
    pthread_t thread;
    uint32_t process;
    pthread_mutex_t mutex; /* of all below, and of the handles that the thread looks at */
    struct bri_watched *all;
    bool must_end;
    bool in_turn;           /* the thread looks at the handles that were on the list */
    _Atomic uint32_t calls; /* moves when the thread must look at the list again */
    _Atomic uint32_t turns; /* moves when the thread has left the objects it slept for */
};

static void call_thread(struct bri_watcher *w)
{
    atomic_fetch_add(&w->calls, 1);
    bri_futex_wake_private(&w->calls, 1);
}

/* ---- the thread ---- */

struct turn {
    struct bri_watched *watched[BRI_WAIT_ANY_MAX];
    struct bri_object *objects[BRI_WAIT_ANY_MAX];
    size_t n;
    struct bri_call call;
};

static bool begin_turn(struct bri_watcher *w, struct turn *t)
{
    bool must_end;

    (void)pthread_mutex_lock(&w->mutex);
    t->n = 0;
    t->call = (struct bri_call){.word = &w->calls, .seen = atomic_load(&w->calls)};
    for (struct bri_watched *each = w->all; each != NULL; each = each->next)
        if (each->is_armed && t->n < BRI_WAIT_ANY_MAX) {
            t->watched[t->n] = each;
            t->objects[t->n++] = &each->handle->object;
        }
    must_end = w->must_end;
    w->in_turn = !must_end;
    (void)pthread_mutex_unlock(&w->mutex);
    return !must_end;
}

/* What is on the turn's list stays until the turn is over: see end_watched(). */
static void end_turn(struct bri_watcher *w, struct turn *t, size_t ready)
{
    (void)pthread_mutex_lock(&w->mutex);
    if (ready < t->n) {
        t->watched[ready]->is_armed = false;
        (void)eventfd_write(t->watched[ready]->fd, 1);
    }
    w->in_turn = false;
    atomic_fetch_add(&w->turns, 1);
    (void)pthread_mutex_unlock(&w->mutex);
    bri_futex_wake_private(&w->turns, INT32_MAX);
}

static void *watch(void *arg)
{
    struct bri_watcher *w = arg;
    struct turn t;

    while (begin_turn(w, &t)) {
        size_t ready = t.n;

        if (bri_wait_any(t.objects, t.n, BRI_NEVER, &t.call, &ready) != 0)
            ready = t.n;
        end_turn(w, &t, ready);
    }
    return NULL;
}

/* Without the program's signals: they are for its own threads. */
static int start_thread(struct bri_watcher *w)
{
    sigset_t all, before;
    int e;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(&w->thread, NULL, watch, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e == 0 ? 0 : bri_from_errno(e);
}

/* ---- the list ---- */

/* The watcher of this process. One that was inherited through a fork is the parent's: its thread is
 * not here, and its mutex may be held for ever. It is left as it is. */
static struct bri_watcher *own_watcher(const broker *b)
{
    return b->watcher != NULL && b->watcher->process == bri_process() ? b->watcher : NULL;
}

static int make_watcher(broker *b, struct bri_watcher **out)
{
    struct bri_watcher *w = calloc(1, sizeof(*w));
    int r;

    if (w == NULL)
        return BROKER_NOMEM;
    w->process = bri_process();
    (void)pthread_mutex_init(&w->mutex, NULL);
    r = start_thread(w);
    if (r < 0) {
        free(w);
        return r;
    }
    b->watcher = *out = w;
    return 0;
}

static struct bri_watched *find_watched(struct bri_watcher *w, const struct bri_handle *h)
{
    struct bri_watched *each = w->all;

    while (each != NULL && each->handle != h)
        each = each->next;
    return each;
}

/* With the mutex held. */
static int add_watched(struct bri_watcher *w, struct bri_handle *h, struct bri_watched **out)
{
    struct bri_watched *new;
    size_t n = 0;

    for (const struct bri_watched *each = w->all; each != NULL; each = each->next)
        n++;
    if (n >= BRI_WAIT_ANY_MAX)
        return BROKER_LIMIT;
    new = calloc(1, sizeof(*new));
    if (new == NULL)
        return BROKER_NOMEM;
    new->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (new->fd < 0) {
        free(new);
        return bri_from_errno(errno);
    }
    new->handle = h;
    new->is_armed = true;
    new->next = w->all;
    w->all = *out = new;
    return 0;
}

/* Takes it off the list, and waits until the thread has let go of it. A turn that is yet to begin
 * does without it, and may sleep for ever. */
static void end_watched(struct bri_watcher *w, const struct bri_handle *h)
{
    struct bri_watched *found = NULL;
    uint32_t turns;
    bool in_turn;

    (void)pthread_mutex_lock(&w->mutex);
    for (struct bri_watched **link = &w->all; *link != NULL && found == NULL;)
        if ((*link)->handle == h) {
            found = *link;
            *link = found->next;
        } else {
            link = &(*link)->next;
        }
    turns = atomic_load(&w->turns);
    in_turn = w->in_turn;
    (void)pthread_mutex_unlock(&w->mutex);
    if (found == NULL)
        return;
    if (in_turn) {
        call_thread(w);
        bri_futex_wait_private(&w->turns, turns);
    }
    (void)close(found->fd);
    free(found);
}

void bri_watch_end(struct bri_handle *h)
{
    struct bri_watcher *w;

    (void)pthread_mutex_lock(&h->broker->mutex);
    w = own_watcher(h->broker);
    (void)pthread_mutex_unlock(&h->broker->mutex);
    if (w != NULL)
        end_watched(w, h);
}

void bri_watch_stop(broker *b)
{
    struct bri_watcher *w = own_watcher(b);

    if (w == NULL)
        return;
    (void)pthread_mutex_lock(&w->mutex);
    w->must_end = true;
    (void)pthread_mutex_unlock(&w->mutex);
    call_thread(w);
    (void)pthread_join(w->thread, NULL);
    for (struct bri_watched *each = w->all, *next; each != NULL; each = next) {
        next = each->next;
        (void)close(each->fd);
        free(each);
    }
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
    b->watcher = NULL;
}

/* ---- public ---- */

static const char in_shm_only[] =
    "objects behind ipc:// and tcp:// have no descriptor; wait in a thread, or open unix:";

static int enter_any(void *object)
{
    struct bri_handle *h = object;
    int r = h == NULL || h->magic != BRI_HANDLE_MAGIC ? BROKER_INVALID : bri_enter(h, h->type);

    if (r == 0 && h->engine != &bri_engine_shm)
        r = bri_fail_detail(BROKER_UNSUPPORTED, in_shm_only);
    return r < 0 ? r : bri_can_wait_any(&h->object);
}

static int fd_of(struct bri_handle *h, int *out_fd)
{
    broker *b = h->broker;
    struct bri_watcher *w;
    struct bri_watched *watched;
    int r = 0;

    (void)pthread_mutex_lock(&b->mutex);
    w = own_watcher(b);
    if (w == NULL)
        r = make_watcher(b, &w);
    if (r == 0) {
        (void)pthread_mutex_lock(&w->mutex);
        watched = find_watched(w, h);
        if (watched == NULL)
            r = add_watched(w, h, &watched);
        if (r == 0)
            *out_fd = watched->fd;
        (void)pthread_mutex_unlock(&w->mutex);
        call_thread(w);
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return r;
}

int broker_fd(void *object, int *out_fd)
{
    int r = out_fd != NULL ? enter_any(object) : BROKER_INVALID;

    if (r == 0)
        r = fd_of(object, out_fd);
    return r < 0 ? bri_fail_function("broker_fd", r) : 0;
}

static int clear(struct bri_handle *h)
{
    broker *b = h->broker;
    struct bri_watcher *w;
    struct bri_watched *watched = NULL;
    eventfd_t ignored;

    (void)pthread_mutex_lock(&b->mutex);
    w = own_watcher(b);
    if (w != NULL) {
        (void)pthread_mutex_lock(&w->mutex);
        watched = find_watched(w, h);
        if (watched != NULL) {
            (void)eventfd_read(watched->fd, &ignored);
            watched->is_armed = true;
        }
        (void)pthread_mutex_unlock(&w->mutex);
        call_thread(w);
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return watched != NULL ? 0 : BROKER_INVALID;
}

int broker_fd_clear(void *object)
{
    int r = enter_any(object);

    if (r == 0)
        r = clear(object);
    return r < 0 ? bri_fail_function("broker_fd_clear", r) : 0;
}

static bool is_remote(const void *object)
{
    const struct bri_handle *h = object;

    return h != NULL && h->magic == BRI_HANDLE_MAGIC && h->engine == &bri_engine_remote;
}

static int wait_any(void *const objects[], size_t n, int64_t timeout_ns, size_t *out_index)
{
    struct bri_object *all[BRI_WAIT_ANY_MAX];
    int r = 0;

    if (objects == NULL || n == 0 || n > BRI_WAIT_ANY_MAX || timeout_ns < 0 || out_index == NULL)
        return BROKER_INVALID;
    if (is_remote(objects[0]))
        return bri_remote_wait_any(objects, n, timeout_ns, out_index);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = enter_any(objects[i]);
        if (r == 0)
            all[i] = &((struct bri_handle *)objects[i])->object;
    }
    if (r < 0)
        return r;
    return bri_wait_any(all, n, bri_deadline(timeout_ns), NULL, out_index);
}

int broker_wait_any(void *const objects[], size_t n, int64_t timeout_ns, size_t *out_index)
{
    int r = wait_any(objects, n, timeout_ns, out_index);

    bri_observe_forget();
    return r < 0 ? bri_fail_function("broker_wait_any", r) : 0;
}
