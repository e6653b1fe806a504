/*
 * roads.c - see roads.h
 */
#include "conformance/roads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>

#include "conformance/host.h"

/* Who waits by ZeroMQ does so in brokerd-zmq, and cannot be stopped there. */
#define STOPPED "a process that is stopped where it waits"

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
    {"wait_any_sync", "their_descriptors_are_readable_while_they_are_ready", "broker_fd"},
};

/* Before Criterion starts the cases. */
ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
    const char *road = getenv("BROKER_TEST_ROAD");

    (void)set;
    if (getenv("BROKER_TEST_ADDRESS") != NULL || road == NULL || strcmp(road, "private") == 0)
        return;
    if (strcmp(road, "unix") != 0 && strcmp(road, "ipc") != 0 && strcmp(road, "tcp") != 0) {
        (void)fprintf(stderr, "there is no road %s\n", road);
        exit(99);
    }
    host_start(road);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    host_stop();
}

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
    const char *address = getenv("BROKER_TEST_ADDRESS");

    if (!road_is_local())
        skip_unsupported();
    if (host_is_there())
        return host_take_arena();
    return address != NULL ? address : "private:";
}

pid_t road_pid(pid_t pid)
{
    return road_is_local() ? pid : host_endpoint();
}

bool road_is_local(void)
{
    return host_endpoint() == 0;
}
