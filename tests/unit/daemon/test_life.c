/*
 * test_life.c - the daemon's life: one per instance, killed and adopted, stopped and reloaded; and
 * its clients' deaths
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "core/audit.h"
#include "core/clock.h"
#include "core/session.h"
#include "fixture.h"
#include "raw.h"
#include "support/child.h"

TestSuite(life, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

static broker_lock *open_lock(broker *b)
{
    broker_lock *lock = NULL;

    cr_assert_eq(broker_lock_open(b, "lock", NULL, &lock), 0, "%s", broker_last_error());
    return lock;
}

/* A process that attaches, takes the lock, and then waits to be killed. Returns when it holds the
 * lock. */
static pid_t start_owner(void)
{
    uint64_t token;
    int ends[2];
    char byte;
    pid_t pid;

    cr_assert_eq(pipe(ends), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        broker *b;
        broker_lock *lock;

        (void)close(ends[0]);
        if (broker_open(instance_address(instance), &b) < 0 ||
            broker_lock_open(b, "lock", NULL, &lock) < 0 ||
            broker_lock_acquire(lock, 0, &token) < 0 || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    cr_assert_eq(read(ends[0], &byte, 1), 1, "the owner did not get the lock");
    (void)close(ends[0]);
    return pid;
}

/* What the arena itself says; the daemon is asked only to let it go on. */
static bool await_table(broker *b, unsigned n)
{
    int64_t deadline = bri_deadline(10 * BRI_SECOND);
    struct bri_session_info info;
    unsigned found;

    do {
        found = 0;
        (void)raw_status(instance);
        for (uint32_t i = 0; bri_session_info(b->arena, i, &info) == 0; i++)
            found += info.status != BRI_SESSION_FREE;
    } while (found != n && bri_now() < deadline);
    return found == n;
}

static bool is_dead_in_table(broker *b, pid_t pid)
{
    struct bri_session_info info;

    for (uint32_t i = 0; bri_session_info(b->arena, i, &info) == 0; i++)
        if (info.pid == (uint32_t)pid && info.status == BRI_SESSION_DEAD)
            return true;
    return false;
}

static void count_problem(void *arg, const char *object, const char *problem)
{
    (void)arg;
    cr_log_error("%s: %s", object, problem);
}

static void audit_is_clean(broker *b)
{
    struct bri_audit audit = {.report = count_problem};

    cr_assert_eq(bri_audit_arena(b->arena, &audit), 0);
    cr_assert_eq(audit.n_problems, 0);
}

Test(life, a_dead_clients_lock_goes_to_the_next_with_notice)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    pid_t owner = start_owner();
    uint64_t token;

    cr_assert_lt(broker_lock_acquire(lock, 0, &token), 0);
    child_kill(owner);
    cr_assert(await_table(b, 1));
    cr_assert_eq(broker_lock_acquire(lock, 10 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    audit_is_clean(b);
    broker_close(b);
}

Test(life, the_end_of_a_connection_takes_nothing_away)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    uint64_t token;

    cr_assert_eq(broker_lock_acquire(lock, 0, &token), 0);
    (void)close(b->sock);
    b->sock = -1;
    cr_assert_eq(raw_status(instance).n_sessions, 1);
    cr_assert_eq(broker_lock_release(lock), 0);
    broker_close(b);
    cr_assert(raw_await_sessions(instance, 0));
}

/*
 * A process that left, while a child of its own keeps the connection open, so that the daemon does
 * not hear of it: when it dies, the session that has its number by then must not be taken for it.
 */
Test(life, a_session_that_was_given_back_does_not_die_with_its_process)
{
    int told[2], gate[2];
    uint64_t token;
    broker_lock *lock;
    pid_t leaver;
    broker *b;
    char byte;

    cr_assert(pipe(told) == 0 && pipe(gate) == 0);
    leaver = fork();
    if (leaver == 0) {
        if (broker_open(instance_address(instance), &b) < 0)
            _exit(1);
        (void)close(gate[1]);
        if (fork() == 0)
            _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
        broker_close(b);
        if (write(told[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    cr_assert_eq(read(told[0], &byte, 1), 1);
    b = open_broker();
    cr_assert_eq(b->session_number, 0, "the number was not used again");
    lock = open_lock(b);
    cr_assert_eq(broker_lock_acquire(lock, 0, &token), 0);
    cr_assert_eq(raw_status(instance).n_sessions, 2, "the daemon knows already");
    child_kill(leaver);
    cr_assert(raw_await_sessions(instance, 1));
    cr_assert(await_table(b, 1));
    cr_assert_eq(broker_lock_release(lock), 0);
    broker_close(b);
    (void)close(gate[1]);
}

/* The process lives on as another program, which knows nothing of what the first one held. */
static pid_t exec_as_owner(bool with_daemon)
{
    int gate[2], there[2];
    uint64_t token;
    broker_lock *lock;
    broker *b;
    pid_t pid;
    char byte;

    cr_assert(pipe2(gate, O_CLOEXEC) == 0 && pipe2(there, O_CLOEXEC) == 0);
    pid = fork();
    if (pid == 0) {
        if (broker_open(instance_address(instance), &b) < 0 ||
            broker_lock_open(b, "lock", NULL, &lock) < 0 ||
            broker_lock_acquire(lock, 0, &token) < 0 || write(there[1], "x", 1) != 1 ||
            read(gate[0], &byte, 1) != 1)
            _exit(1);
        (void)execlp("sleep", "sleep", "1000", (char *)NULL);
        _exit(2);
    }
    (void)close(there[1]);
    cr_assert_eq(read(there[0], &byte, 1), 1);
    cr_assert_eq(raw_status(instance).n_sessions, 2);
    if (!with_daemon)
        instance_kill(instance);
    cr_assert_eq(write(gate[1], "x", 1), 1);
    cr_assert_eq(read(there[0], &byte, 1), 0, "exec closes it");
    return pid;
}

Test(life, exec_ends_the_session)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    pid_t pid = exec_as_owner(true);
    uint64_t token;

    cr_assert(await_table(b, 1));
    cr_assert_eq(broker_lock_acquire(lock, 0, &token), BROKER_OWNER_DIED);
    cr_assert_eq(kill(pid, 0), 0, "the process itself goes on");
    child_kill(pid);
    cr_assert_eq(broker_lock_release(lock), 0);
    broker_close(b);
}

Test(life, exec_while_no_daemon_runs_is_found_by_the_next)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    uint64_t token;
    pid_t pid;

    pid = exec_as_owner(false);
    instance_restart(instance);
    cr_assert(await_table(b, 1));
    cr_assert_eq(broker_lock_acquire(lock, 10 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    child_kill(pid);
    broker_close(b);
}

/* Between the daemon's answer and the mapping of the arena there is a moment in which only the
 * client knows that it is going to use its session. */
Test(life, a_session_is_kept_for_a_client_that_is_about_to_map_the_arena)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    struct bri_attach_reply reply;
    struct bri_session_info info;
    struct bri_arena *arena;
    int fd, sock = raw_connect(instance);

    raw_send(sock, &hello, sizeof(hello));
    cr_assert_eq(raw_receive(sock, &reply, &fd), sizeof(reply));
    cr_assert_eq(reply.status, 0);
    instance_kill(instance);
    instance_restart(instance);
    cr_assert_eq(raw_status(instance).n_sessions, 1);
    cr_assert_eq(bri_arena_map(fd, false, &arena, (uint32_t[2]){0}), 0);
    cr_assert_eq(bri_session_info(arena, reply.session, &info), 0);
    cr_assert_eq((pid_t)info.pid, getpid());
    bri_arena_unmap(arena);
    (void)close(sock);
}

static void *go_on_without_a_first_thread(void *arg)
{
    while (pause() < 0)
        continue;
    return arg;
}

/* Nothing of the daemon's guessing about programs may touch one that only let its descriptors go.
 */
Test(life, a_client_without_descriptors_or_first_thread_keeps_its_session)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    uint64_t token;
    int ends[2];
    pid_t pid;
    char byte;

    cr_assert_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        pthread_t thread;

        if (broker_lock_acquire(lock, 0, &token) < 0 ||
            pthread_create(&thread, NULL, go_on_without_a_first_thread, NULL) != 0)
            _exit(1);
        for (int fd = 3; fd < 1000; fd++)
            (void)close(fd); /* the pipe's end too, which tells the parent */
        pthread_exit(NULL);
    }
    (void)close(ends[1]);
    cr_assert_eq(read(ends[0], &byte, 1), 0);
    instance_kill(instance); /* the next one looks at everybody, thoroughly */
    instance_restart(instance);
    cr_assert_eq(raw_status(instance).n_sessions, 2);
    cr_assert_lt(broker_lock_acquire(lock, BROKER_SECOND, &token), 0);
    cr_assert_eq(raw_status(instance).n_sessions, 2);
    child_kill(pid);
    cr_assert_eq(broker_lock_acquire(lock, 10 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    broker_close(b);
}

Test(life, closing_gives_everything_back)
{
    broker *b = open_broker(), *other;
    broker_lock *lock = open_lock(b);
    uint64_t token;

    cr_assert_eq(broker_lock_acquire(lock, 0, &token), 0);
    broker_close(b);
    cr_assert(raw_await_sessions(instance, 0));
    other = open_broker();
    lock = open_lock(other);
    cr_assert_geq(broker_lock_acquire(lock, 0, &token), 0);
    audit_is_clean(other);
    broker_close(other);
}

Test(life, a_forked_child_is_a_session_of_its_own)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    uint64_t token;
    pid_t pid;

    cr_assert_eq(broker_lock_acquire(lock, 0, &token), 0);
    pid = fork();
    if (pid == 0) {
        /* The parent's lock is not ours, neither to release nor to lose when we end. */
        if (broker_lock_release(lock) != BROKER_NOTOWNER)
            _exit(1);
        _exit(raw_status(instance).n_sessions == 2 ? 0 : 2);
    }
    child_expect_success(pid);
    cr_assert(raw_await_sessions(instance, 1));
    cr_assert_eq(broker_lock_release(lock), 0);
    broker_close(b);
}

Test(life, a_child_that_closes_what_it_never_used_leaves_the_parent_alone)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    uint64_t token;
    pid_t pid;

    cr_assert_eq(broker_lock_acquire(lock, 0, &token), 0);
    pid = fork();
    if (pid == 0) {
        broker_lock_close(lock);
        broker_close(b);
        _exit(0);
    }
    child_expect_success(pid);
    cr_assert_eq(raw_status(instance).n_sessions, 1);
    cr_assert_eq(broker_lock_release(lock), 0);
    broker_close(b);
}

Test(life, a_child_finds_an_object_gone_that_was_removed_since)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    int ends[2];
    uint64_t token;
    char byte;
    pid_t pid;

    cr_assert_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        if (read(ends[0], &byte, 1) != 1)
            _exit(1);
        _exit(broker_lock_acquire(lock, 0, &token) == BROKER_GONE ? 0 : 2);
    }
    cr_assert_eq(broker_destroy(b, "lock"), 0);
    (void)open_lock(b); /* another one by that name, in the same slot perhaps */
    cr_assert_eq(write(ends[1], "x", 1), 1);
    child_expect_success(pid);
    broker_close(b);
}

Test(life, an_instance_has_one_daemon)
{
    char text[2000], name[64], other[32], pid[16], dir[] = "/tmp/brokerd-test-XXXXXX";
    const char *arguments[] = {
        "brokerd", "--instance", other, "--runtime-dir", instance_dir(instance), NULL};

    (void)snprintf(other, sizeof(other), "other-%d", (int)getpid());
    (void)snprintf(pid, sizeof(pid), "%d", (int)instance_pid(instance));
    cr_assert_eq(instance_run(arguments, text, sizeof(text)), 1);
    cr_assert_not_null(strstr(text, "another brokerd"), "%s", text);
    cr_assert_not_null(strstr(text, pid), "%s", text);
    /* By its name too, from another folder. */
    cr_assert_eq(sscanf(instance_arena_path(instance), "/dev/shm/brokerd.%63[^.]", name), 1);
    cr_assert_not_null(mkdtemp(dir));
    arguments[2] = name;
    arguments[4] = dir;
    cr_assert_eq(instance_run(arguments, text, sizeof(text)), 1);
    cr_assert_eq(rmdir(dir), 0, "the one that could not start left something behind");
    cr_assert_not_null(strstr(text, pid), "%s", text);
    broker_close(open_broker());
}

/* A daemon that cannot have one arena takes none: what is there stays, for the one that can. */
Test(life, clients_do_not_notice_that_the_daemon_was_killed)
{
    broker *b = open_broker();
    broker_dict *d;
    int64_t n = 0;

    cr_assert_eq(broker_dict_open(b, "d", NULL, &d), 0);
    instance_kill(instance);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(broker_dict_add(d, broker_str("n"), 1, &n), 0);
    instance_restart(instance);
    cr_assert_eq(raw_status(instance).n_sessions, 1, "the session was not adopted");
    cr_assert_eq(broker_dict_add(d, broker_str("n"), 1, &n), 0);
    cr_assert_eq(n, 1001);
    broker_close(b);
    cr_assert(raw_await_sessions(instance, 0));
}

Test(life, the_next_daemon_finds_who_died_meanwhile)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    pid_t owner = start_owner();
    uint64_t token;

    instance_kill(instance);
    child_kill(owner);
    instance_restart(instance);
    cr_assert(await_table(b, 1));
    cr_assert_eq(raw_status(instance).n_sessions, 1);
    cr_assert_eq(broker_lock_acquire(lock, 10 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    audit_is_clean(b);
    broker_close(b);
}

Test(life, nothing_is_taken_from_a_client_that_is_stopped)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    pid_t owner = start_owner();
    uint64_t token;
    int status;

    cr_assert_eq(kill(owner, SIGSTOP), 0);
    cr_assert_eq(waitpid(owner, &status, WUNTRACED), owner);
    instance_kill(instance);
    instance_restart(instance);
    cr_assert_eq(raw_status(instance).n_sessions, 2);
    cr_assert_lt(broker_lock_acquire(lock, 0, &token), 0);
    child_kill(owner);
    cr_assert_eq(broker_lock_acquire(lock, 10 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    broker_close(b);
}

Test(life, a_clean_stop_leaves_a_persistent_arena)
{
    broker *b = open_broker();
    broker_dict *d;
    int64_t n = 0;

    cr_assert_eq(broker_dict_open(b, "d", NULL, &d), 0);
    cr_assert_eq(broker_dict_add(d, broker_str("n"), 5, &n), 0);
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(atomic_load(&b->arena->shm->daemon_pid), 0);
    cr_assert_neq(access(instance_dir(instance), F_OK), -1);
    instance_restart(instance);
    cr_assert_eq(atomic_load(&b->arena->shm->daemon_pid), (uint32_t)instance_pid(instance));
    cr_assert_eq(broker_dict_add(d, broker_str("n"), 1, &n), 0);
    cr_assert_eq(n, 6);
    broker_close(b);
}

Test(life, a_clean_stop_removes_an_arena_that_is_not_persistent)
{
    broker *b;
    broker_dict *d;
    int64_t n;

    instance_reload(instance, CONFIG "persist = no\n");
    b = open_broker();
    cr_assert_eq(broker_dict_open(b, "d", NULL, &d), 0);
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_neq(access(instance_arena_path(instance), F_OK), 0);
    cr_assert_eq(broker_dict_add(d, broker_str("n"), 1, &n), 0, "those who have it go on");
    instance_restart(instance);
    /* A new arena under the old address: neither is taken for the other. */
    cr_assert_neq(open_broker(), b);
    cr_assert_eq(raw_status(instance).n_sessions, 1);
}

Test(life, without_a_daemon_the_error_says_what_to_do)
{
    broker *b = NULL;

    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(broker_open(instance_address(instance), &b), BROKER_NODAEMON);
    cr_assert_null(b);
    cr_assert_not_null(strstr(broker_last_error(), instance_dir(instance)));
    cr_assert_not_null(strstr(broker_last_error(), "private:"));
}

Test(life, a_child_without_a_daemon_hears_so_and_recovers_when_it_is_back)
{
    broker *b = open_broker();
    broker_dict *d;
    int there[2], back[2];
    char byte;
    pid_t pid;

    cr_assert_eq(broker_dict_open(b, "d", NULL, &d), 0);
    cr_assert(pipe(there) == 0 && pipe(back) == 0);
    instance_kill(instance);
    pid = fork();
    if (pid == 0) {
        int64_t n;

        if (broker_dict_add(d, broker_str("n"), 1, &n) != BROKER_NODAEMON ||
            write(back[1], "x", 1) != 1 || read(there[0], &byte, 1) != 1)
            _exit(1);
        _exit(broker_dict_add(d, broker_str("n"), 1, &n) == 0 && n == 1 ? 0 : 2);
    }
    cr_assert_eq(read(back[0], &byte, 1), 1);
    instance_restart(instance);
    cr_assert_eq(write(there[1], "x", 1), 1);
    child_expect_success(pid);
    broker_close(b);
}

Test(life, a_child_that_opens_the_same_place_shares_what_it_inherited)
{
    broker *b = open_broker();
    pid_t pid;

    pid = fork();
    if (pid == 0) {
        broker *again;

        if (broker_open(instance_address(instance), &again) < 0 || again != b)
            _exit(1);
        _exit(raw_status(instance).n_sessions == 2 ? 0 : 2);
    }
    child_expect_success(pid);
    broker_close(b);
}

/* Somebody is stopped inside the object that the dead one held: its things come back as soon as
 * that one goes on. */
Test(life, what_is_stuck_is_given_back_later)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    struct bri_slot_shm *slot = ((struct bri_handle *)lock)->object.slot;
    pid_t owner = start_owner(), other;
    uint64_t token;

    other = fork();
    if (other == 0)
        for (;;)
            (void)pause();
    atomic_store(&slot->word, (uint32_t)other);
    child_kill(owner);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(raw_status(instance).n_sessions, 2, "taken from under somebody who lives");
    child_kill(other); /* its death frees the guard, as the daemon finds */
    cr_assert(raw_await_sessions(instance, 1));
    cr_assert_eq(broker_lock_acquire(lock, 10 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    audit_is_clean(b);
    broker_close(b);
}

/* How long what a dead client had is kept when nobody is in the way any more. */
static int64_t time_to_give_back(broker *b, _Atomic uint32_t *guard)
{
    pid_t owner = start_owner();
    int64_t from;

    atomic_store(guard, (uint32_t)getpid()); /* as if we were stopped in there */
    child_kill(owner);
    while (!is_dead_in_table(b, owner))
        (void)raw_status(instance);
    (void)raw_status(instance); /* by now the daemon has tried, and not got it */
    from = bri_now();
    atomic_store(guard, 0);
    cr_assert(await_table(b, 1));
    return bri_now() - from;
}

/* Who is in the way mostly only waits for a processor. A busy machine may make one try long. */
Test(life, what_is_stuck_for_a_moment_is_given_back_after_a_moment)
{
    broker *b = open_broker();
    broker_lock *lock = open_lock(b);
    int64_t shortest = INT64_MAX;

    for (int i = 0; i < 5; i++) {
        int64_t ns = time_to_give_back(b, &((struct bri_handle *)lock)->object.slot->word);

        shortest = ns < shortest ? ns : shortest;
    }
    cr_assert_lt(shortest, 100 * BRI_MILLISECOND);
    audit_is_clean(b);
    broker_close(b);
}

/* As systemd starts it: with the attach socket at descriptor 3. */
Test(life, the_attach_socket_may_come_from_systemd)
{
    char path[64] = "", dir[] = "/tmp/brokerd-test-XXXXXX", address[80], number[16];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    broker *b = NULL;
    pid_t pid;

    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/elsewhere", dir);
    memcpy(name.sun_path, path, sizeof(path));
    cr_assert_eq(bind(sock, (const struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_eq(listen(sock, 5), 0);
    pid = fork();
    if (pid == 0) {
        (void)snprintf(number, sizeof(number), "%d", (int)getpid());
        (void)setenv("LISTEN_PID", number, 1);
        (void)setenv("LISTEN_FDS", "1", 1);
        (void)setenv("LISTEN_FDNAMES", "attach", 1);
        (void)dup2(sock, 3);
        (void)execl(getenv("BROKERD"), "brokerd", "--instance", strrchr(dir, '/') + 1,
            "--runtime-dir", dir, (char *)NULL);
        _exit(99);
    }
    (void)close(sock);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    cr_assert_eq(broker_open(address, &b), 0, "%s", broker_last_error()); /* waits in the backlog */
    broker_close(b);
    cr_assert_eq(kill(pid, SIGTERM), 0);
    child_expect_success(pid);
    cr_assert_eq(access(path, F_OK), 0, "systemd's socket is not ours to remove");
    (void)unlink(path);
    cr_assert_eq(rmdir(dir), 0);
    (void)snprintf(path, sizeof(path), "/brokerd.%s.default", strrchr(dir, '/') + 1);
    cr_assert_eq(shm_unlink(path), 0);
}

Test(life, a_reload_adds_arenas_and_keeps_the_old_configuration_on_error)
{
    char address[128];
    broker *b;

    (void)snprintf(address, sizeof(address), "%s?arena=second", instance_address(instance));
    cr_assert_eq(broker_open(address, &b), BROKER_NOTFOUND);
    instance_reload(instance, CONFIG "[arena second]\nsize = 8M\n");
    cr_assert_eq(broker_open(address, &b), 0);
    cr_assert_eq(b->arena->size, 8u << 20);
    broker_close(b);
    instance_reload(instance, "[nonsense]\n");
    cr_assert_eq(broker_open(address, &b), 0);
    broker_close(b);
}

Test(life, a_stopped_daemon_keeps_nobody_waiting_for_ever)
{
    char address[128];
    broker *b = NULL;
    int status;

    (void)snprintf(address, sizeof(address), "%s?wait=1", instance_address(instance));
    cr_assert_eq(kill(instance_pid(instance), SIGSTOP), 0);
    cr_assert_eq(waitpid(instance_pid(instance), &status, WUNTRACED), instance_pid(instance));
    cr_assert_eq(broker_open(address, &b), BROKER_NODAEMON);
    cr_assert_not_null(strstr(broker_last_error(), "does not answer"));
    cr_assert_eq(kill(instance_pid(instance), SIGCONT), 0);
    cr_assert(raw_await_sessions(instance, 0) || raw_status(instance).n_sessions == 1);
}
