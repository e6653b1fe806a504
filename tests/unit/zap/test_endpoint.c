/*
 * test_endpoint.c - the process behind the ZeroMQ socket: started, started again, ended, and alone
 * trusted to act for others
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "client/attach.h"
#include "core/clock.h"
#include "support/pair.h"

static struct pair pair;

static void begin(void)
{
    pair_start(&pair, "");
}

static void end(void)
{
    pair_stop(&pair);
}

TestSuite(endpoint, .init = begin, .fini = end, .timeout = 120);

Test(endpoint, is_started_again_when_it_dies)
{
    pid_t first = pair_endpoint(&pair);

    cr_assert_eq(kill(first, SIGKILL), 0);
    pair_await_another(&pair, first);
    pair_expect_well(&pair);
}

/* It is told to read its list anew before it listens to signals. */
Test(endpoint, goes_on_when_the_configuration_is_read_while_it_starts)
{
    pid_t first = pair_endpoint(&pair), second;

    cr_assert_eq(kill(first, SIGKILL), 0);
    do
        second = pair_endpoint(&pair);
    while (second == first);
    instance_reload(pair.instance, "[arena default]\nsize = 16M\n[zmq]\nipc = yes\n");
    pair_expect_same(&pair, second);
}

/* Sees to it that what a dead endpoint's sessions held comes back. */
Test(endpoint, gives_back_what_it_held_when_it_dies)
{
    pid_t first = pair_endpoint(&pair);
    broker_lock *theirs, *ours;
    uint64_t token;
    broker *remote;
    int r;

    cr_assert_eq(broker_open(pair.ipc, &remote), 0);
    cr_assert_eq(broker_lock_open(remote, "gate", NULL, &theirs), 0);
    cr_assert_eq(broker_lock_acquire(theirs, 0, &token), 0);
    cr_assert_eq(broker_lock_open(pair.broker, "gate", NULL, &ours), 0);
    cr_assert_eq(broker_lock_acquire(ours, 0, &token), BROKER_TIMEDOUT);
    cr_assert_eq(kill(first, SIGKILL), 0);
    r = broker_lock_acquire(ours, 30 * BROKER_SECOND, &token);
    cr_assert_eq(r, BROKER_OWNER_DIED, "%d", r);
    broker_lock_close(ours);
    broker_lock_close(theirs);
    broker_close(remote);
}

Test(endpoint, ends_with_the_daemon_however_that_ends)
{
    pid_t endpoint = pair_endpoint(&pair);
    int64_t until = bri_now() + 30 * BRI_SECOND;
    char path[32], target[8];

    instance_kill(pair.instance);
    /* Nobody of ours waits for it: it is gone once init, or who stands in for it, has seen it. */
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)endpoint);
    while (readlink(path, target, sizeof(target)) > 0)
        cr_assert_lt(bri_now(), until);
    instance_restart(pair.instance);
    pair.daemon = instance_pid(pair.instance);
    pair_expect_well(&pair);
    endpoint = pair_endpoint(&pair);
    cr_assert_eq(instance_end(pair.instance), 0);
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)endpoint);
    cr_assert_eq(access(path, F_OK), -1);
    instance_restart(pair.instance);
}

static bool has_argument(pid_t pid, const char *argument)
{
    char path[32], all[4096];
    bool found = false;
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    f = fopen(path, "re");
    cr_assert_not_null(f);
    n = fread(all, 1, sizeof(all) - 1, f);
    (void)fclose(f);
    all[n] = '\0';
    for (size_t i = 0; i < n && !found; i += strlen(all + i) + 1)
        found = strcmp(all + i, argument) == 0;
    return found;
}

Test(endpoint, new_settings_start_it_anew_and_the_same_do_not)
{
    static const char same[] = "[arena default]\nsize = 16M\n[zmq]\nipc = yes\n";
    int64_t until = bri_now() + 30 * BRI_SECOND;
    pid_t first = pair_endpoint(&pair), second;

    instance_reload(pair.instance, same);
    pair_expect_same(&pair, first);
    instance_reload(pair.instance,
        "[arena default]\nsize = 16M\n[zmq]\nipc = yes\nmax_pending = 7\n"
        "max_queued = 15\nmax_unread = 5K\n");
    pair_await_another(&pair, first);
    second = pair_endpoint(&pair);
    cr_assert(has_argument(second, "--max-pending=7"));
    cr_assert(has_argument(second, "--max-queued=15"));
    cr_assert(has_argument(second, "--max-unread=5120"));
    instance_reload(pair.instance, "[arena default]\nsize = 16M\n[zmq]\nipc = no\n");
    while (access(pair.path, F_OK) == 0)
        cr_assert_lt(bri_now(), until, "the endpoint does not end");
    cr_assert_neq(kill(second, 0), 0);
    instance_reload(pair.instance, same);
    pair_await_another(&pair, second);
}

