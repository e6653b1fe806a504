/*
 * test_store.c - arenas whose memory the service manager keeps over a restart, found by descriptor
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "fixture.h"
#include "raw.h"

static char message[1024];

static void start(void)
{
    fixture_start();
    instance_keep_descriptors(instance);
    instance_restart(instance); /* what the first one gave was not kept */
    cr_assert_eq(instance_n_kept(instance), 1);
}

TestSuite(store, .init = start, .fini = fixture_stop, .timeout = 60);

static int64_t count(broker *b)
{
    broker_dict *d;
    int64_t n = 0;

    cr_assert_eq(broker_dict_open(b, "d", NULL, &d), 0);
    cr_assert_eq(broker_dict_add(d, broker_str("n"), 1, &n), 0);
    broker_dict_close(d);
    return n;
}

/* From another process: a handle of our own would have the old memory in any case. */
static int64_t count_elsewhere(void)
{
    int ends[2];
    int64_t n = 0;

    cr_assert_eq(pipe(ends), 0);
    if (fork() == 0) {
        broker *b;
        broker_dict *d;

        if (broker_open(instance_address(instance), &b) < 0 ||
            broker_dict_open(b, "d", NULL, &d) < 0 ||
            broker_dict_add(d, broker_str("n"), 1, &n) < 0 ||
            write(ends[1], &n, sizeof(n)) != sizeof(n))
            _exit(1);
        broker_close(b);
        _exit(0);
    }
    (void)close(ends[1]);
    cr_assert_eq(read(ends[0], &n, sizeof(n)), sizeof(n));
    (void)close(ends[0]);
    return n;
}

Test(store, what_is_not_persistent_outlives_a_restart_and_no_stop)
{
    broker *b = open_broker();

    instance_reload(instance, CONFIG "persist = no\n");
    cr_assert_eq(count(b), 1);
    instance_restart(instance);
    cr_assert_neq(access(instance_arena_path(instance), F_OK), 0);
    cr_assert_eq(raw_status(instance).n_sessions, 1, "the session was not adopted");
    cr_assert_eq(count_elsewhere(), 2);
    instance_kill(instance);
    instance_restart(instance);
    cr_assert_eq(count_elsewhere(), 3);
    cr_assert_eq(instance_end(instance), 0);
    instance_restart(instance);
    cr_assert_eq(count_elsewhere(), 1);
    cr_assert_eq(count(b), 4, "those who have it go on");
}

Test(store, a_name_that_was_removed_takes_nothing_away)
{
    broker *b = open_broker();

    cr_assert_eq(count(b), 1);
    cr_assert_eq(unlink(instance_arena_path(instance)), 0);
    instance_kill(instance);
    instance_restart(instance);
    cr_assert_eq(count_elsewhere(), 2);
    broker_close(b);
}

Test(store, other_memory_by_that_name_is_left_alone)
{
    broker *b = open_broker();
    struct stat st;
    int fd;

    instance_reload(instance, CONFIG "persist = no\n");
    cr_assert_eq(count(b), 1);
    instance_kill(instance);
    cr_assert_eq(unlink(instance_arena_path(instance)), 0);
    fd = open(instance_arena_path(instance), O_RDWR | O_CREAT | O_EXCL, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "mine", 4), 4);
    instance_restart(instance);
    cr_assert_eq(count_elsewhere(), 2);
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_nlink, 1, "it was removed");
    cr_assert_eq(st.st_size, 4);
    (void)close(fd);
    broker_close(b);
}

Test(store, an_arena_is_kept_once)
{
    instance_reload(instance, CONFIG "[arena more]\nsize = 2M\n");
    cr_assert_eq(instance_n_kept(instance), 2);
    instance_restart(instance);
    instance_reload(instance, CONFIG "[arena more]\nsize = 3M\n");
    cr_assert_eq(instance_n_kept(instance), 2);
}

Test(store, an_arena_that_is_not_configured_any_more_is_not_kept)
{
    instance_reload(instance, CONFIG "[arena more]\nsize = 2M\npersist = no\n");
    instance_reload(instance, CONFIG);
    cr_assert_eq(instance_n_kept(instance), 2, "it stays until a restart");
    instance_restart(instance);
    cr_assert_eq(instance_n_kept(instance), 1);
}

Test(store, memory_that_was_cut_short_is_not_kept)
{
    broker *b = open_broker();

    cr_assert_eq(truncate(instance_arena_path(instance), 4096), 0);
    cr_assert(instance_hear(
        instance, "FDSTOREREMOVE=1\nFDNAME=arena.default", NULL, message, sizeof(message)));
    cr_assert_eq(instance_n_kept(instance), 0);
    cr_assert_eq(unlink(instance_arena_path(instance)), 0);
    instance_restart(instance);
    cr_assert_eq(count_elsewhere(), 1);
    (void)b; /* its memory is gone */
}
