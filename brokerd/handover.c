/*
 * handover.c - see handover.h
 */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <broker/errors.h>

#include "clients.h"
#include "core/clock.h"
#include "core/registry.h"
#include "core/seal.h"
#include "core/session.h"
#include "endpoint.h"
#include "snapshot.h"

#define OWN_PROGRAM "/proc/self/exe"
#define REPLACED " (deleted)" /* what the kernel appends to the name of a file that has none */
#define ANSWER_NS (5 * BRI_SECOND)
#define ANSWER_MAX 256
#define PINS_NS (5 * BRI_SECOND)
#define PINS_USEC 20000
#define ASK_TRIES 5u
#define ASK_PAUSE_NS (100 * BRI_MILLISECOND)

/* ---- who comes next ---- */

/* The file that this program was started from, if another one lies there now. */
static bool find_replaced(char path[BROKERD_PATH_MAX])
{
    ssize_t n = readlink(OWN_PROGRAM, path, BROKERD_PATH_MAX - 1);
    struct stat mine, there;
    char *end;

    if (n <= 0)
        return false;
    path[n] = '\0';
    end = path + n - (ssize_t)strlen(REPLACED);
    if (end > path && strcmp(end, REPLACED) == 0)
        *end = '\0';
    return stat(OWN_PROGRAM, &mine) == 0 && stat(path, &there) == 0 &&
           (mine.st_dev != there.st_dev || mine.st_ino != there.st_ino);
}

/* After fork: only what is safe there. */
static _Noreturn void tell_version(const char *path, int out)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(out, STDOUT_FILENO) == STDOUT_FILENO)
        (void)execl(path, path, "--version", (char *)NULL);
    _exit(127);
}

