/*
 * worker.c - see worker.h
 */
#include "worker.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "fiber.h"
#include "log.h"
#include "objects/owner.h"
#include "request.h"

#define KEEP_IDLE 64 /* stacks, after many were needed */
#define KEEP_RESULTS (64u * 1024)

struct zmqd_worker {
    struct bri_stand_in stand_in;
    struct zmqd_parked parked;
    struct zmqd *z;
    struct zmqd_fiber *fiber;
    struct zmqd_worker *next_idle;
    broker_buffer results; /* of the operation under way */
    uint32_t owner_thread; /* in the name of which thread; see bri_owner_thread */
};

#define WORKER_OF(p, member)                                                                       \
    ((struct zmqd_worker *)((char *)(p)-offsetof(struct zmqd_worker, member)))

static _Thread_local struct zmqd_worker *running;

/* ---- standing in for the kernel ---- */

static bool sleep_parked(struct bri_stand_in *self, const struct bri_sleep *sleep)
{
    struct zmqd_worker *w = WORKER_OF(self, stand_in);

    zmqd_park_add(w->z->park, &w->parked, sleep);
    bri_stand_in = NULL;
    zmqd_fiber_leave(w->fiber);
    bri_stand_in = self;
    bri_owner_thread = w->owner_thread;
    return w->parked.was_time;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
    struct zmqd_worker *w = arg;

    (void)source;
    (void)fd;
    (void)revents;
    zmqd_park_hurry(w->z->park, &w->parked);
    zmqd_park_run(w->z->park);
    return 0;
}

/* As a sleep that no word ends. */
static bool await_parked(struct bri_stand_in *self, int fd, int64_t until_ns)
{
    const struct bri_sleep sleep = {.until_ns = until_ns};
    struct zmqd_worker *w = WORKER_OF(self, stand_in);
    sd_event_source *source = NULL;
    bool was_time;

    if (fd >= 0 && sd_event_add_io(w->z->event, &source, fd, EPOLLIN, on_readable, w) < 0)
        return false;
    was_time = sleep_parked(self, &sleep);
    (void)sd_event_source_disable_unref(source);
    return !was_time;
}

static int wake_parked(struct bri_stand_in *self, _Atomic uint32_t *word, int n, uint32_t bits)
{
    return zmqd_park_wake(WORKER_OF(self, stand_in)->z->park, word, n, bits);
}

/* ---- working ---- */

void zmqd_job_add(struct zmqd *z, struct zmqd_job *job)
{
    job->next = NULL;
    *z->last_job = job;
    z->last_job = &job->next;
}

static bool do_job(struct zmqd *z)
{
    struct zmqd_job *job = z->first_job;

    if (job == NULL)
        return false;
    z->first_job = job->next;
    if (z->first_job == NULL)
        z->last_job = &z->first_job;
    job->run(z, job);
    return true;
}

static void work(void *arg)
{
    struct zmqd_worker *w = arg;
    struct zmqd *z = w->z;

    for (;;) {
        while (do_job(z) || (z->budget > 0 && zmqd_request_next(z)))
            continue;
        w->next_idle = z->idle;
        z->idle = w;
        z->n_idle++;
        zmqd_fiber_leave(w->fiber);
    }
}

static struct zmqd_worker *new_worker(struct zmqd *z)
{
    struct zmqd_worker *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->z = z;
    w->stand_in =
        (struct bri_stand_in){.sleep = sleep_parked, .await = await_parked, .wake = wake_parked};
    w->fiber = zmqd_fiber_new(work, w);
    if (w->fiber == NULL) {
        free(w);
        return NULL;
    }
    z->n_workers++;
    return w;
}

static void free_worker(struct zmqd *z, struct zmqd_worker *w)
{
    zmqd_fiber_free(w->fiber);
    broker_buffer_free(&w->results);
    free(w);
    z->n_workers--;
}

static void enter(struct zmqd_worker *w)
{
    struct zmqd_worker *before = running;

    running = w;
    zmqd_fiber_enter(w->fiber);
    running = before;
}

static struct zmqd_worker *take_idle(struct zmqd *z)
{
    struct zmqd_worker *w = z->idle;

    if (w == NULL)
        return new_worker(z);
    z->idle = w->next_idle;
    z->n_idle--;
    return w;
}

static void drop_idle(struct zmqd *z)
{
    while (z->n_idle > KEEP_IDLE)
        free_worker(z, take_idle(z));
}

void zmqd_work(struct zmqd *z, uint32_t budget)
{
    static struct brokerd_rate rate;

    z->budget = budget;
    do {
        struct zmqd_worker *w = take_idle(z);

        if (w == NULL) {
            if (brokerd_log_allowed(&rate))
                brokerd_log(LOG_ERR, NULL, "no memory for another stack: requests have to wait");
            break;
        }
        enter(w); /* comes back when there is no more to do, or it is parked */
        if (z->first_job == NULL && z->budget == 0)
            zmqd_park_run(z->park);
    } while (z->first_job != NULL || z->budget > 0);
    z->budget = 0;
    drop_idle(z);
}

void zmqd_worker_resume(struct zmqd_parked *p)
{
    enter(WORKER_OF(p, parked));
}

bool zmqd_is_crowded(const struct zmqd *z)
{
    return z->n_workers - z->n_idle > z->settings.max_waiting;
}

/* ---- operations ---- */

struct zmqd_worker *zmqd_operation_begin(uint32_t thread)
{
    struct zmqd_worker *w = running;

    /* A thread 0 must not look like one that has no number yet. */
    w->owner_thread = thread | (UINT16_MAX + 1u);
    w->stand_in.order = BRI_GO_ON;
    w->stand_in.thread = thread != 0 ? thread : w->owner_thread;
    bri_owner_thread = w->owner_thread;
    bri_stand_in = &w->stand_in;
    return w;
}

broker_buffer *zmqd_operation_results(struct zmqd_worker *w)
{
    return &w->results;
}

void zmqd_operation_end(struct zmqd_worker *w)
{
    bri_stand_in = NULL;
    if (w->results.capacity > KEEP_RESULTS)
        broker_buffer_free(&w->results);
}

void zmqd_order(struct zmqd *z, struct zmqd_worker *w, enum bri_wait_order order)
{
    if (order > w->stand_in.order)
        w->stand_in.order = order;
    zmqd_park_hurry(z->park, &w->parked);
}

void zmqd_workers_free(struct zmqd *z)
{
    while (z->idle != NULL)
        free_worker(z, take_idle(z));
}
