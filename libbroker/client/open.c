/*
 * open.c - brokers and handles: making, counting and letting go of them
 *
 * Opening the same arena twice gives the same broker, counted. The locks, in the order in which
 * they may nest: the process-wide mutex below, then a broker's own; fork takes all of them, so that
 * a child finds whole lists. A process killed in here leaves a session, which the daemon ends.
 */
#include "client/open.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>

#include "client/address.h"
#include "client/attach.h"
#include "client/observe.h"
#include "client/private.h"
#include "client/watch.h"
#include "core/attachment.h"
#include "core/collect.h"
#include "core/lock.h"
#include "core/session.h"
#include "core/stand_in.h"
#include "engine_ops.h"
#include "value/value.h"

#define LEAVE_PATIENCE (-100 * BRI_MILLISECOND)

_Atomic uint32_t bri_process_number;

struct opened {
    struct broker broker; /* first: what programs hold */
    struct opened *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct opened *all; /* [mutex] */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    (void)pthread_mutex_lock(&mutex);
    for (struct opened *o = all; o != NULL; o = o->next)
        (void)pthread_mutex_lock(&o->broker.mutex);
}

static void after_fork(void)
{
    for (struct opened *o = all; o != NULL; o = o->next)
        (void)pthread_mutex_unlock(&o->broker.mutex);
    (void)pthread_mutex_unlock(&mutex);
}

