/*
 * cases_wait.h - what takes part in the table of cases_wait.c
 */
#ifndef TESTS_CRASH_CASES_WAIT_H
#define TESTS_CRASH_CASES_WAIT_H

#include <broker.h>

#include "cases.h"

/* A number that nobody else puts anywhere. */
static inline broker_value own_number(const struct actor *who)
{
    return broker_int(100 + (int64_t)who->broker->session_number);
}

static inline struct actor *victim_of(struct world *w)
{
    return &w->actors[VICTIM];
}

static inline void for_all(struct world *w, void (*open)(struct world *w, enum who who))
{
    for (int i = 0; i < N_ACTORS; i++)
        open(w, (enum who)i);
}

typedef void crash_prepare(struct world *w);

/* Those that return int are operations, the others start states and what is arranged. */
crash_run lock_pass, lock_give, rlock_give, rlock_pass, permit_take, permit_give, permits_give,
    permit_pass, event_await, condition_give, condition_await, condition_pass, condition_notify_one,
    condition_notify_every, notify_holding, barrier_arrive;
crash_prepare lock_held, rlock_held, no_permit, permit_held, permits_held, event_cleared,
    condition_open_all, condition_held, hold_condition, notify_and_hold, three_parties,
    three_and_action, many_parties, victim_acts;
crash_run item_commit, item_revive, item_put, items_put, item_get, item_get_now, items_get,
    item_lease, item_done, item_return, item_finish, all_join, queue_shut, queue_empty_it,
    item_use_up, message_send, message_take, end_leave, message_receive, message_await, room_await;
crash_prepare room_reserved, item_dead, no_item, no_room, no_room_for_two, item_taken, item_leased,
    item_leased_joinable, pipe_shared, pipe_alone, pipe_without_room;

#endif
