/*
 * test_arenas.c - arenas that the daemon finds in another state than it left them in, or that are
 * cut off under its hands
 */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "core/arena.h"
#include "core/clock.h"
#include "fixture.h"
#include "raw.h"
#include "support/child.h"

TestSuite(arenas, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

Test(arenas, an_arena_of_another_layout_is_refused_and_nothing_is_lost)
{
    static const char config[] = CONFIG "persist = no\n[arena other]\nsize = 2M\npersist = no\n";
    char text[2000], name[64], file[80], other[96];
    const char *arguments[] = {"brokerd", "--instance", name, "--runtime-dir",
        instance_dir(instance), "--config", file, NULL};
    uint32_t layout = BRI_LAYOUT_VERSION + 7, found = 0;
    char expected[64];
    const off_t at = offsetof(struct bri_arena_shm, layout_version);
    broker *b = open_broker();
    int fd;

    instance_reload(instance, config);
    instance_kill(instance);
    cr_assert_eq(sscanf(instance_arena_path(instance), "/dev/shm/brokerd.%63[^.]", name), 1);
    (void)snprintf(file, sizeof(file), "%s/brokerd.conf", instance_dir(instance));
    (void)snprintf(other, sizeof(other), "/dev/shm/brokerd.%s.other", name);
    fd = open(other, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, &layout, sizeof(layout), at), sizeof(layout));
    (void)snprintf(expected, sizeof(expected), "the arena other was made with layout %u.", layout);
    cr_assert_eq(instance_run(arguments, text, sizeof(text)), 78, "%s", text);
    cr_assert_not_null(strstr(text, expected), "%s", text);
    cr_assert_eq(access(instance_arena_path(instance), F_OK), 0, "it was removed");
    cr_assert_eq(access(other, F_OK), 0, "it was removed");
    cr_assert_eq(pread(fd, &found, sizeof(found), at), sizeof(found));
    cr_assert_eq(found, layout);
    layout = BRI_LAYOUT_VERSION;
    cr_assert_eq(pwrite(fd, &layout, sizeof(layout), at), sizeof(layout));
    (void)close(fd);
    instance_restart(instance);
    cr_assert_eq(raw_status(instance).n_sessions, 1, "the session was not adopted");
    broker_close(b);
}

/* The daemon must not start, say why, and leave the file as it was. */
static void refuses_to_start(const char *why)
{
    const char *arguments[] = {
        "brokerd", "--instance", NULL, "--runtime-dir", instance_dir(instance), NULL};
    char text[2000], name[64];
    struct stat before, after;

    cr_assert_eq(sscanf(instance_arena_path(instance), "/dev/shm/brokerd.%63[^.]", name), 1);
    arguments[2] = name;
    cr_assert_eq(stat(instance_arena_path(instance), &before), 0);
    cr_assert_eq(instance_run(arguments, text, sizeof(text)), 78);
    cr_assert_not_null(strstr(text, why), "%s", text);
    cr_assert_not_null(strstr(text, instance_arena_path(instance)), "%s", text);
    cr_assert_eq(stat(instance_arena_path(instance), &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
    cr_assert_eq(before.st_size, after.st_size);
}

static void write_at(uint64_t off, const void *bytes, size_t n)
{
    int fd = open(instance_arena_path(instance), O_WRONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, bytes, n, (off_t)off), (ssize_t)n);
    (void)close(fd);
}

Test(arenas, an_arena_of_another_layout_is_left_alone)
{
    const uint32_t layout = BRI_LAYOUT_VERSION + 1;
    char why[32];

    instance_kill(instance);
    write_at(offsetof(struct bri_arena_shm, layout_version), &layout, sizeof(layout));
    (void)snprintf(why, sizeof(why), "made with layout %u.", layout);
    refuses_to_start(why);
}

Test(arenas, a_damaged_header_is_left_alone)
{
    const uint32_t n_pages = 7;

    instance_kill(instance);
    write_at(offsetof(struct bri_arena_shm, n_pages), &n_pages, sizeof(n_pages));
    refuses_to_start("damaged");
}

Test(arenas, an_arena_that_somebody_else_may_write_is_left_alone)
{
    instance_kill(instance);
    cr_assert_eq(chmod(instance_arena_path(instance), 0666), 0);
    refuses_to_start("remove it");
}

Test(arenas, an_arena_that_never_was_finished_is_made_anew)
{
    const uint64_t none = 0;

    instance_kill(instance);
    write_at(offsetof(struct bri_arena_shm, magic), &none, sizeof(none));
    instance_restart(instance);
    broker_close(open_broker());
}

/* A process that attaches, and then waits to be killed. */
static pid_t start_client(void)
{
    broker *b = NULL;
    int ends[2];
    pid_t pid;
    char byte;

    cr_assert_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        if (broker_open(instance_address(instance), &b) < 0 || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return pid;
}

static void kill_and_wait(pid_t pid)
{
    child_kill(pid);
}

static void daemon_ended_the_arena(void)
{
    broker *b = NULL;
    int64_t deadline = bri_deadline(20 * BRI_SECOND);

    /* Noticed within a beat; until then it lets people in, and the map fails. */
    while (broker_open(instance_address(instance), &b) != BROKER_CORRUPT ||
           strstr(broker_last_error(), "log of brokerd") == NULL) {
        broker_close(b);
        b = NULL;
        cr_assert_lt(bri_now(), deadline, "%s", broker_last_error());
    }
    cr_assert(raw_await_sessions(instance, 0));
    cr_assert_eq(raw_status(instance).pid, (uint32_t)instance_pid(instance), "another daemon");
}

Test(arenas, an_arena_that_is_cut_off_ends_and_the_daemon_goes_on)
{
    pid_t client = start_client();

    cr_assert_eq(truncate(instance_arena_path(instance), 0), 0);
    kill_and_wait(client); /* has the daemon touch what is no more */
    daemon_ended_the_arena();
}

/* The daemon is thrown out of the middle of a section, and must be able to work on the other
 * arenas. */
Test(arenas, one_arena_that_is_cut_off_does_not_touch_the_others)
{
    char address[128];
    broker *watcher, *b;
    pid_t client;

    instance_reload(instance, CONFIG "[arena second]\nsize = 8M\n");
    client = start_client();
    watcher = open_broker();
    /* The fixed tables stay, the session's own memory goes. */
    cr_assert_eq(
        truncate(instance_arena_path(instance), (off_t)watcher->arena->first_page * BRI_PAGE_SIZE),
        0);
    kill_and_wait(client);
    daemon_ended_the_arena();
    (void)snprintf(address, sizeof(address), "%s?arena=second", instance_address(instance));
    cr_assert_eq(broker_open(address, &b), 0, "%s", broker_last_error());
    broker_close(b);
}

Test(arenas, an_arena_that_is_cut_in_the_middle_ends_without_anybody_stepping_on_it)
{
    cr_assert_eq(truncate(instance_arena_path(instance), (16 << 20) - 4096), 0);
    daemon_ended_the_arena();
}
