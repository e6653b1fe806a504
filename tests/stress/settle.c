/*
 * settle.c - see settle.h
 */
#include "settle.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <broker.h>

#include "core/audit.h"
#include "core/clock.h"

#define PATIENCE_NS (10 * BRI_SECOND)

static unsigned count_fds(pid_t pid)
{
    const struct dirent *entry;
    unsigned n = 0;
    char path[40];
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

/* With an answer of the daemon to this process before: what was before that is done then. */
static unsigned count_until(const struct instance *i, unsigned n, int64_t deadline)
{
    unsigned found = 0;
    broker *b;

    if (broker_open(instance_address(i), &b) < 0) {
        (void)fprintf(stderr, "broker_open: %s\n", broker_last_error());
        return 0;
    }
    do
        found = count_fds(instance_pid(i));
    while (found != n && bri_now() < deadline);
    broker_close(b);
    return found;
}

unsigned settle_count_fds(const struct instance *i)
{
    return count_until(i, 0, 0);
}

bool settle_await_fds(const struct instance *i, unsigned n)
{
    unsigned found = count_until(i, n, bri_now() + PATIENCE_NS);

    if (found != n)
        (void)fprintf(stderr, "the daemon had %u descriptors open, and has %u now\n", n, found);
    return found == n;
}

static void print_problem(void *arg, const char *object, const char *problem)
{
    (void)arg;
    (void)fprintf(stderr, "audit: %s: %s\n", object, problem);
}

static bool audit_map(struct bri_arena *a, bool must_be_empty)
{
    struct bri_audit audit = {.report = print_problem, .quiet_arena = true};
    int r = bri_audit_arena(a, &audit);

    if (r < 0)
        (void)fprintf(stderr, "the audit could not be done: %s\n", broker_error_name(r));
    if (audit.n_sessions > 0)
        (void)fprintf(stderr, "%llu sessions are left\n", (unsigned long long)audit.n_sessions);
    if (must_be_empty && audit.n_objects > 0)
        (void)fprintf(stderr, "%llu objects are left\n", (unsigned long long)audit.n_objects);
    (void)printf("audit: %llu objects, %llu pages used, %llu free\n",
        (unsigned long long)audit.n_objects, (unsigned long long)audit.n_pages_used,
        (unsigned long long)audit.n_pages_free);
    return r == 0 && audit.n_problems == 0 && audit.n_sessions == 0 &&
           (!must_be_empty || audit.n_objects == 0);
}

bool settle_audit(struct instance *i, bool must_be_empty)
{
    int status = instance_end(i), fd = open(instance_arena_path(i), O_RDWR | O_CLOEXEC), r;
    struct bri_arena *a;
    bool sound;

    if (status != 0) {
        (void)fprintf(stderr, "the daemon ended with status %d\n", status);
        return false;
    }
    r = fd >= 0 ? bri_arena_map(fd, false, &a, NULL) : BROKER_NOTFOUND;
    if (r < 0) {
        (void)fprintf(stderr, "the arena cannot be mapped: %s\n", broker_error_name(r));
        return false;
    }
    sound = audit_map(a, must_be_empty);
    bri_arena_unmap(a);
    return sound;
}
