/*
 * A sealed arena is nobody's: every operation on every type says LOST, who waits hears it, and what
 * is saved then is what there was at that moment. Unsealed, all goes on.
 */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>

#include "core/seal.h"
#include "support/gives.h"
#include "world.h"

static broker *b, *again;
static broker_buffer buffer;
static broker_value v;

static broker_dict *dict;
static broker_list *list;
static broker_queue *queue;
static broker_lock *lock;
static broker_rlock *rlock;
static broker_semaphore *semaphore;
static broker_condition *condition, *shared;
static broker_event *event;
static broker_barrier *barrier;
static broker_number *number;
static broker_array *array;
static broker_namespace *space;
static broker_pipe *ends;

static void fill(void)
{
    OK(broker_dict_set(dict, broker_str("k"), broker_int(1)));
    OK(broker_list_append(list, broker_int(2)));
    OK(broker_queue_put(queue, broker_int(3), 0));
    OK(broker_number_set(number, broker_int(4)));
    OK(broker_namespace_set(space, "a", broker_int(5)));
    OK(broker_event_set(event));
    OK(broker_pipe_send(ends, 0, broker_int(6), 0));
    OK(broker_array_set(array, 0, broker_int(7)));
}

static void open_all(void)
{
    b = world_open();
    OK(broker_dict_open(b, "dict", NULL, &dict));
    OK(broker_list_open(b, "list", NULL, &list));
    OK(broker_queue_open(b, "queue", NULL, &queue));
    OK(broker_lock_open(b, "lock", NULL, &lock));
    OK(broker_rlock_open(b, "rlock", NULL, &rlock));
    OK(broker_semaphore_open(b, "semaphore", &(broker_semaphore_options){.value = 1}, &semaphore));
    OK(broker_condition_open(b, "condition", NULL, &condition));
    OK(broker_condition_open(b, "shared", &(broker_condition_options){.lock = "lock"}, &shared));
    OK(broker_event_open(b, "event", NULL, &event));
    OK(broker_barrier_open(b, "barrier", &(broker_barrier_options){.parties = 2}, &barrier));
    OK(broker_number_open(b, "number", NULL, &number));
    OK(broker_array_open(b, "array", &(broker_array_options){.length = 2}, &array));
    OK(broker_namespace_open(b, "space", NULL, &space));
    OK(broker_pipe_open(b, "pipe", NULL, &ends));
    fill();
}

static void close_all(void)
{
    broker_buffer_free(&buffer);
    broker_close(again);
    broker_close(b);
}

TestSuite(seal, .init = open_all, .fini = close_all, .timeout = 60);

/* By a mapping of its own, as the daemon. */
static int do_seal(int (*how)(struct bri_arena *))
{
    int fd = fcntl(b->arena->fd, F_DUPFD_CLOEXEC, 0), r;
    struct bri_arena *own;

    OK(bri_arena_map(fd, false, &own, NULL));
    r = how(own);
    bri_arena_unmap(own);
    return r;
}

static void seal(void)
{
    OK(do_seal(bri_seal));
}

static void dump_sealed(struct dump *out)
{
    b->arena->passes_seal = true;
    world_dump(b, NULL, out);
    b->arena->passes_seal = false;
}

static void everything_gives(int code)
{
    uint64_t n;
    bool yes;

    GIVES(broker_dict_get(dict, broker_str("k"), &buffer, &v), code);
    GIVES(broker_dict_set(dict, broker_str("k"), broker_int(1)), code);
    GIVES(broker_list_get(list, 0, &buffer, &v), code);
    GIVES(broker_list_set(list, 0, broker_int(2)), code);
    GIVES(broker_queue_qsize(queue, &n), code);
    GIVES(broker_queue_put(queue, broker_int(3), 0), code);
    GIVES(broker_queue_get(queue, 0, &buffer, &v), code);
    GIVES(broker_lock_acquire(lock, 0, NULL), code);
    GIVES(broker_lock_release(lock), code);
    GIVES(broker_lock_locked(lock, &yes), code);
    GIVES(broker_rlock_acquire(rlock, 0, NULL), code);
    GIVES(broker_rlock_release(rlock), code);
    GIVES(broker_semaphore_acquire(semaphore, 0), code);
    GIVES(broker_semaphore_release(semaphore, 1), code);
    GIVES(broker_condition_acquire(condition, 0, NULL), code);
    GIVES(broker_condition_release(condition), code);
    GIVES(broker_condition_acquire(shared, 0, NULL), code);
    GIVES(broker_condition_release(shared), code);
    GIVES(broker_event_is_set(event, &yes), code);
    GIVES(broker_event_wait(event, 0), code);
    GIVES(broker_event_set(event), code);
    GIVES(broker_barrier_parties(barrier, &n), code);
    GIVES(broker_barrier_reset(barrier), code);
    GIVES(broker_number_get(number, &v), code);
    GIVES(broker_number_set(number, broker_int(4)), code);
    GIVES(broker_number_add(number, broker_int(0), &v), code);
    GIVES(broker_array_get(array, 0, &v), code);
    GIVES(broker_array_set(array, 0, broker_int(7)), code);
    GIVES(broker_namespace_get(space, "a", &buffer, &v), code);
    GIVES(broker_namespace_set(space, "a", broker_int(5)), code);
    GIVES(broker_pipe_len(ends, 1, &n), code);
    GIVES(broker_pipe_poll(ends, 1, 0), code);
}

