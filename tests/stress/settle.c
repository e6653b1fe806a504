/*
 * settle.c - see settle.h
 */
#include "settle.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>

#include "client/handle.h"
#include "core/audit.h"
#include "core/clock.h"
#include "core/session.h"
#include "value/value.h"

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

static unsigned count_sessions(struct bri_arena *a)
{
    struct bri_session_info info;
    unsigned n = 0;

    for (uint32_t i = 0; bri_session_info(a, i, &info) == 0; i++)
        n += info.status != BRI_SESSION_FREE;
    return n;
}

struct left {
    unsigned n_fds, n_sessions;
};

static bool is_only(const struct left *left, unsigned n_fds)
{
    return left->n_fds == n_fds && left->n_sessions == 1;
}

/*
 * With an answer of the daemon to this process before: what was before that is done then. Sessions
 * are counted as well, since one whose process had died before the daemon started costs it no
 * descriptor.
 */
static struct left count_until(const struct instance *i, unsigned n_fds, int64_t deadline)
{
    struct left left = {0};
    broker *b;

    if (broker_open(instance_address(i), &b) < 0) {
        (void)fprintf(stderr, "broker_open: %s\n", broker_last_error());
        return left;
    }
    do
        left = (struct left){
            .n_fds = count_fds(instance_pid(i)), .n_sessions = count_sessions(b->arena)};
    while (!is_only(&left, n_fds) && bri_now() < deadline);
    broker_close(b);
    return left;
}

unsigned settle_count_fds(const struct instance *i)
{
    return count_until(i, 0, 0).n_fds;
}

bool settle_await(const struct instance *i, unsigned n_fds)
{
    struct left left = count_until(i, n_fds, bri_now() + PATIENCE_NS);

    if (!is_only(&left, n_fds))
        (void)fprintf(stderr,
            "the daemon had %u descriptors open, and has %u now; sessions but ours: %d\n", n_fds,
            left.n_fds, (int)left.n_sessions - 1);
    return is_only(&left, n_fds);
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

bool settle_stat(broker *b, const char *name, const char *field, uint64_t *out_number)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value stat, k, v = {.type = BROKER_NIL};
    struct bri_iter it;
    const void *p;
    size_t size;
    bool found = false;

    if (broker_stat(b, name, &buffer, &stat) < 0 || bri_iter_map(&it, stat.data, stat.size) < 0)
        return false;
    while (!found && bri_iter_next(&it, &p, &size) == 0) {
        found = bri_value_decode(p, size, &k) == 0 && k.size == strlen(field) &&
                memcmp(k.data, field, k.size) == 0;
        if (bri_iter_next(&it, &p, &size) < 0 || bri_value_decode(p, size, &v) < 0)
            break;
    }
    broker_buffer_free(&buffer);
    *out_number = v.type == BROKER_UINT ? v.u : (uint64_t)v.i;
    return found && (v.type == BROKER_UINT || v.type == BROKER_INT);
}
