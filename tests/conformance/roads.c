/*
 * roads.c - see roads.h
 */
#include "conformance/roads.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "support/instance.h"

/* Who waits by ZeroMQ does so in brokerd-zmq, and cannot be stopped there. */
#define STOPPED "a process that is stopped where it waits"

/* Until the silence has lasted long enough, it still takes what it waited for. */
#define AT_ONCE "a death that is known at once"

/* Who could still make room or give a permit back is told by the threads of a process that sleep;
 * of those behind ZeroMQ the broker knows nothing. */
#define AWAKE "a circle through what is no lock"

/* Cases that are about something that the ZeroMQ road does not offer. */
static const struct unsupported {
    const char *suite;
    const char *name; /* NULL: all of the suite */
    const char *what;
} unsupported[] = {
    {"array", "a_destroyed_array_is_gone", "broker_array_data"},
    {"array", "a_quota_or_an_arena_too_small_is_told_by_the_first_change", "broker_array_data"},
    {"array", "a_reader_may_only_look", "broker_array_data"},
    {"array_data", NULL, "broker_array_data"},
    {"barrier", "a_party_killed_on_its_way_out_is_counted_off", STOPPED},
    {"barrier", "an_abort_catches_who_is_still_leaving", STOPPED},
    {"barrier", "who_comes_round_again_waits_until_all_have_left", STOPPED},
    {"condition_deaths", "all_notifications_of_the_killed_go_on", STOPPED},
    {"condition_deaths", "the_notification_of_a_killed_waiter_goes_to_the_next", STOPPED},
    {"deadlock", "a_bounded_semaphore_and_a_lock", AWAKE},
    {"deadlock", "a_full_pipe_and_a_lock", AWAKE},
    {"deadlock", "a_full_queue_and_a_lock", AWAKE},
    {"deadlock", "a_join_and_a_lock", AWAKE},
    {"descriptor", NULL, "broker_fd"},
    {"in_place", NULL, "items in place"},
    {"inspect", "clients_tells_who_is_there_and_what_they_hold", "sessions by process id"},
    {"pipe_shared", "the_death_of_a_waiter_costs_no_message", AT_ONCE},
    {"wait_any_sync", "their_descriptors_are_readable_while_they_are_ready", "broker_fd"},
};

/* Who was killed is found out by silence. Short enough for cases that wait for it, and long enough
 * for a machine that has other things to do. Requests may be as large and as many as those of
 * the cases. */
#define CONFIG                                                                                     \
    "[broker]\nlog_level = error\n"                                                                \
    "[zmq]\nipc = yes\ntimeout = 2s\nmax_message = 8M\nmax_pending = 4096\n"

static struct instance *instance;

static void skip_unsupported(void)
{
    const char *suite = criterion_current_test->category, *name = criterion_current_test->name;

    for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
        if (strcmp(unsupported[i].suite, suite) == 0 &&
            (unsupported[i].name == NULL || strcmp(unsupported[i].name, name) == 0))
            cr_skip_test("%s: not by ZeroMQ", unsupported[i].what);
}

const char *road_begin(void)
{
    const char *address = getenv("BROKER_TEST_ADDRESS"), *road = getenv("BROKER_TEST_ROAD");

    if (address != NULL)
        return address;
    if (road == NULL || strcmp(road, "private") == 0)
        return "private:";
    cr_assert_str_eq(road, "ipc", "there is no road of this name");
    skip_unsupported();
    instance = instance_start(CONFIG);
    return instance_zmq_address(instance);
}

pid_t road_pid(pid_t pid)
{
    return instance == NULL ? pid : instance_zmq_pid(instance);
}

bool road_is_local(void)
{
    return instance == NULL;
}

void road_end(void)
{
    instance_stop(instance);
    instance = NULL;
}
