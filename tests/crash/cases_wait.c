/*
 * cases_wait.c - operations that wake others, killed while those sleep
 *
 * A row for each blocking operation and each that wakes it: who wakes is killed, the sleepers go on
 * or sleep as they would if the operation had happened or not, and what a survivor does wakes those
 * who are left. What they got tells whether anything was lost or doubled: each who puts something
 * somewhere puts a number of its own.
 */
#include "cases_wait.h"
#include "core/bury.h"
#include "core/registry.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"

/* ---- changes ---- */

/* Now and then a version is new without a change; the wait then goes on. */
static int await_change(
    struct bri_object *o, bool (*is_there)(const struct bri_handle *h), const struct bri_handle *h)
{
    uint64_t version = bri_version(o);
    int r = 0;

    while (r == 0 && !is_there(h))
        r = bri_wait_change(o, version, BROKER_FOREVER, &version);
    return r;
}

static bool dict_has_it(const struct bri_handle *h)
{
    bool found = false;

    (void)bri_dict_contains((struct bri_handle *)(uintptr_t)h, broker_str("it"), &found);
    return found;
}

static int dict_await(struct actor *who)
{
    return await_change(&who->handles[DICT].object, dict_has_it, &who->handles[DICT]);
}

static int dict_set_it(struct actor *who)
{
    return bri_dict_set(&who->handles[DICT], broker_str("it"), own_number(who));
}

static void dict_open(struct world *w, enum who who)
{
    world_open_dict(w, who, 0);
}

static void dict_without(struct world *w)
{
    for_all(w, dict_open);
}

static bool list_has_it(const struct bri_handle *h)
{
    uint64_t n = 0;

    (void)bri_list_len((struct bri_handle *)(uintptr_t)h, &n);
    return n > 0;
}

static int list_await(struct actor *who)
{
    return await_change(&who->handles[LIST].object, list_has_it, &who->handles[LIST]);
}

static int list_append_it(struct actor *who)
{
    return bri_list_append(&who->handles[LIST], own_number(who));
}

static void list_open(struct world *w, enum who who)
{
    world_open_list(w, who, 0);
}

static void list_without(struct world *w)
{
    for_all(w, list_open);
}

static bool namespace_has_it(const struct bri_handle *h)
{
    bool found = false;

    (void)bri_namespace_contains((struct bri_handle *)(uintptr_t)h, "it", &found);
    return found;
}

static int namespace_await(struct actor *who)
{
    return await_change(
        &who->handles[NAMESPACE].object, namespace_has_it, &who->handles[NAMESPACE]);
}

static int namespace_set_it(struct actor *who)
{
    return bri_namespace_set(&who->handles[NAMESPACE], "it", own_number(who));
}

static void namespace_open(struct world *w, enum who who)
{
    world_open_namespace(w, who, NULL);
}

static void namespace_without(struct world *w)
{
    for_all(w, namespace_open);
}

static bool array_has_it(const struct bri_handle *h)
{
    broker_value v = broker_int(0);

    (void)bri_array_get((struct bri_handle *)(uintptr_t)h, 0, &v);
    return v.u != 0;
}

static int array_await(struct actor *who)
{
    return await_change(&who->handles[ARRAY].object, array_has_it, &who->handles[ARRAY]);
}

static int array_set_it(struct actor *who)
{
    return bri_array_set(&who->handles[ARRAY], 0, own_number(who));
}

static void array_open(struct world *w, enum who who)
{
    world_open_array(w, who, &(broker_array_options){.typecode = "q", .length = 2});
}

static void array_without(struct world *w)
{
    for_all(w, array_open);
}

/* ---- one of several ---- */

static void queue_and_event(struct world *w)
{
    no_item(w);
    event_cleared(w);
}

static int any_await(struct actor *who)
{
    struct bri_object *objects[] = {&who->handles[QUEUE].object, &who->handles[EVENT].object};
    size_t index = 9;
    int r = bri_wait_any(objects, 2, BRI_NEVER, NULL, &index);

    who->answer = (int64_t)index;
    return r;
}

/* ---- destruction ---- */

