/*
 * cases.h - which operations are killed, and from which start states
 *
 * The table is in cases.c; adding an operation is one row there, and a function of a few lines in
 * the file of its type.
 */
#ifndef TESTS_CRASH_CASES_H
#define TESTS_CRASH_CASES_H

#include <stdint.h>

#include "world.h"

struct crash_state {
    const char *name;
    void (*prepare)(struct world *w);
};

enum {
    /* It changes nothing that can be seen once its session is over: before and after are the same
       then. */
    CRASH_INVISIBLE = 1,
    /* It happens in several steps, which others can see until whoever goes on (`finish`) has got to
       its end. */
    CRASH_STEPS = 2,
    /* So long that it is killed in campaigns only. */
    CRASH_LONG = 4,
    /* It has the system change the memory, which nobody can watch: always stepped. */
    CRASH_SYSCALLS = 8,
    /* It goes on until a time, so that two runs of it may come to different states. */
    CRASH_TIMED = 16,
    /* Whoever has done it has nothing to go on with: another does. */
    CRASH_LEAVES = 32,
};

struct crash_operation {
    const char *name;
    const struct crash_state *states;
    uint32_t n_states;
    int (*run)(struct actor *who);
    unsigned flags;
    int result;                       /* what it gives when nobody is killed */
    int (*finish)(struct actor *who); /* what the daemon does about it later; may be NULL */
    /* Killed in the middle, this may have happened instead: it leaves the victim dead in the
       operation. May be NULL. */
    void (*middle)(struct actor *victim);

    /* For those that wake others (sleepers.h). */
    uint32_t n_sleepers;
    int (*sleeper)(struct actor *who);
    void (*arrange)(struct world *w); /* happens when they sleep, before it; may be NULL */
    uint32_t n_woken;                 /* come to their end by it alone, with its waker dead then */
    int (*next)(struct actor *who);   /* what a survivor does so that the others come to theirs */
};

extern const struct crash_operation crash_operations[], crash_wakes[];
extern const unsigned n_crash_operations, n_crash_wakes;

/*
 * What every program may do next: puts something into each object and takes it out again, drains
 * queues, and takes the lock. Notes all answers.
 */
struct text;
void crash_go_on(struct actor *who, struct text *out);

/* Room that operations need not make. A victim that walks (walker.h) has a buffer of its own. */
void crash_make_buffer(broker_buffer *b, size_t capacity);

/* Makes what operations take as arguments, before anybody is killed in them. */
void crash_make_arguments(void);
void crash_free_arguments(void);

/* ---- the functions of the table, by type ---- */

void dict_make_arguments(void);
void dict_free_arguments(void);
void queue_make_arguments(void);
void queue_free_arguments(void);
void wait_make_arguments(void);
void wait_free_arguments(void);
void list_make_arguments(void);
void list_free_arguments(void);

typedef int crash_run(struct actor *who);
typedef void crash_middle(struct actor *victim);

extern const struct crash_state dict_any[7], dict_filled[5], dict_bulk[5], dict_sized[5],
    dict_tight[5];
crash_run dict_set_new, dict_set_same, dict_set_longer, dict_set_large, dict_set_large_over,
    dict_set_small_over;
crash_run dict_set_if, dict_delete_first, dict_delete_middle, dict_delete_last, dict_delete_large,
    dict_pop;
crash_run dict_popitem, dict_setdefault, dict_get_and_set, dict_compare_and_set, dict_add_new,
    dict_add_old;
crash_run dict_update, dict_update_16, dict_update_600, dict_update_note, dict_add_many, dict_clear;

extern const struct crash_state queue_any[7], queue_full[5], queue_plain[6], queue_large[5],
    queue_joinable[7];
extern const struct crash_state queue_empty[5], queue_mine[5], queue_others[5];
crash_run queue_put, queue_put_2k, queue_put_large, queue_put_many, queue_get, queue_get_many,
    queue_get_timeout;
crash_run queue_put_timeout, queue_task_done, queue_shutdown;
crash_middle queue_deliver;

void queue_lease_make_arguments(void);
void queue_lease_free_arguments(void);
extern const struct crash_state queue_leasable[7], queue_lendable[5], queue_by_token[8],
    queue_dying[5], queue_dead[5], queue_dead_large[5], queue_ordered[5], queue_ordered_large[5],
    queue_fresh_or_not[6], queue_reserved[6], queue_held[5];
