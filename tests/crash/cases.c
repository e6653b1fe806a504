/*
 * cases.c - the table of the operations that are killed; see cases.h
 */
#include "cases.h"

#include <broker/errors.h>

#include "engine_ops.h"
#include "picture.h"
#include "value/value.h"
#include "walker.h"

/* A name, the list of start states, the function, and what is special. */
#define ROW(name_, list, run_, ...)                                                                \
    {                                                                                              \
        .name = (name_), .states = (list), .n_states = sizeof(list) / sizeof((list)[0]),           \
        .run = (run_), ##__VA_ARGS__                                                               \
    }

/* clang-format off */
const struct crash_operation crash_operations[] = {
    ROW("dict.set, new",             dict_any,    dict_set_new),
    ROW("dict.set, new, by size",    dict_sized,  dict_set_new),
    ROW("dict.set, in place",        dict_filled, dict_set_same),
    ROW("dict.set, longer",          dict_filled, dict_set_longer),
    ROW("dict.set, large",           dict_any,    dict_set_large),
    ROW("dict.set, large over small",dict_filled, dict_set_large_over),
    ROW("dict.set, small over large",dict_filled, dict_set_small_over),
    ROW("dict.set_if",               dict_filled, dict_set_if),
    ROW("dict.delete, first",        dict_filled, dict_delete_first),
    ROW("dict.delete, middle",       dict_filled, dict_delete_middle),
    ROW("dict.delete, last",         dict_filled, dict_delete_last),
    ROW("dict.delete, by size",      dict_sized,  dict_delete_middle),
    ROW("dict.delete, large",        dict_filled, dict_delete_large),
    ROW("dict.pop",                  dict_filled, dict_pop),
    ROW("dict.popitem",              dict_filled, dict_popitem),
    ROW("dict.setdefault",           dict_any,    dict_setdefault),
    ROW("dict.get_and_set",          dict_filled, dict_get_and_set),
    ROW("dict.compare_and_set",      dict_filled, dict_compare_and_set),
    ROW("dict.add, new",             dict_any,    dict_add_new),
    ROW("dict.add, old",             dict_filled, dict_add_old),
    ROW("dict.add_many",             dict_bulk,   dict_add_many),
    ROW("dict.update",               dict_bulk,   dict_update),
    ROW("dict.update, long journal", dict_bulk,   dict_update_note),
    ROW("dict.update, 16 pairs",     dict_any,    dict_update_16, .flags = CRASH_LONG),
    ROW("dict.update, 600 pairs",    dict_bulk,   dict_update_600, .flags = CRASH_LONG),
    ROW("dict.update, by size",      dict_sized,  dict_update),
    ROW("dict.update, over quota",   dict_tight,  dict_update, .flags = CRASH_INVISIBLE, .result = BROKER_QUOTA),
    ROW("dict.set, over quota",      dict_tight,  dict_set_large, .flags = CRASH_INVISIBLE, .result = BROKER_QUOTA),
    ROW("dict.clear",                dict_filled, dict_clear),
    ROW("dict.clear, by size",       dict_sized,  dict_clear),

    ROW("queue.put",                 queue_any,      queue_put),
    ROW("queue.put, 2000 bytes",     queue_any,      queue_put_2k),
    ROW("queue.put, 5000 bytes",     queue_any,      queue_put_large),
    ROW("queue.put, full",           queue_full,     queue_put, .flags = CRASH_INVISIBLE, .result = BROKER_FULL),
    ROW("queue.put, large, full",    queue_full,     queue_put_large, .flags = CRASH_INVISIBLE, .result = BROKER_FULL),
    ROW("queue.put, timed out",      queue_full,     queue_put_timeout, .flags = CRASH_INVISIBLE | CRASH_TIMED,
        .result = BROKER_TIMEDOUT),
    ROW("queue.put_many",            queue_any,      queue_put_many),
    ROW("queue.get",                 queue_plain,    queue_get),
    ROW("queue.get, 5000 bytes",     queue_large,    queue_get, .middle = queue_deliver),
    ROW("queue.get, joinable",       queue_joinable, queue_get),
    ROW("queue.get, timed out",      queue_empty,    queue_get_timeout, .flags = CRASH_INVISIBLE | CRASH_TIMED,
        .result = BROKER_TIMEDOUT),
    ROW("queue.get_many",            queue_plain,    queue_get_many),
    ROW("queue.get_many, 5000 bytes",queue_large,    queue_get_many, .middle = queue_deliver),
    ROW("queue.get_many, joinable",  queue_joinable, queue_get_many),
    ROW("queue.task_done",           queue_mine,     queue_task_done),
    ROW("queue.task_done, no lease", queue_others,   queue_task_done),
    ROW("queue.shutdown",            queue_any,      queue_shutdown),
    ROW("queue.put, by order",       queue_ordered,  queue_put),
    ROW("queue.put, 2000, by order", queue_ordered_large, queue_put_2k),
    ROW("queue.put, 5000, by order", queue_ordered_large, queue_put_large),
    ROW("queue.get, by order",       queue_ordered,  queue_get),
    ROW("queue.lease",               queue_leasable, queue_lease),
    ROW("queue.lease, limited",      queue_leasable, queue_lease_limited, .flags = CRASH_TIMED),
    ROW("queue.lease, 5000 bytes",   queue_lendable, queue_lease_limited, .flags = CRASH_TIMED,
        .middle = queue_deliver_by_token),
    ROW("queue.lease, in place",     queue_lendable, queue_lease_in_place),
    ROW("queue.done",                queue_by_token, queue_done),
    ROW("queue.return",              queue_by_token, queue_return),
    ROW("queue.return, later",       queue_by_token, queue_return_later, .flags = CRASH_TIMED),
    ROW("queue.return, to the dead", queue_dying,    queue_return),
    ROW("queue.extend",              queue_by_token, queue_extend, .flags = CRASH_INVISIBLE | CRASH_TIMED),
    ROW("queue.extend, for ever",    queue_by_token, queue_extend_for_ever, .flags = CRASH_INVISIBLE),
    ROW("queue.take_dead",           queue_dead,     queue_take_dead),
    ROW("queue.take_dead, large",    queue_dead_large, queue_take_dead, .middle = queue_deliver_dead),
    ROW("queue.revive",              queue_dead,     queue_revive),
    ROW("queue.clear",               queue_leasable, queue_clear, .middle = queue_clear_most),
    ROW("queue.clear, large",        queue_lendable, queue_clear, .middle = queue_clear_most),
    ROW("queue.reserve",             queue_fresh_or_not, queue_reserve, .flags = CRASH_INVISIBLE),
    ROW("queue.commit",              queue_reserved, queue_commit),
    ROW("queue.cancel",              queue_reserved, queue_cancel, .flags = CRASH_INVISIBLE),
    ROW("close a queue with leases", queue_held,     core_close, .flags = CRASH_STEPS | CRASH_INVISIBLE),

    ROW("lock.acquire",              lock_free,      lock_acquire),
    ROW("lock.acquire, held",        lock_others,    lock_acquire, .flags = CRASH_INVISIBLE, .result = BROKER_TIMEDOUT),
    ROW("lock.acquire, timed out",   lock_others,    lock_acquire_timeout, .flags = CRASH_INVISIBLE | CRASH_TIMED,
        .result = BROKER_TIMEDOUT),
    ROW("lock.release",              lock_mine,      lock_release),

    ROW("list.append",               list_any,     list_append),
    ROW("list.append, a block",      list_any,     list_append_block),
    ROW("list.append, large",        list_any,     list_append_large),
    ROW("list.append, higher",       list_high,    list_append),
    ROW("list.append, over quota",   list_tight,   list_append_large, .flags = CRASH_INVISIBLE, .result = BROKER_QUOTA),
    ROW("list.insert, first",        list_any,     list_insert_first),
    ROW("list.insert",               list_any,     list_insert),
    ROW("list.set",                  list_filled,  list_set),
    ROW("list.set, longer",          list_filled,  list_set_longer),
    ROW("list.set, large",           list_filled,  list_set_large),
    ROW("list.set, small over large",list_filled,  list_set_small_over),
    ROW("list.delete, first",        list_filled,  list_delete_first),
    ROW("list.delete, last",         list_filled,  list_delete_last),
    ROW("list.delete, lower",        list_high,    list_delete_last),
    ROW("list.delete, large",        list_filled,  list_delete_large),
    ROW("list.pop",                  list_filled,  list_pop),
    ROW("list.remove",               list_filled,  list_remove),
    ROW("list.add",                  list_filled,  list_add),
    ROW("list.compare_and_set",      list_filled,  list_compare_and_set),
    ROW("list.extend",               list_any,     list_extend),
    ROW("list.extend, bulk",         list_any,     list_extend_bulk),
    ROW("list.extend, over quota",   list_tight,   list_extend, .flags = CRASH_INVISIBLE, .result = BROKER_QUOTA),
    ROW("list.set_slice",            list_filled,  list_set_slice),
    ROW("list.set_slice, bulk",      list_filled,  list_set_slice_bulk),
    ROW("list.set_slice, step -2",   list_filled,  list_set_slice_step),
    ROW("list.delete_slice",         list_filled,  list_delete_slice),
    ROW("list.delete_slice, step 3", list_filled,  list_delete_slice_step),
    ROW("list.reverse",              list_filled,  list_reverse),
    ROW("list.sort",                 list_turned,  list_sort),
    ROW("list.repeat",               list_filled,  list_repeat),
    ROW("list.clear",                list_filled,  list_clear),

    ROW("value.set",                 value_any,      value_set),
    ROW("value.add",                 value_any,      value_add),
    ROW("value.add, overflow",       value_edge,     value_add_over, .flags = CRASH_INVISIBLE, .result = BROKER_OVERFLOW),
    ROW("value.exchange",            value_any,      value_exchange),
    ROW("value.compare_and_set",     value_any,      value_compare_and_set),
    ROW("value.compare_and_set, other", value_any,   value_compare_other, .flags = CRASH_INVISIBLE,
        .result = BROKER_MISMATCH),

    ROW("array.set",                 array_any,      array_set),
    ROW("array.set, no number",      array_any,      array_set_bad, .flags = CRASH_INVISIBLE, .result = BROKER_WRONGVALUE),
    ROW("array.add",                 array_any,      array_add),
    ROW("array.exchange",            array_any,      array_exchange),
    ROW("array.compare_and_set",     array_any,      array_compare_and_set),
    ROW("array.set_slice",           array_any,      array_set_slice),
    ROW("array.set_slice, all",      array_any,      array_write),
    ROW("array.data",                array_any,      array_data, .flags = CRASH_INVISIBLE),
    ROW("close an array",            array_pinned,   array_close, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("destroy an array",          array_living,   array_destroy, .flags = CRASH_STEPS),

    ROW("pipe.hold",                 pipe_any,       pipe_hold, .flags = CRASH_INVISIBLE),
    ROW("pipe.release",              pipe_held,      pipe_release, .flags = CRASH_INVISIBLE),
    ROW("pipe.send",                 pipe_any,       pipe_send),
    ROW("pipe.send, 5000 bytes",     pipe_any,       pipe_send_large),
    ROW("pipe.send, full",           pipe_full,      pipe_send, .flags = CRASH_INVISIBLE, .result = BROKER_FULL),
    ROW("pipe.send, timed out",      pipe_full,      pipe_send_timeout, .flags = CRASH_TIMED | CRASH_INVISIBLE,
        .result = BROKER_TIMEDOUT),
    ROW("pipe.recv",                 pipe_filled,    pipe_recv),
    ROW("pipe.recv, 5000 bytes",     pipe_large,     pipe_recv, .middle = pipe_recv_half),
    ROW("pipe.recv, timed out",      pipe_empty,     pipe_recv_timeout, .flags = CRASH_TIMED | CRASH_INVISIBLE,
        .result = BROKER_TIMEDOUT),
    ROW("pipe.poll",                 pipe_filled,    pipe_poll, .flags = CRASH_INVISIBLE),
    ROW("close a pipe",              pipe_held,      pipe_close, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("destroy a pipe",            pipe_filled,    pipe_destroy, .flags = CRASH_STEPS),

    ROW("namespace.set, new",        namespace_any,    namespace_set_new),
    ROW("namespace.set, old",        namespace_filled, namespace_set_old),
    ROW("namespace.set, no name",    namespace_filled, namespace_set_bad, .flags = CRASH_INVISIBLE,
        .result = BROKER_BADNAME),
    ROW("namespace.delete",          namespace_filled, namespace_delete),
    ROW("namespace.update",          namespace_any,    namespace_update),
    ROW("namespace.add",             namespace_any,    namespace_add),
    ROW("namespace.compare_and_set", namespace_filled, namespace_compare_and_set),

    ROW("semaphore.acquire",         semaphore_free,  semaphore_acquire),
    ROW("semaphore.acquire, none",   semaphore_empty, semaphore_acquire, .flags = CRASH_INVISIBLE,
        .result = BROKER_TIMEDOUT),
    ROW("semaphore.acquire, timed out", semaphore_empty, semaphore_acquire_timeout, .flags = CRASH_TIMED | CRASH_INVISIBLE,
        .result = BROKER_TIMEDOUT),
    ROW("semaphore.release",         semaphore_taken, semaphore_release),
    ROW("semaphore.release, two",    semaphore_several, semaphore_release_two),
    ROW("semaphore.release, full",   semaphore_full,  semaphore_release, .flags = CRASH_INVISIBLE,
        .result = BROKER_OVERDONE),

    ROW("event.set",                 event_clear_now, event_set),
    ROW("event.set, set",            event_set_now,   event_set, .flags = CRASH_INVISIBLE),
    ROW("event.clear",               event_set_now,   event_clear),
    ROW("event.clear, clear",        event_clear_now, event_clear, .flags = CRASH_INVISIBLE),
    ROW("event.wait, timed out",     event_clear_now, event_wait_timeout, .flags = CRASH_TIMED | CRASH_INVISIBLE,
        .result = BROKER_TIMEDOUT),

    ROW("barrier.wait, last",        barrier_last,    barrier_wait),
    ROW("barrier.wait, acts",        barrier_last_acts, barrier_wait),
    ROW("barrier.wait, timed out",   barrier_not_last, barrier_wait_timeout, .flags = CRASH_TIMED | CRASH_STEPS,
        .result = BROKER_BROKEN, .middle = barrier_die_waiting),
    ROW("barrier.wait, outside",     barrier_closed,  barrier_wait_timeout, .flags = CRASH_INVISIBLE | CRASH_TIMED,
        .result = BROKER_TIMEDOUT),
    ROW("barrier.pass",              barrier_acting,  barrier_pass),
    ROW("barrier.pass, in vain",     barrier_acts_in_vain, barrier_pass, .result = BROKER_BROKEN),
    ROW("barrier.abort",             barrier_whole,   barrier_abort),
    ROW("barrier.reset",             barrier_resettable, barrier_reset),

    ROW("rlock.acquire",             rlock_free,      rlock_acquire),
    ROW("rlock.acquire, again",      rlock_mine,      rlock_acquire, .flags = CRASH_INVISIBLE),
    ROW("rlock.acquire, held",       rlock_others,    rlock_acquire, .flags = CRASH_INVISIBLE, .result = BROKER_TIMEDOUT),
    ROW("rlock.acquire, timed out",  rlock_others,    rlock_acquire_timeout, .flags = CRASH_TIMED | CRASH_INVISIBLE,
        .result = BROKER_TIMEDOUT),
    ROW("rlock.release",             rlock_mine,      rlock_release),
    ROW("rlock.release, once",       rlock_deep,      rlock_release, .flags = CRASH_INVISIBLE),

    ROW("condition.acquire",         condition_free,  condition_acquire),
    ROW("condition.release",         condition_mine,  condition_release),
    ROW("condition.wait, 0",         condition_waitable, condition_wait, .flags = CRASH_STEPS,
        .result = BROKER_TIMEDOUT, .middle = condition_die_waiting),
    ROW("condition.wait, timed out", condition_waitable, condition_wait_timeout, .flags = CRASH_TIMED | CRASH_STEPS,
        .result = BROKER_TIMEDOUT, .middle = condition_die_waiting),
    ROW("condition.notify",          condition_waiting, condition_notify),
    ROW("condition.notify, two",     condition_waiting, condition_notify_two),
    ROW("condition.notify_all",      condition_waiting, condition_notify_all),
    ROW("condition.notify, nobody",  condition_mine,  condition_notify, .flags = CRASH_INVISIBLE),

    ROW("store a reference",         refs_held,      refs_set),
    ROW("store what is gone",        refs_any,       refs_set_gone, .flags = CRASH_INVISIBLE, .result = BROKER_GONE),
    ROW("put a reference",           refs_held,      refs_put),
    ROW("append a reference",        refs_held,      refs_append),
    ROW("overwrite a reference",     refs_stored,    refs_overwrite),
    ROW("open a reference",          refs_any,       refs_open, .flags = CRASH_INVISIBLE),
    ROW("create without a name",     refs_any,       refs_create, .flags = CRASH_STEPS),
    ROW("collect",                   refs_any,       refs_collect,
        .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LONG, .finish = refs_collect),

    ROW("create a dict",             core_names,     core_create_dict),
    ROW("create a queue",            core_names,     core_create_queue),
    ROW("create a lock",             core_names,     core_create_lock),
    ROW("open",                      core_contents,  core_open, .flags = CRASH_INVISIBLE),
    ROW("close",                     core_holdings,  core_close, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("destroy a dict",            core_contents,  core_destroy_dict, .flags = CRASH_STEPS),
    ROW("destroy a queue",           core_contents,  core_destroy_queue, .flags = CRASH_STEPS),
    ROW("destroy a lock",            core_contents,  core_destroy_lock, .flags = CRASH_STEPS),
    ROW("rename",                    core_renamed,   core_rename),
    ROW("rename, a long name",       core_renamed,   core_rename_long),
    ROW("grow within the limit",     core_granted,   core_grow),
    ROW("create within the limit",   core_granted,   core_create_dict),
    ROW("destroy within the limit",  core_granted,   core_destroy_queue, .flags = CRASH_STEPS),
    ROW("grow beyond the limit",     core_refused,   core_grow, .flags = CRASH_INVISIBLE,
        .result = BROKER_QUOTA),
    ROW("create beyond the limit",   core_refused,   core_create_dict, .flags = CRASH_INVISIBLE,
        .result = BROKER_QUOTA),
    ROW("make a session",            core_names,     core_session_create),
    ROW("leave",                     core_holdings,  core_session_leave, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("reap a session",            core_holdings,  core_session_reap, .flags = CRASH_STEPS | CRASH_INVISIBLE,
        .finish = core_session_reap),
    ROW("close, many leases",        core_many,      core_close, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES | CRASH_LONG),
    ROW("leave, many leases",        core_many,      core_session_leave,
        .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES | CRASH_LONG),
    ROW("reap, many leases",         core_many,      core_session_reap,
        .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LONG, .finish = core_session_reap),
    ROW("trim",                      core_contents,  core_trim, .flags = CRASH_INVISIBLE | CRASH_SYSCALLS),

    ROW("create a semaphore",      core_names, semaphore_create),
    ROW("create an event",         core_names, event_create),
    ROW("create a barrier",        core_names, barrier_create),
    ROW("create an rlock",         core_names, rlock_create),
    ROW("create a condition",      core_names, condition_create),
    ROW("destroy a semaphore", semaphore_taken, semaphore_destroy, .flags = CRASH_STEPS),
    ROW("destroy an event", event_set_now, event_destroy, .flags = CRASH_STEPS),
    ROW("destroy a barrier", barrier_whole, barrier_destroy, .flags = CRASH_STEPS),
    ROW("destroy an rlock", rlock_mine, rlock_destroy, .flags = CRASH_STEPS),
    ROW("destroy a condition", condition_waiting, condition_destroy, .flags = CRASH_STEPS),
    ROW("leave a semaphore", semaphore_several, core_session_leave, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("leave an event", event_clear_now, core_session_leave, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("leave a barrier", barrier_acting, core_session_leave, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("leave an rlock", rlock_deep, core_session_leave, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("leave a condition", condition_waitable, core_session_leave, .flags = CRASH_STEPS | CRASH_INVISIBLE | CRASH_LEAVES),
    ROW("reap a semaphore", semaphore_taken, core_session_reap, .flags = CRASH_STEPS | CRASH_INVISIBLE,
        .finish = core_session_reap),
    ROW("reap an event", event_clear_now, core_session_reap, .flags = CRASH_STEPS | CRASH_INVISIBLE,
        .finish = core_session_reap),
    ROW("reap a barrier", barrier_resettable, core_session_reap, .flags = CRASH_STEPS | CRASH_INVISIBLE,
        .finish = core_session_reap),
    ROW("reap an rlock", rlock_others, core_session_reap, .flags = CRASH_STEPS | CRASH_INVISIBLE,
        .finish = core_session_reap),
    ROW("reap a condition", condition_waiting, core_session_reap, .flags = CRASH_STEPS | CRASH_INVISIBLE,
        .finish = core_session_reap),
};
/* clang-format on */
const unsigned n_crash_operations = sizeof(crash_operations) / sizeof(crash_operations[0]);

void crash_make_buffer(broker_buffer *b, size_t capacity)
{
    broker_buffer its = {0};

    MUST(bri_buffer_reserve(b, capacity));
    MUST(bri_buffer_reserve(&its, capacity));
    walker_own(b, &its, sizeof(its));
}

void crash_make_arguments(void)
{
    dict_make_arguments();
    queue_make_arguments();
    queue_lease_make_arguments();
    list_make_arguments();
    pipe_make_arguments();
    wait_make_arguments();
}

void crash_free_arguments(void)
{
    dict_free_arguments();
    queue_free_arguments();
    queue_lease_free_arguments();
    list_free_arguments();
    pipe_free_arguments();
    wait_free_arguments();
}

/* ---- what comes next ---- */

static void go_on_dict(struct bri_handle *h, struct text *out)
{
    static broker_buffer buffer;
    broker_value v = broker_nil();

    text_add(out, "dict: set %d,", bri_dict_set(h, broker_str("next"), broker_int(4711)));
    text_add(out, " get %d", bri_dict_get(h, broker_str("next"), &buffer, &v));
    text_add(out, " = %lld,", v.type == BROKER_INT ? (long long)v.i : 0);
    text_add(out, " delete %d\n", bri_dict_delete(h, broker_str("next")));
}

/* Takes everything out, and says so of each. */
static void go_on_queue(struct bri_handle *h, struct text *out)
{
    static broker_buffer buffer;
    broker_value v;
    unsigned n = 0;
    int r;

    text_add(out, "queue: put %d:", bri_queue_put(h, broker_str("next"), 0));
    while ((r = bri_queue_get(h, 0, &buffer, &v)) == 0) {
        text_add(out, " ");
        text_value(out, buffer.data, buffer.size);
        n++;
    }
    text_add(out, " %d;", r);
    for (; n > 0; n--)
        text_add(out, " %d", bri_queue_task_done(h));
    text_add(out, "; join %d\n", bri_queue_join(h, 0));
}

static void go_on_list(struct bri_handle *h, struct text *out)
{
    static broker_buffer buffer;
    broker_value v;

    text_add(out, "list: insert %d,", bri_list_insert(h, 1, broker_str("next")));
    text_add(out, " append %d,", bri_list_append(h, broker_int(4711)));
    text_add(out, " pop %d\n", bri_list_pop(h, 1, &buffer, &v));
}

static void go_on_lock(struct bri_handle *h, struct text *out)
{
    uint64_t token = 0;
    int r = bri_lock_acquire(h, 0, &token);

    text_add(out, "lock: acquire %d,", r);
    text_add(out, " release %d\n", bri_lock_release(h));
}

/* The number one up and down again, and an answer that tells it. */
static void go_on_value(struct bri_handle *h, struct text *out)
{
    broker_value up = broker_nil(), down = broker_nil();

    text_add(out, "value: add %d,", bri_value_add(h, broker_int(1), &up));
    text_add(out, " %d", bri_value_add(h, broker_int(-1), &down));
    text_add(out, " = %llx, %llx\n", (unsigned long long)up.u, (unsigned long long)down.u);
}

/* An element one up and down again, and an answer that tells it. */
static void go_on_array(struct bri_handle *h, struct text *out)
{
    broker_value up = broker_nil(), down = broker_nil();

    text_add(out, "array: add %d,", bri_array_add(h, 2, broker_int(1), &up));
    text_add(out, " %d", bri_array_add(h, 2, broker_int(-1), &down));
    text_add(out, " = %llx, %llx\n", (unsigned long long)up.u, (unsigned long long)down.u);
}

/* A message each way, and all that is there before it; then both ends are let go. */
static void go_on_pipe(struct bri_handle *h, struct text *out)
{
    static broker_buffer buffer;
    broker_value v;
    int r;

    for (uint64_t end = 0; end < 2; end++) {
        text_add(out, "pipe: send %d:", bri_pipe_send(h, 1 - end, broker_int(4713), 0));
        while ((r = bri_pipe_recv(h, end, 0, &buffer, &v)) == 0) {
            text_add(out, " ");
            text_value(out, buffer.data, buffer.size);
        }
        text_add(out, " %d\n", r);
    }
    text_add(out, "pipe: release %d", bri_pipe_release(h, 0));
    text_add(out, " %d\n", bri_pipe_release(h, 1));
}

static void go_on_namespace(struct bri_handle *h, struct text *out)
{
    static broker_buffer buffer;
    broker_value v = broker_nil();

    text_add(out, "namespace: set %d,", bri_namespace_set(h, "next", broker_int(4712)));
    text_add(out, " get %d", bri_namespace_get(h, "next", &buffer, &v));
    text_add(out, " = %lld,", v.type == BROKER_INT ? (long long)v.i : 0);
    text_add(out, " delete %d\n", bri_namespace_delete(h, "next"));
}

/* Takes all that there is, and gives it back. */
static void go_on_semaphore(struct bri_handle *h, struct text *out)
{
    unsigned n = 0;
    int r;

    text_add(out, "semaphore: acquire");
    for (; n < 8 && (r = bri_semaphore_acquire(h, 0)) >= 0; n++)
        text_add(out, " %d", r);
    text_add(out, ", release");
    for (; n > 0; n--)
        text_add(out, " %d", bri_semaphore_release(h, 1));
    text_add(out, "\n");
}

static void go_on_event(struct bri_handle *h, struct text *out)
{
    bool set = false;

    text_add(out, "event: wait %d, ", bri_event_wait(h, 0));
    text_add(out, "clear %d, ", bri_event_clear(h));
    text_add(out, "set %d, ", bri_event_set(h));
    text_add(out, "is_set %d = %d\n", bri_event_is_set(h, &set), set);
}

static void go_on_barrier(struct bri_handle *h, struct text *out)
{
    uint64_t index = 0;

    text_add(out, "barrier: pass %d, ", bri_barrier_pass(h));
    text_add(out, "wait %d, ", bri_barrier_wait(h, 0, &index));
    text_add(out, "reset %d, ", bri_barrier_reset(h));
    text_add(out, "wait %d = %llu\n", bri_barrier_wait(h, 0, &index), (unsigned long long)index);
}

static void go_on_rlock(struct bri_handle *h, struct text *out)
{
    uint64_t token = 0;

    text_add(out, "rlock: acquire %d", bri_rlock_acquire(h, 0, &token));
    text_add(out, " %d,", bri_rlock_acquire(h, 0, &token));
    text_add(out, " release %d", bri_rlock_release(h));
    text_add(out, " %d\n", bri_rlock_release(h));
}

static void go_on_condition(struct bri_handle *h, struct text *out)
{
    uint64_t token = 0;

    text_add(out, "condition: acquire %d,", bri_condition_acquire(h, 0, &token));
    text_add(out, " wait %d,", bri_condition_wait(h, 0));
    text_add(out, " notify %d,", bri_condition_notify(h, 1));
    text_add(out, " release %d\n", bri_condition_release(h));
}

static void (*const next_steps[N_HANDLES])(struct bri_handle *h, struct text *out) = {
    [DICT] = go_on_dict,
    [QUEUE] = go_on_queue,
    [LOCK] = go_on_lock,
    [SEMAPHORE] = go_on_semaphore,
    [EVENT] = go_on_event,
    [BARRIER] = go_on_barrier,
    [RLOCK] = go_on_rlock,
    [CONDITION] = go_on_condition,
    [LIST] = go_on_list,
    [VALUE] = go_on_value,
    [ARRAY] = go_on_array,
    [NAMESPACE] = go_on_namespace,
};

void crash_go_on(struct actor *who, struct text *out)
{
    for (unsigned i = 0; i < N_HANDLES; i++)
        if (next_steps[i] != NULL && who->handles[i].magic != 0)
            next_steps[i](&who->handles[i], out);
    if (who->handles[DICT].magic != 0)
        go_on_dict(&who->handles[DICT], out);
    if (who->handles[QUEUE].magic != 0)
        go_on_queue(&who->handles[QUEUE], out);
    if (who->handles[LIST].magic != 0)
        go_on_list(&who->handles[LIST], out);
    if (who->handles[LOCK].magic != 0)
        go_on_lock(&who->handles[LOCK], out);
    if (who->handles[VALUE].magic != 0)
        go_on_value(&who->handles[VALUE], out);
    if (who->handles[ARRAY].magic != 0)
        go_on_array(&who->handles[ARRAY], out);
    if (who->handles[PIPE].magic != 0)
        go_on_pipe(&who->handles[PIPE], out);
    if (who->handles[NAMESPACE].magic != 0)
        go_on_namespace(&who->handles[NAMESPACE], out);
}