static int destroy(struct actor *who, const char *name)
{
    int r = bri_bury(who->broker->arena);

    if (r >= 0)
        r = bri_registry_destroy(who->broker->arena, name);
    return r == BROKER_NOTFOUND ? 0 : r;
}

static int bury(struct actor *who)
{
    return bri_bury(who->broker->arena);
}

#define DESTROYS(what)                                                                             \
    static int destroy_##what(struct actor *who)                                                   \
    {                                                                                              \
        return destroy(who, #what);                                                                \
    }
DESTROYS(lock)
DESTROYS(rlock)
DESTROYS(semaphore)
DESTROYS(event)
DESTROYS(condition)
DESTROYS(barrier)
DESTROYS(queue)
DESTROYS(pipe)
DESTROYS(dict)
DESTROYS(list)
DESTROYS(array)
DESTROYS(namespace)

/* ---- the table ---- */

#define ROW(name_, prepare_, run_, n_, sleeper_, n_woken_, next_, ...)                             \
    {                                                                                              \
        .name = "wake: " name_, .states = &(const struct crash_state){"asleep", prepare_},         \
        .n_states = 1, .run = (run_), .n_sleepers = (n_), .sleeper = (sleeper_),                   \
        .n_woken = (n_woken_), .next = (next_), ##__VA_ARGS__                                      \
    }

/* clang-format off */
const struct crash_operation crash_wakes[] = {
    /*  what wakes whom                        start            the waker             sleepers            woken  survivors */
    ROW("lock.release, acquire",               lock_held,       lock_give,            2, lock_pass,           2, lock_pass),
    ROW("rlock.release, acquire",              rlock_held,      rlock_give,           2, rlock_pass,          2, rlock_pass),
    ROW("semaphore.release, acquire",          no_permit,       permit_give,          2, permit_take,         1, permit_give),
    ROW("semaphore.release two, acquire",      no_permit,       permits_give,         2, permit_take,         2, permits_give),
    ROW("semaphore.release, bounded",          permit_held,     permit_give,          2, permit_pass,         2, permit_pass),
    ROW("semaphore.release two, bounded",      permits_held,    permits_give,         2, permit_pass,         2, permit_pass),
    ROW("event.set, wait",                     event_cleared,   event_set,            2, event_await,         2, event_set),
    ROW("condition.notify, wait",              condition_open_all, condition_notify_one, 2, condition_await,  0, notify_holding, .arrange = hold_condition),
    ROW("condition.notify_all, wait",          condition_open_all, condition_notify_every, 2, condition_await, 0, notify_holding, .arrange = hold_condition),
    ROW("condition.release, notified",         condition_open_all, condition_give,    2, condition_await,     2, condition_pass, .arrange = notify_and_hold),
    ROW("condition.release, acquire",          condition_held,  condition_give,       2, condition_pass,      2, condition_pass),
    ROW("barrier.wait, wait",                  three_parties,   barrier_arrive,       2, barrier_arrive,      2, barrier_arrive),
    ROW("barrier.pass, wait",                  three_and_action, barrier_pass,        2, barrier_arrive,      2, barrier_pass, .arrange = victim_acts),
    ROW("barrier.abort, wait",                 many_parties,    barrier_abort,        2, barrier_arrive,      2, barrier_abort),
    ROW("barrier.reset, wait",                 many_parties,    barrier_reset,        2, barrier_arrive,      2, barrier_reset),
    ROW("queue.put, get",                      no_item,         item_put,             2, item_get,            1, item_put),
    ROW("queue.put_many, get",                 no_item,         items_put,            2, item_get,            2, items_put),
    ROW("queue.put, get_many",                 no_item,         item_put,             2, items_get,           1, item_put),
    ROW("queue.put_many, get_many",            no_item,         items_put,            2, items_get,           1, items_put),
    ROW("queue.put, lease",                    no_item,         item_put,             2, item_lease,          1, item_put),
    ROW("queue.get, put",                      no_room,         item_get_now,         2, item_put,            1, item_get_now),
    ROW("queue.get, put_many",                 no_room_for_two, item_get_now,         1, items_put,           0, item_get_now),
    ROW("queue.get_many, put",                 no_room_for_two, items_get,            2, item_put,            2, item_get_now),
    ROW("queue.get_many, put_many",            no_room_for_two, items_get,            2, items_put,           1, items_get),
    ROW("queue.clear, put",                    no_room,         queue_empty_it,       2, item_put,            1, queue_empty_it),
    ROW("queue.return, get",                   item_leased,     item_return,          2, item_get,            1, item_put, .flags = CRASH_INVISIBLE),
    ROW("queue.return, lease",                 item_leased,     item_return,          2, item_lease,          1, item_put, .flags = CRASH_INVISIBLE),
    ROW("queue.task_done, join",               item_taken,      item_finish,          2, all_join,            2, item_use_up),
    ROW("queue.done, join",                    item_leased_joinable, item_done,       2, all_join,            2, item_use_up),
    ROW("queue.commit, get",                   room_reserved,   item_commit,          2, item_get,            1, item_put),
    ROW("queue.revive, get",                   item_dead,       item_revive,          2, item_get,            1, item_put),
    ROW("queue.shutdown, get",                 no_item,         queue_shut,           2, item_get,            2, queue_shut),
    ROW("queue.shutdown, put",                 no_room,         queue_shut,           2, item_put,            2, queue_shut),
    ROW("pipe.send, recv",                     pipe_shared,     message_send,         2, message_receive,     1, message_send),
    ROW("pipe.send, poll",                     pipe_shared,     message_send,         2, message_await,       2, message_send),
    ROW("pipe.recv, send",                     pipe_without_room, message_take,       2, room_await,          1, message_take),
    ROW("pipe.release, recv",                  pipe_alone,      end_leave,            2, message_receive,     2, end_leave, .flags = CRASH_INVISIBLE),
    ROW("pipe.release, poll",                  pipe_alone,      end_leave,            2, message_await,       2, end_leave, .flags = CRASH_INVISIBLE),
    ROW("dict.set, wait_change",               dict_without,    dict_set_it,          2, dict_await,          2, dict_set_it),
    ROW("list.append, wait_change",            list_without,    list_append_it,       2, list_await,          2, list_append_it),
    ROW("namespace.set, wait_change",          namespace_without, namespace_set_it,   2, namespace_await,     2, namespace_set_it),
    ROW("array.set, wait_change",              array_without,   array_set_it,         2, array_await,         2, array_set_it),
    ROW("queue.put, wait_any",                 queue_and_event, item_put,             2, any_await,           2, item_put),
    ROW("event.set, wait_any",                 queue_and_event, event_set,            2, any_await,           2, event_set),
    ROW("destroy, lock",                       lock_held,       destroy_lock,         2, lock_pass,           2, destroy_lock, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, rlock",                      rlock_held,      destroy_rlock,        2, rlock_pass,          2, destroy_rlock, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, semaphore",                  no_permit,       destroy_semaphore,    2, permit_take,         2, destroy_semaphore, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, event",                      event_cleared,   destroy_event,        2, event_await,         2, destroy_event, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, condition",                  condition_open_all, destroy_condition, 2, condition_await,     2, destroy_condition, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, barrier",                    many_parties,    destroy_barrier,      2, barrier_arrive,      2, destroy_barrier, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, queue",                      no_item,         destroy_queue,        2, item_get,            2, destroy_queue, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, pipe",                       pipe_shared,     destroy_pipe,         2, message_receive,     2, destroy_pipe, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, dict",                       dict_without,    destroy_dict,         2, dict_await,          2, destroy_dict, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, list",                       list_without,    destroy_list,         2, list_await,          2, destroy_list, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, array",                      array_without,   destroy_array,        2, array_await,         2, destroy_array, .flags = CRASH_STEPS, .finish = bury),
    ROW("destroy, namespace",                  namespace_without, destroy_namespace,  2, namespace_await,     2, destroy_namespace, .flags = CRASH_STEPS, .finish = bury),
};
/* clang-format on */
const unsigned n_crash_wakes = sizeof(crash_wakes) / sizeof(crash_wakes[0]);