/* What it prints, as far as it comes in time. */
static void read_answer(int fd, char text[ANSWER_MAX])
{
    int64_t until = bri_now() + ANSWER_NS, left;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t n = 0;
    ssize_t got = 1;

    while (got > 0 && n + 1 < ANSWER_MAX) {
        left = until - bri_now();
        if (left <= 0 || poll(&p, 1, (int)(left / BRI_MILLISECOND) + 1) <= 0)
            break;
        got = read(fd, text + n, ANSWER_MAX - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    text[n] = '\0';
}

/* Runs it, and gives its wait status; -1 with errno if it could not be started. */
static int run_program(const char *path, char text[ANSWER_MAX])
{
    int ends[2], status = -1, e = 0;
    pid_t pid;

    text[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid = fork();
    if (pid == 0)
        tell_version(path, ends[1]);
    if (pid < 0)
        e = errno;
    (void)close(ends[1]);
    if (pid > 0) {
        read_answer(ends[0], text);
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    (void)close(ends[0]);
    errno = e;
    return status;
}

/* The layout that the program at @path knows. On a busy machine a start may fail: so it is asked
 * some times. */
static bool ask(const char *path, unsigned out_layout[2])
{
    const struct timespec pause = {.tv_nsec = ASK_PAUSE_NS};
    char text[ANSWER_MAX];
    const char *line;
    int status;

    for (unsigned i = 0; i < ASK_TRIES; i++) {
        status = run_program(path, text);
        line = strstr(text, "\n" BROKERD_LAYOUT_LINE);
        if (line != NULL &&
            sscanf(line, "\n" BROKERD_LAYOUT_LINE "%u.%x", &out_layout[0], &out_layout[1]) == 2)
            return true;
        brokerd_log(LOG_WARNING, NULL, "%s --version: status %#x (%s), printed \"%s\"", path,
            (unsigned)status, strerror(errno), text);
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

bool brokerd_handover_is_due(const struct brokerd *d)
{
    char path[BROKERD_PATH_MAX];
    unsigned layout[2];

    if (d->place.kind == BROKERD_PRIVATE || !find_replaced(path))
        return false;
    if (!ask(path, layout)) {
        brokerd_log(LOG_WARNING, NULL,
            "%s was replaced, and does not tell which layout of memory it knows: the arenas are "
            "left as they are",
            path);
        return false;
    }
    if (layout[0] == bri_layout_version() && layout[1] == BRI_ABI)
        return false;
    brokerd_log(LOG_NOTICE, NULL,
        "%s knows layout %u.%08x and this brokerd %u.%08x: the arenas are saved for it, and the "
        "programs that use them have to attach again",
        path, layout[0], layout[1], bri_layout_version(), BRI_ABI);
    return true;
}

/* ---- handing over ---- */

static int seal(struct bri_arena *a, void *arg)
{
    int r = bri_seal(a);

    (void)arg;
    if (r < 0)
        (void)bri_unseal(a);
    return r;
}

static const struct brokerd_arena_config *find_config(
    const struct brokerd *d, const struct brokerd_arena *arena)
{
    const struct brokerd_arena_config *c = d->config->arenas;

    while (c != NULL && strcmp(c->name, arena->name) != 0)
        c = c->next;
    return c;
}

/* ---- who has pointers ---- */

struct pin {
    struct bri_pin where;
    char object[BRI_NAME_MAX + 1]; /* its name; empty: none */
    struct bri_session_info who;
};

/* 1 if there is one. */
static int find_pin(struct bri_arena *a, void *arg)
{
    struct pin *pin = arg;
    struct bri_object o;

    if (!bri_find_pin(a, &pin->where))
        return 0;
    if (bri_object_bind(a, pin->where.object, &o) == 0)
        bri_registry_name(&o, pin->object);
    (void)bri_session_info(a, pin->where.session, &pin->who);
    return 1;
}

static int unseal(struct bri_arena *a, void *arg)
{
    (void)arg;
    return bri_unseal(a);
}

static void give_back(struct brokerd_arena *arena)
{
    arena->is_pinned = false;
    arena->persist = true;
    (void)brokerd_arena_run(arena, unseal, NULL);
}

static void give_up(struct brokerd_arena *arena, const struct pin *pin)
{
    const struct brokerd_about about = {.arena = arena->name, .pid = (pid_t)pin->who.pid};

    give_back(arena);
    brokerd_log(LOG_ERR, &about,
        "the arena %s stays in memory, for the brokerd that made it: process %u (%s) has a pointer "
        "to the elements of the array \"%s\", and what it stores there could be lost; end it, and "
        "upgrade again",
        arena->name, pin->who.pid, pin->who.comm, pin->object);
}

/* Saves the arena if nobody has pointers into it; else that is for later. */
static void save_or_wait(struct brokerd *d, struct brokerd_arena *arena)
{
    struct pin pin = {.object = ""};
    bool waits = arena->is_pinned;
    int r = brokerd_arena_run(arena, find_pin, &pin);

    arena->is_pinned = r == 1;
    if (r < 0)
        return; /* it has ended */
    if (r == 0)
        brokerd_snapshot_hand_over(d, arena, find_config(d, arena));
    else if (waits && bri_now() >= d->pins_until_ns)
        give_up(arena, &pin);
    else if (!waits)
        brokerd_log(LOG_NOTICE, &(struct brokerd_about){.arena = arena->name},
            "process %u (%s) has a pointer to the elements of the array \"%s\": the arena %s is "
            "saved when it has closed the broker",
            pin.who.pid, pin.who.comm, pin.object, arena->name);
}

static void look_again(struct brokerd *d);

static int on_pins(sd_event_source *source, uint64_t usec, void *arg)
{
    struct brokerd *d = arg;

    (void)source;
    (void)usec;
    for (struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
        if (a->is_pinned)
            save_or_wait(d, a);
    look_again(d);
    brokerd_snapshot_end_if_stopped(d);
    return 0;
}

static void look_again(struct brokerd *d)
{
    bool is_pinned = false;

    d->pins = sd_event_source_disable_unref(d->pins);
    for (const struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
        is_pinned |= a->is_pinned;
    if (is_pinned && sd_event_add_time_relative(
                         d->event, &d->pins, CLOCK_MONOTONIC, PINS_USEC, 0, on_pins, d) < 0)
        brokerd_handover_end(d);
}

/* ---- all of it ---- */

static void hand_over(struct brokerd *d, struct brokerd_arena *arena)
{
    const struct brokerd_arena_config *config = find_config(d, arena);
    const struct brokerd_about about = {.arena = arena->name};
    int r;

    if (arena->map == NULL || arena->has_ended || config == NULL)
        return;                   /* the next one would not use it either */
    brokerd_snapshot_free(arena); /* a save that is under way would find it sealed */
    r = brokerd_arena_run(arena, seal, NULL);
    if (r < 0) {
        brokerd_log(LOG_ERR, &about, "the arena %s stays as it is: %s", arena->name,
            r == BROKER_TIMEDOUT ? "a process that is stopped is in the middle of a change"
                                 : broker_error_text(r));
        arena->persist = true;
    } else if (config->persist || config->snapshots) {
        save_or_wait(d, arena);
    } else {
        brokerd_log(LOG_WARNING, &about, "the arena %s ends: it is not persistent", arena->name);
        brokerd_inherit_forget(arena->name);
    }
}

void brokerd_handover_begin(struct brokerd *d)
{
    brokerd_endpoint_stop(d);
    brokerd_selftest_stop(d);
    /* Who comes now waits for the next one, where systemd has the socket. */
    d->hands_over = true;
    (void)sd_event_source_set_enabled(d->listener, SD_EVENT_OFF);
    for (struct brokerd_client *c = d->clients; c != NULL; c = c->next)
        if (c->arena == NULL) /* it has not said hello, and does so again elsewhere */
            brokerd_client_disconnect(c);
    d->pins_until_ns = bri_now() + PINS_NS;
    for (struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
        hand_over(d, a);
    look_again(d);
}

void brokerd_handover_end(struct brokerd *d)
{
    d->pins = sd_event_source_disable_unref(d->pins);
    for (struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
        if (a->is_pinned)
            give_back(a);
}
