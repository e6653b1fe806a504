/*
 * lab.c - see lab.h
 */
#include "lab.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "core/audit.h"
#include "core/pages.h"
#include "core/session.h"

int lab_file(void)
{
    int fd = memfd_create("lab", MFD_CLOEXEC);

    cr_assert_geq(fd, 0);
    return fd;
}

struct bri_arena *lab_arena(uint64_t size)
{
    struct bri_arena_options options = {.name = "lab", .size = size, .n_sessions = 8};
    struct bri_arena *a = NULL;

    cr_assert_eq(bri_arena_create(lab_file(), &options, &a), 0);
    return a;
}

struct bri_arena *lab_map(const struct bri_arena *a)
{
    struct bri_arena *same = NULL;
    int fd = dup(a->fd);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bri_arena_map(fd, false, &same, NULL), 0);
    return same;
}

struct bri_arena *lab_view(const struct bri_arena *a)
{
    void *image = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, a->fd, 0);
    struct bri_arena *view = NULL;

    cr_assert_neq(image, MAP_FAILED);
    cr_assert_eq(bri_arena_view(image, a->size, &view), 0);
    return view;
}

void lab_unview(struct bri_arena *view)
{
    void *image = view->base;
    uint64_t size = view->size;

    bri_arena_unmap(view);
    cr_assert_eq(munmap(image, size), 0);
}

struct bri_object lab_session(struct bri_arena *a, uint32_t *out_number)
{
    struct bri_peer me = {.pid = getpid(), .uid = geteuid(), .gid = getegid(), .may_write = true};
    struct bri_object session = {0};

    cr_assert_eq(bri_session_create(a, &me, out_number), 0);
    cr_assert_eq(bri_session_object(a, *out_number, &session), 0);
    return session;
}

struct bri_object lab_object(
    struct bri_arena *a, const char *name, uint32_t type, uint64_t quota_bytes)
{
    struct bri_open open = {.name = name,
        .type = bri_type_ops(type),
        .mode = BRI_OPEN_CREATE,
        .quota_bytes = quota_bytes,
        .uid = geteuid()};
    struct bri_object o = {0};

    cr_assert_eq(bri_registry_open(a, &open, &o), 0);
    return o;
}

uint32_t lab_used(struct bri_arena *a)
{
    struct bri_page_count count = {0};

    while (!bri_pages_count_on(a, &count, 1))
        ;
    return count.n_used;
}

uint32_t lab_free(struct bri_arena *a)
{
    struct bri_page_count count = {0};

    cr_assert(bri_pages_count_on(a, &count, UINT32_MAX));
    return count.n_free;
}

static void report(void *arg, const char *object, const char *problem)
{
    (void)arg;
    cr_log_error("%s: %s", object, problem);
}

void lab_audit(struct bri_arena *a)
{
    struct bri_audit audit = {.report = report, .quiet_arena = true};

    cr_assert_eq(bri_audit_arena(a, &audit), 0);
    cr_assert_eq(audit.n_problems, 0, "the audit found something");
}

static void *hold(void *arg)
{
    struct lab_holder *h = arg;
    struct bri_txn t;
    int r = bri_begin(&t, &h->o, BRI_PATIENCE);

    (void)pthread_barrier_wait(&h->inside);
    (void)pthread_barrier_wait(&h->leave);
    if (r == 0)
        bri_abort(&t);
    return NULL;
}

void lab_hold(struct lab_holder *h)
{
    cr_assert_eq(pthread_barrier_init(&h->inside, NULL, 2), 0);
    cr_assert_eq(pthread_barrier_init(&h->leave, NULL, 2), 0);
    cr_assert_eq(pthread_create(&h->thread, NULL, hold, h), 0);
    (void)pthread_barrier_wait(&h->inside);
}

void lab_let_go(struct lab_holder *h)
{
    (void)pthread_barrier_wait(&h->leave);
    cr_assert_eq(pthread_join(h->thread, NULL), 0);
    (void)pthread_barrier_destroy(&h->inside);
    (void)pthread_barrier_destroy(&h->leave);
}

int lab_child(int (*run)(void *arg), void *arg)
{
    pid_t parent = getpid(), pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(99);
        _exit(run(arg));
    }
    while (waitpid(pid, &status, 0) < 0)
        cr_assert_eq(errno, EINTR);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