Test(endpoint, nobody_else_may_attach_on_behalf_of_others)
{
    const struct bri_behalf behalf = {.uid = 12345, .gid = 12345};
    struct bri_address address = {.arena = "default", .behalf = &behalf};
    struct bri_attached attached;

    (void)snprintf(address.path, sizeof(address.path), "%s/attach", instance_dir(pair.instance));
    cr_assert_eq(bri_attach_to(&address, NULL, &attached), BROKER_ACCESS);
    cr_assert_not_null(strstr(broker_last_error(), "endpoint"), "%s", broker_last_error());
    pair_expect_well(&pair);
}

/* What another user gets: 0, or 1 for ACCESS; 2 for anything else. */
static int visit_as_nobody(void)
{
    broker *b;
    pid_t child = fork();
    int r, status;

    cr_assert_geq(child, 0);
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(99);
        r = broker_open(pair.ipc, &b);
        _exit(r == 0 ? 0 : r == BROKER_ACCESS ? 1 : 2);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(endpoint, users_have_their_own_rights)
{
    if (geteuid() != 0)
        cr_skip("only root can be another user");
    cr_assert_eq(chmod(instance_dir(pair.instance), 0755), 0);
    cr_assert_eq(visit_as_nobody(), 1);
    instance_reload(
        pair.instance, "[arena default]\nsize = 16M\nwrite = 0 65534\n[zmq]\nipc = yes\n");
    cr_assert_eq(visit_as_nobody(), 0);
}

/* ---- a socket of the service manager's ---- */

static struct instance *kept;
static char kept_path[64];

static void start_by_socket(void)
{
    kept = instance_start_by_socket("[arena default]\nsize = 16M\n[zmq]\nipc = yes\n");
    (void)snprintf(kept_path, sizeof(kept_path), "%s/zmq", instance_dir(kept));
}

static void stop_by_socket(void)
{
    instance_stop(kept);
}

TestSuite(endpoint_by_socket, .init = start_by_socket, .fini = stop_by_socket, .timeout = 120);

/* 0 when it was served. */
static int come(void)
{
    char address[128];
    broker *b;
    int r;

    (void)snprintf(address, sizeof(address), "%s?wait=60", instance_zmq_address(kept));
    r = broker_open(address, &b);
    if (r == 0)
        broker_close(b);
    return r;
}

static pid_t await_endpoint(pid_t old)
{
    int64_t until = bri_now() + 30 * BRI_SECOND;
    pid_t pid;

    while ((pid = instance_zmq_pid(kept)) == 0 || pid == old)
        cr_assert_lt(bri_now(), until, "there is no endpoint");
    return pid;
}

static ino_t inode(void)
{
    struct stat st;

    cr_assert_eq(stat(kept_path, &st), 0, "the socket is gone, which is not ours to remove");
    return st.st_ino;
}

Test(endpoint_by_socket, it_listens_there_and_so_does_the_next_one)
{
    ino_t before = inode();
    pid_t first = await_endpoint(0);

    cr_assert_eq(come(), 0, "%s", broker_last_error());
    cr_assert_eq(kill(first, SIGKILL), 0);
    cr_assert_eq(come(), 0, "%s", broker_last_error());
    cr_assert_neq(await_endpoint(first), first);
    cr_assert_eq(instance_end(kept), 0);
    cr_assert_eq(inode(), before);
    instance_restart(kept);
    cr_assert_eq(come(), 0, "%s", broker_last_error());
    cr_assert_eq(inode(), before);
}

Test(endpoint_by_socket, who_comes_while_there_is_no_daemon_waits_for_it)
{
    struct pollfd p = {.fd = instance_zmq_socket(kept), .events = POLLIN};
    int status;
    pid_t pid;

    cr_assert_eq(instance_end(kept), 0);
    pid = fork();
    if (pid == 0)
        _exit(-come());
    cr_assert_eq(poll(&p, 1, 20000), 1, "nobody came");
    instance_restart(kept);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}
