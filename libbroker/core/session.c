/*
 * session.c - see session.h
 */
#include "core/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/heap.h"
#include "core/pages.h"
#include "core/quota.h"

int bri_session_object(struct bri_arena *a, uint32_t number, struct bri_object *out_session)
{
    if (number >= a->n_sessions)
        return BROKER_INVALID;
    return bri_object_bind(a, a->first_slot + 1 + number, out_session);
}

/* What /proc says of a process: one read tells name and start. */
struct process {
    uint64_t start_time;
    char comm[16];
};

static int look_up_process(pid_t pid, struct process *out)
{
    char path[40], line[1024];
    const char *p, *name;
    ssize_t n = -1;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, line, sizeof(line) - 1);
        (void)close(fd);
    }
    line[n > 0 ? n : 0] = '\0';
    name = strchr(line, '(');
    p = strrchr(line, ')'); /* the name may hold anything */
    if (name == NULL || p == NULL)
        return BROKER_NOTFOUND;
    (void)snprintf(out->comm, sizeof(out->comm), "%.*s", (int)(p - name - 1), name + 1);
    for (int field = 2; p != NULL && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (p == NULL)
        return BROKER_NOTFOUND;
    out->start_time = strtoull(p + 1, NULL, 10);
    return 0;
}

int bri_process_start_time(pid_t pid, uint64_t *out_start_time)
{
    struct process process;
    int r = look_up_process(pid, &process);

    if (r == 0)
        *out_start_time = process.start_time;
    return r;
}

struct create {
    const struct bri_peer *peer;
    struct process process;
};

/* In the section of a free session's slot. */
static int fill_session(struct bri_txn *t, const struct create *c)
{
    struct bri_object *o = t->o;
    struct bri_session_shm *s = bri_session_state(o);
    uint32_t page = bri_claim(t, 1, o->id, BRI_PAGE_ROOT);

    if (page == 0)
        return t->failed;
    bri_heap_init(bri_page_at(o->arena, page), 0);
    /* Nobody looks at these while the status says free. */
    s->start_time = c->process.start_time;
    s->uid = c->peer->uid;
    s->gid = c->peer->gid;
    s->access = c->peer->may_write ? 2 : 1;
    s->n_attachments = 0;
    s->first_attachment = 0;
    o->slot->scan_epoch = 0;
    o->slot->scan = 0;
    s->attached_ns = (uint64_t)bri_clock(CLOCK_REALTIME);
    atomic_store(&s->mapped, 0);
    memcpy(s->comm, c->peer->name[0] != '\0' ? c->peer->name : c->process.comm, sizeof(s->comm));
    bri_set32(t, &s->pid, (uint32_t)c->peer->pid);
    bri_set_atomic32(t, &o->slot->root_page, page);
    bri_set_atomic64(t, &o->slot->generation, o->generation + 1);
    bri_set_atomic32(t, &s->status, BRI_SESSION_LIVE);
    return 0;
}

static int try_create(struct bri_arena *a, uint32_t number, const struct create *c)
{
    struct bri_object o;
    struct bri_txn t;
    int r;

    do {
        r = bri_session_object(a, number, &o);
        if (r < 0)
            return r;
        if (atomic_load(&bri_session_state(&o)->status) != BRI_SESSION_FREE)
            return BROKER_EXISTS;
        r = bri_begin(
            &t, &o, -BRI_MILLISECOND); /* held by a stopped process: the next one will do */
        if (r < 0)
            return r;
        if (atomic_load(&bri_session_state(&o)->status) == BRI_SESSION_FREE)
            r = fill_session(&t, c);
        else
            r = BROKER_EXISTS;
        r = bri_end(&t, r);
    } while (r == BRI_AGAIN);
    return r;
}

int bri_session_create(struct bri_arena *a, const struct bri_peer *peer, uint32_t *out_number)
{
    struct create c = {.peer = peer};
    int r = look_up_process(peer->pid, &c.process);

    if (r == 0)
        r = bri_quota_check_sessions(a, peer->uid);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < a->n_sessions; i++) {
        r = try_create(a, i, &c);
        if (r == 0) {
            *out_number = i;
            return 0;
        }
        if (r == BROKER_NOMEM)
            return r;
    }
    return BROKER_LIMIT;
}

int bri_session_info(struct bri_arena *a, uint32_t number, struct bri_session_info *out_info)
{
    const struct bri_slot_shm *slot;
    struct bri_session_shm s;

    if (number >= a->n_sessions)
        return BROKER_INVALID;
    slot = bri_slot_at(a, a->first_slot + 1 + number);
    memcpy(&s, slot->state, sizeof(s)); /* one copy; a torn one is only a picture */
    *out_info = (struct bri_session_info){
        .number = number,
        .status = s.status,
        .pid = s.pid,
        .uid = s.uid,
        .gid = s.gid,
        .start_time = s.start_time,
        .attached_ns = s.attached_ns,
        .n_attachments = s.n_attachments,
        .may_write = s.access == 2,
        .mapped = atomic_load(&s.mapped) != 0,
    };
    memcpy(out_info->comm, s.comm, sizeof(out_info->comm));
    out_info->comm[sizeof(out_info->comm) - 1] = '\0';
    return 0;
}

/* A pidfd is readable when all threads of the process are gone; it names one process even if the
 * pid is used again. */
bool bri_process_ended(pid_t pid)
{
    struct pollfd p = {.events = POLLIN};
    bool ended;

    p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (p.fd < 0)
        return errno == ESRCH ||
               errno == EINVAL; /* or another process has a thread of that number */
    ended = poll(&p, 1, 0) == 1;
    (void)close(p.fd);
    return ended;
}

bool bri_session_is_dead(struct bri_arena *a, uint32_t number)
{
    struct bri_session_info info;
    uint64_t start_time = 0;

    if (bri_session_info(a, number, &info) < 0 || info.status == BRI_SESSION_FREE)
        return false;
    if (info.status == BRI_SESSION_DEAD)
        return true;
    if (bri_process_ended((pid_t)info.pid))
        return true;
    /* Another process under its number? Whoever cannot be looked at may live: without descriptors
     * left, and where /proc shows only one's own processes. */
    return bri_process_start_time((pid_t)info.pid, &start_time) == 0 &&
           start_time != info.start_time;
}