static void after_fork_in_child(void)
{
    (void)atomic_fetch_add(&bri_process_number, 1);
    after_fork();
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

void bri_shm_end(broker *b, bool died)
{
    bri_watch_stop(b);
    if (atomic_load(&b->process) != bri_process()) {
        bri_attach_forget(b); /* the parent's: nothing of it is ours to end */
        return;
    }
    /* What is stuck stays for the daemon to finish: the session says that it is over. */
    if (!b->read_only)
        (void)bri_session_reap(b->arena, b->session_number, died, LEAVE_PATIENCE);
    bri_observe_leave(b);
    bri_arena_unmap(b->arena);
    if (b->sock >= 0)
        (void)close(b->sock);
}

static void destroy(broker *b, bool died)
{
    b->engine->end(b, died);
    for (struct bri_handle *h = b->handles, *next; h != NULL; h = next) {
        next = h->next;
        h->magic = 0;
        free(h);
    }
    (void)pthread_mutex_destroy(&b->mutex);
    b->magic = 0;
    free((struct opened *)b);
}

static void unref(broker *b)
{
    bool last;

    (void)pthread_mutex_lock(&mutex);
    last = --b->refs == 0;
    for (struct opened **link = &all; last && *link != NULL; link = &(*link)->next)
        if (&(*link)->broker == b) {
            *link = (*link)->next;
            break;
        }
    (void)pthread_mutex_unlock(&mutex);
    if (last)
        destroy(b, false);
}

/* While the connection stands, the daemon is the one that gave us the arena, and the arena is the
 * one that it has. */
bool bri_shm_is_connected(broker *b)
{
    struct pollfd p = {.events = POLLIN};
    bool connected;

    (void)pthread_mutex_lock(&b->mutex);
    p.fd = b->sock;
    connected = p.fd >= 0 && poll(&p, 1, 0) == 0;
    (void)pthread_mutex_unlock(&b->mutex);
    return connected;
}

/*
 * The broker that this process has opened there already, counted once more; NULL if there is none.
 */
static broker *find_opened(const struct bri_address *address)
{
    char text[BRI_ADDRESS_MAX];
    broker *found = NULL;

    bri_address_format(address, text);
    (void)pthread_mutex_lock(&mutex);
    for (struct opened *o = all; o != NULL && found == NULL; o = o->next)
        if (strcmp(o->broker.address, text) == 0 && o->broker.engine->is_connected(&o->broker))
            found = &o->broker;
    if (found != NULL)
        found->refs++;
    (void)pthread_mutex_unlock(&mutex);
    return found;
}

int bri_shm_begin(broker *b, const struct bri_address *address, struct bri_arena *mapped)
{
    struct bri_attached attached;
    int r = bri_attach_to(address, mapped, &attached);

    if (r < 0)
        return r;
    bri_attach_take(b, &attached);
    return 0;
}

int bri_open_session(
    const struct bri_address *address, struct bri_arena *mapped, broker **out_broker)
{
    struct opened *o = calloc(1, sizeof(*o));
    broker *b;
    int r;

    if (o == NULL)
        return bri_fail_text(BROKER_NOMEM, "no memory for a broker");
    b = &o->broker;
    b->read_only = address->read_only;
    b->monitored = &bri_observe_nothing;
    b->engine = address->road == BRI_ROAD_UNIX ? &bri_engine_shm : &bri_engine_remote;
    r = b->engine->begin(b, address, mapped);
    if (r < 0) {
        free(o);
        return r;
    }
    b->magic = BRI_BROKER_MAGIC;
    b->refs = 1;
    (void)pthread_mutex_init(&b->mutex, NULL);
    atomic_store(&b->process, bri_process());
    memcpy(b->path, address->path, sizeof(address->path));
    memcpy(b->arena_name, address->arena, sizeof(b->arena_name));
    atomic_store(&b->wait_ns, address->wait_ns);
    bri_address_format(address, b->address);
    *out_broker = b;
    return 0;
}

void bri_close_session(broker *b, bool died)
{
    if (b != NULL)
        destroy(b, died);
}

static int attach_new(const struct bri_address *address, bool is_private, broker **out_broker)
{
    struct opened *o;
    int r = bri_open_session(address, NULL, out_broker);

    if (r < 0)
        return r;
    o = (struct opened *)*out_broker;
    o->broker.is_private = is_private;
    (void)pthread_mutex_lock(&mutex);
    o->next = all;
    all = o;
    (void)pthread_mutex_unlock(&mutex);
    return 0;
}

static int open_private(struct bri_address *address, broker **out_broker)
{
    int starter, r = bri_private_start(address->path, &starter);

    if (r < 0)
        return r;
    address->road = BRI_ROAD_UNIX; /* by which others open it, too */
    r = attach_new(address, true, out_broker);
    (void)close(starter);
    return r;
}

static int open_shared(const struct bri_address *address, broker **out_broker)
{
    broker *b = find_opened(address);
    int r;

    if (b == NULL)
        return attach_new(address, false, out_broker);
    if (address->wait_ns != 0)
        atomic_store(&b->wait_ns, address->wait_ns);
    r = bri_enter_broker(b);
    if (r < 0) {
        unref(b);
        return r;
    }
    *out_broker = b;
    return 0;
}

int bri_open_within(const char *address, int64_t wait_ns, broker **out_broker)
{
    struct bri_address parsed;
    int r;

    if (out_broker == NULL)
        return bri_fail_text(BROKER_INVALID, "broker_open() needs a place for its result");
    (void)pthread_once(&once, watch_forks);
    r = bri_address_parse(address, &parsed);
    if (r < 0)
        return r;
    if (parsed.wait_ns == 0)
        parsed.wait_ns = wait_ns;
    return parsed.road == BRI_ROAD_PRIVATE ? open_private(&parsed, out_broker)
                                           : open_shared(&parsed, out_broker);
}

int broker_open(const char *address, broker **out_broker)
{
    return bri_open_within(address, 0, out_broker);
}

void broker_close(broker *b)
{
    if (b != NULL && b->magic == BRI_BROKER_MAGIC)
        unref(b);
}

const char *broker_address(const broker *b)
{
    return b != NULL && b->magic == BRI_BROKER_MAGIC ? b->address : NULL;
}

const char *broker_version(void)
{
    return BRI_VERSION;
}

/* ---- after fork ---- */

int bri_reattach(broker *b)
{
    int r = 0;

    (void)pthread_mutex_lock(&b->mutex);
    if (atomic_load(&b->process) != bri_process()) {
        r = b->engine->reattach(b);
        if (r == 0)
            atomic_store_explicit(&b->process, bri_process(), memory_order_release);
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return r;
}

int bri_reattach_handle(struct bri_handle *h)
{
    int r = bri_enter_broker(h->broker);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&h->broker->mutex);
    if (atomic_load(&h->process) != bri_process()) {
        r = h->engine->reattach_handle(h);
        if (r == 0)
            atomic_store_explicit(&h->process, bri_process(), memory_order_release);
    }
    (void)pthread_mutex_unlock(&h->broker->mutex);
    return r;
}

/* ---- handles ---- */

/* As many objects are open as may be: none is made that could not be opened then, but what is open
 * already can be opened again. */
static int open_one_more(broker *b, const struct bri_open *open, struct bri_object *out)
{
    struct bri_open existing = *open;
    int full = bri_session_check_objects(&b->session), r;

    if (full == 0)
        return bri_registry_open(b->arena, open, out);
    existing.mode = BRI_OPEN_EXISTING;
    r = bri_registry_open(b->arena, &existing, out);
    if (open->mode == BRI_OPEN_CREATE && (r == 0 || r == BROKER_WRONGTYPE || r == BROKER_MISMATCH))
        return BROKER_EXISTS;
    return r == BROKER_NOTFOUND && open->mode != BRI_OPEN_EXISTING ? full : r;
}

/* A reader cannot take the registry's guard: if its owner died, the daemon frees it. */
static int open_in_registry(broker *b, const struct bri_open *open, struct bri_object *out)
{
    int r = b->read_only ? bri_registry_open(b->arena, open, out) : open_one_more(b, open, out);

    if (r != BROKER_TIMEDOUT || !b->read_only)
        return r;
    r = bri_unstick(b, b->arena->first_slot);
    return r < 0 ? r : bri_registry_open(b->arena, open, out);
}

static struct bri_handle *find_handle(broker *b, const struct bri_object *o)
{
    struct bri_handle *h = b->handles;

    while (h != NULL && (h->object.id != o->id || h->object.generation != o->generation))
        h = h->next;
    return h;
}

/* Under the broker's mutex, so that no two threads attach the same object. */
static int make_handle(broker *b, const char *name, struct bri_object *o, struct bri_handle **out)
{
    struct bri_handle *h = calloc(1, sizeof(*h));
    int r = h != NULL ? 0 : BROKER_NOMEM;

    if (r == 0 && !b->read_only)
        r = bri_attach(&b->session, o, &o->att);
    if (r < 0) {
        free(h);
        return r;
    }
    h->magic = BRI_HANDLE_MAGIC;
    h->type = o->type;
    h->engine = b->engine;
    h->broker = b;
    h->monitored = b->monitored;
    h->refs = 1;
    atomic_store(&h->process, bri_process());
    h->object = *o;
    memcpy(h->name, name, strlen(name) + 1);
    h->next = b->handles;
    b->handles = h;
    *out = h;
    return 0;
}

static int find_or_make_handle(
    broker *b, const char *name, struct bri_object *o, struct bri_handle **out_handle)
{
    struct bri_stand_in *stand_in = bri_stand_in_suspend();
    struct bri_handle *h;
    int r = 0;

    (void)pthread_mutex_lock(&b->mutex);
    h = find_handle(b, o);
    if (h != NULL)
        h->refs++;
    else
        r = make_handle(b, name, o, &h);
    (void)pthread_mutex_unlock(&b->mutex);
    bri_stand_in_resume(stand_in);
    if (r == 0)
        *out_handle = h;
    return r;
}

int bri_shm_open_handle(broker *b, const struct bri_open *open, struct bri_handle **out_handle)
{
    struct bri_object o = {0};
    uint64_t before;
    int r = bri_enter_broker(b);

    if (r < 0)
        return r;
    do { /* it may be destroyed before it is attached: then its name is free, or another's */
        before = o.generation;
        r = open_in_registry(b, open, &o);
        if (r == 0)
            r = find_or_make_handle(b, open->name, &o, out_handle);
    } while (r == BROKER_GONE && o.generation != before);
    return r == BROKER_GONE ? BROKER_CORRUPT : r;
}

int bri_shm_open_anonymous(broker *b, const struct bri_open *open, struct bri_handle **out_handle)
{
    struct bri_object o;
    int r = bri_enter_broker(b);

    if (r < 0)
        return r;
    bri_collect_assist(b->arena);
    do { /* it may be taken for garbage before it is attached: then there is another */
        r = bri_registry_open(b->arena, open, &o);
        if (r == 0)
            r = find_or_make_handle(b, "", &o, out_handle);
    } while (r == BROKER_GONE);
    return r;
}

int bri_shm_open_ref(
    broker *b, struct bri_ref ref, const struct bri_type_ops *type, struct bri_handle **out_handle)
{
    char name[BRI_NAME_MAX + 1] = "";
    struct bri_object o;
    int r = bri_enter_broker(b);

    if (r == 0)
        r = bri_registry_open_ref(b->arena, ref, type, &o);
    if (r < 0)
        return r;
    if (atomic_load(&o.slot->anonymous) == 0)
        bri_registry_name(&o, name);
    return find_or_make_handle(b, name, &o, out_handle);
}

broker_value bri_shm_ref(const struct bri_handle *h)
{
    return bri_ref_value(bri_ref_of(&h->object));
}

broker_value broker_ref(const void *object)
{
    const struct bri_handle *h = object;

    if (h == NULL || h->magic != BRI_HANDLE_MAGIC)
        return bri_ref_value((struct bri_ref){0});
    return h->engine->ref(h);
}

bool bri_handle_unref(struct bri_handle *h)
{
    broker *b;
    bool last;

    if (h == NULL || h->magic != BRI_HANDLE_MAGIC)
        return false;
    b = h->broker;
    (void)pthread_mutex_lock(&b->mutex);
    last = --h->refs == 0;
    for (struct bri_handle **link = &b->handles; last && *link != NULL; link = &(*link)->next)
        if (*link == h) {
            *link = h->next;
            break;
        }
    (void)pthread_mutex_unlock(&b->mutex);
    return last;
}

void bri_shm_close_handle(struct bri_handle *h)
{
    struct bri_handle *lock;

    if (!bri_handle_unref(h))
        return;
    lock = h->lock;
    bri_watch_end(h);
    /* In a child that never used it, the attachment is the parent's. What is stuck goes with the
     * session. */
    if (h->object.att != NULL && atomic_load(&h->process) == bri_process())
        (void)bri_detach(&h->broker->session, &h->object);
    bri_observe_forget();
    h->magic = 0;
    free(h);
    bri_shm_close_handle(lock);
}