Test(seal, every_operation_says_lost_and_changes_nothing)
{
    struct dump before, after;
    broker_dict *other;

    world_dump(b, NULL, &before);
    seal();
    cr_assert(bri_is_sealed(b->arena));
    everything_gives(BROKER_LOST);
    GIVES(broker_dict_open(b, "new", NULL, &other), BROKER_LOST);
    GIVES(broker_dict_open(b, NULL, NULL, &other), BROKER_LOST);
    GIVES(broker_list_open(b, "other list", NULL, &list), BROKER_LOST);
    GIVES(broker_destroy(b, "dict"), BROKER_LOST);
    GIVES(broker_rename(b, "dict", "tcid"), BROKER_LOST);
    dump_sealed(&after);
    cr_assert(dump_same(&before, &after));
    dump_free(&before);
    dump_free(&after);
}

Test(seal, unsealed_everything_is_as_before)
{
    struct dump before, after;

    world_dump(b, NULL, &before);
    seal();
    seal();
    OK(do_seal(bri_unseal));
    cr_assert_not(bri_is_sealed(b->arena));
    world_dump(b, NULL, &after);
    cr_assert(dump_same(&before, &after));
    everything_gives(0);
    world_audit(b);
    dump_free(&before);
    dump_free(&after);
}

/* ---- who waits ---- */

static void *wait_for_item(void *arg)
{
    broker_buffer own = BROKER_BUFFER_INIT;
    broker_value item;

    OK(broker_queue_clear(queue, &(uint64_t){0}));
    *(int *)arg = broker_queue_get(queue, BROKER_FOREVER, &own, &item);
    broker_buffer_free(&own);
    return NULL;
}

static void *wait_for_lock(void *arg)
{
    *(int *)arg = broker_lock_acquire(lock, BROKER_FOREVER, NULL);
    return NULL;
}

static void *wait_for_notice(void *arg)
{
    OK(broker_condition_acquire(condition, 0, NULL));
    *(int *)arg = broker_condition_wait(condition, BROKER_FOREVER);
    return NULL;
}

static void *wait_for_party(void *arg)
{
    *(int *)arg = broker_barrier_wait(barrier, BROKER_FOREVER, NULL);
    return NULL;
}

/* Until so many sleep for the object called @name. */
static void await_sleepers(const char *name, unsigned n)
{
    broker_value found;

    do
        OK(broker_stat(b, name, &buffer, &found));
    while (broker_unpack_find(found, broker_str("waiters"), &found) < 0 || found.u < n);
}

Test(seal, who_waits_hears_it)
{
    static void *(*const waits[])(void *) = {
        wait_for_item, wait_for_lock, wait_for_notice, wait_for_party};
    static const char *const names[] = {"queue", "lock", "condition", "barrier"};
    pthread_t threads[4];
    int gave[4];

    OK(broker_lock_acquire(lock, 0, NULL));
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, waits[i], &gave[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        await_sleepers(names[i], 1);
    seal();
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(gave[i], BROKER_LOST, "%s: %s", names[i], broker_error_name(gave[i]));
    }
}

/* ---- what was held ---- */

/* The next owner's token is greater than any that was given out, and he hears of the last one. */
Test(seal, tokens_of_locks_go_on)
{
    struct bri_loading loading = {0};
    uint64_t first, next;
    struct dump dump;

    OK(broker_lock_acquire(lock, 0, &first));
    seal();
    dump_sealed(&dump);
    again = world_open();
    OK(world_load(again, &dump, &loading));
    OK(broker_lock_open(again, "lock", NULL, &lock));
    GIVES(broker_lock_acquire(lock, 0, &next), BROKER_OWNER_DIED);
    cr_assert_gt(next, first + 1, "who took it just before the seal may have that one");
    dump_free(&dump);
}