crash_run queue_lease, queue_lease_limited, queue_lease_in_place, queue_done, queue_return,
    queue_return_later, queue_extend, queue_extend_for_ever, queue_take_dead, queue_revive,
    queue_reserve, queue_commit, queue_cancel, queue_clear;
crash_middle queue_deliver_by_token, queue_deliver_dead, queue_clear_most;

extern const struct crash_state lock_free[5], lock_mine[5], lock_others[5];
crash_run lock_acquire, lock_release, lock_acquire_timeout;

extern const struct crash_state list_any[7], list_filled[5], list_high[2], list_tight[2],
    list_turned[5];
crash_run list_append, list_append_block, list_append_large, list_insert_first, list_insert,
    list_set, list_set_longer, list_set_large, list_set_small_over, list_delete_first,
    list_delete_last, list_delete_large, list_pop, list_remove, list_add, list_compare_and_set;
crash_run list_extend, list_extend_bulk, list_set_slice, list_set_slice_bulk, list_set_slice_step,
    list_delete_slice, list_delete_slice_step, list_reverse, list_sort, list_repeat, list_clear;
extern const struct crash_state array_any[7], array_pinned[6], array_living[5];
crash_run array_set, array_set_bad, array_add, array_exchange, array_compare_and_set,
    array_set_slice, array_write, array_data, array_close, array_destroy;

void pipe_make_arguments(void);
void pipe_free_arguments(void);
extern const struct crash_state pipe_any[7], pipe_filled[6], pipe_large[5], pipe_full[5],
    pipe_empty[5], pipe_held[6];
crash_run pipe_hold, pipe_release, pipe_send, pipe_send_large, pipe_send_timeout, pipe_recv,
    pipe_recv_timeout, pipe_poll, pipe_close, pipe_destroy;
crash_middle pipe_recv_half;

extern const struct crash_state namespace_any[5], namespace_filled[5];
crash_run namespace_set_new, namespace_set_old, namespace_delete, namespace_update, namespace_add,
    namespace_compare_and_set, namespace_set_bad;

extern const struct crash_state value_any[6], value_edge[5];
crash_run value_set, value_add, value_add_over, value_exchange, value_compare_and_set,
    value_compare_other;

extern const struct crash_state semaphore_free[7], semaphore_empty[6], semaphore_taken[8],
    semaphore_several[6], semaphore_full[5];
crash_run semaphore_acquire, semaphore_acquire_timeout, semaphore_release, semaphore_release_two,
    semaphore_create, semaphore_destroy;

extern const struct crash_state event_clear_now[5], event_set_now[5];
crash_run event_set, event_clear, event_wait_timeout, event_create, event_destroy;

extern const struct crash_state barrier_last[5], barrier_last_acts[5], barrier_acting[5],
    barrier_acts_in_vain[5], barrier_not_last[5], barrier_closed[5], barrier_whole[8],
    barrier_resettable[7];
crash_run barrier_wait, barrier_wait_timeout, barrier_pass, barrier_abort, barrier_reset,
    barrier_create, barrier_destroy;
crash_middle barrier_die_waiting;

extern const struct crash_state rlock_free[5], rlock_mine[5], rlock_deep[5], rlock_others[5];
crash_run rlock_acquire, rlock_acquire_timeout, rlock_release, rlock_create, rlock_destroy;

extern const struct crash_state condition_free[7], condition_mine[6], condition_waitable[8],
    condition_waiting[6];
crash_run condition_acquire, condition_release, condition_wait, condition_wait_timeout;
crash_run condition_notify, condition_notify_two, condition_notify_all, condition_create,
    condition_destroy;
crash_middle condition_die_waiting;

extern const struct crash_state refs_held[5], refs_stored[3], refs_any[6];
crash_run refs_set, refs_set_gone, refs_put, refs_append, refs_overwrite, refs_open, refs_create,
    refs_collect;

extern const struct crash_state core_names[5], core_contents[5], core_holdings[5], core_many[1],
    core_renamed[6], core_granted[5], core_refused[3];
crash_run core_create_dict, core_create_queue, core_create_lock, core_open, core_destroy_dict,
    core_destroy_queue;
crash_run core_destroy_lock, core_close, core_session_create, core_session_leave, core_session_reap,
    core_trim, core_rename, core_rename_long, core_grow;

#endif
