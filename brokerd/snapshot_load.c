/*
 * snapshot_load.c - making an arena from its last good snapshot, at the start; see snapshot.h
 *
 * It is made under another name, which is swept away by whoever starts next. A snapshot that is
 * damaged is told, and the one before it tried; any other trouble ends the start: an arena that is
 * empty would look as if all were well, and be saved over what is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/session.h"
#include "notify.h"
#include "snapshot.h"
#include "snapshot_child.h"

#define LOADING ".loading"      /* behind the name of an arena that is not whole yet */
#define HANDED_OVER ".handover" /* behind the prefix of snapshots: no arena's name has a dot */
#define SHM_DIR "/dev/shm"
#define SAY_MS 5000        /* so often systemd is told that it goes on, */
#define SAY_USEC 30000000u /* and that it may take so long again */
#define PATH_MAX_HERE (sizeof(((struct brokerd_arena *)0)->shm_name) + 32)

struct loading {
    const struct brokerd_arena *arena;
    const struct brokerd_arena_config *config;
    struct bri_store store;
    char name[sizeof(((struct brokerd_arena *)0)->shm_name) + sizeof(LOADING)];
    struct brokerd_snapshot_packet result;
};

/* "/brokerd.INSTANCE.ARENA" without what every name has. */
void brokerd_snapshot_prefix(
    const struct brokerd_arena *arena, bool handed_over, char out[BROKERD_SNAPSHOT_PREFIX])
{
    (void)snprintf(out, BROKERD_SNAPSHOT_PREFIX, "%s%s", arena->shm_name + strlen("/brokerd."),
        handed_over ? HANDED_OVER : "");
}

static void loading_name(const struct brokerd_arena *arena, char *out, size_t size)
{
    (void)snprintf(out, size, "%s%s", arena->shm_name, LOADING);
}

void brokerd_snapshot_sweep(const struct brokerd_arena *arena)
{
    char name[PATH_MAX_HERE];

    loading_name(arena, name, sizeof(name));
    (void)shm_unlink(name);
}

static void fail(struct loading *x, int status, const char *text)
{
    x->result.status = status;
    (void)snprintf(x->result.text, sizeof(x->result.text), "%s", text);
}

/* ---- one snapshot ---- */

static struct bri_arena *make_arena(struct loading *x)
{
    const struct bri_arena_options options = {.name = x->config->name,
        .size = x->config->size_bytes,
        .n_sessions = (uint32_t)x->config->n_sessions};
    struct bri_arena *a;
    int fd, r;

    (void)shm_unlink(x->name);
    fd = shm_open(x->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(x, BROKER_SYSTEM, "cannot make an arena in /dev/shm");
        return NULL;
    }
    r = bri_arena_create(fd, &options, &a);
    if (r == 0)
        return a;
    (void)close(fd);
    fail(x, r, r == BROKER_NOMEM ? "/dev/shm is full" : "the arena is too small for its sessions");
    return NULL;
}

/* Waits for the child's result, and keeps systemd from losing patience. */
static bool await(struct loading *x, int sock)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    int n;

    for (;;) {
        n = poll(&p, 1, SAY_MS);
        if (n > 0)
            return brokerd_snapshot_receive(sock, &x->result);
        if (n < 0 && errno != EINTR)
            return false;
        brokerd_notify_patience(SAY_USEC);
    }
}

/* Lets the child fill the arena. What ends it is taken for damage of what it read. */
static void run_child(struct loading *x, struct bri_arena *a, uint64_t number)
{
    const struct brokerd_snapshot_job job = {
        .arena_fd = a->fd, .arena = x->arena->name, .store = x->store, .number = number};
    struct bri_peer peer = {.uid = geteuid(), .gid = getegid(), .may_write = true};
    char died[64], text[256];
    uint32_t session;
    int sock;
    bool ok;

    peer.pid = brokerd_snapshot_start(&job, &sock);
    if (peer.pid < 0) {
        fail(x, BROKER_SYSTEM, "cannot start a process that loads the arena");
        return;
    }
    if (bri_session_create(a, &peer, &session) < 0 || !brokerd_snapshot_tell(sock, session)) {
        brokerd_snapshot_end(peer.pid, true, died);
        fail(x, BROKER_SYSTEM, "cannot make a session for the process that loads the arena");
    } else {
        ok = await(x, sock);
        brokerd_snapshot_end(peer.pid, !ok, died);
        (void)snprintf(text, sizeof(text), "loading snapshot %llu came to no end: %s",
            (unsigned long long)number, died[0] != '\0' ? died : "it gave no result");
        if (!ok)
            fail(x, BROKER_CORRUPT, text);
    }
    (void)close(sock);
}

/* The whole arena gets its name in one step. */
static void give_name(struct loading *x)
{
    char from[PATH_MAX_HERE], to[PATH_MAX_HERE];

    (void)snprintf(from, sizeof(from), SHM_DIR "%s", x->name);
    (void)snprintf(to, sizeof(to), SHM_DIR "%s", x->arena->shm_name);
    if (rename(from, to) != 0)
        fail(x, BROKER_SYSTEM, "cannot give the loaded arena its name");
}

static void load_one(struct loading *x, uint64_t number)
{
    struct bri_arena *a;

    x->result = (struct brokerd_snapshot_packet){.status = BROKER_SYSTEM};
    a = make_arena(x);
    if (a == NULL)
        return;
    run_child(x, a, number);
    bri_arena_unmap(a);
    if (x->result.status == 0)
        give_name(x);
    if (x->result.status != 0)
        (void)shm_unlink(x->name);
}

/* ---- the last good one ---- */

/* What is wrong is the snapshot itself, and not that it cannot be loaded now. */
static bool is_damage(int status)
{
    switch (status) {
    case BROKER_NOMEM:
    case BROKER_QUOTA:
    case BROKER_LIMIT:
    case BROKER_SYSTEM:
    case BROKER_ACCESS:
    case BROKER_VERSION:
        return false;
    default:
        return true;
    }
}

static enum brokerd_loaded load_last(struct loading *x, const struct bri_store_list *list)
{
    const struct brokerd_about about = {.arena = x->arena->name};

    for (size_t i = 0; i < list->n; i++) {
        load_one(x, list->numbers[i]);
        if (x->result.status == 0) {
            brokerd_log(LOG_INFO, &about, "loaded the arena %s from %s (objects: %llu)",
                x->arena->name, x->result.text, (unsigned long long)x->result.n_objects);
            return BROKERD_LOADED;
        }
        brokerd_log(LOG_ERR, &about, "%s", x->result.text);
        if (!is_damage(x->result.status))
            return BROKERD_NOT_LOADED;
        if (i + 1 < list->n)
            brokerd_log(LOG_WARNING, &about,
                "the snapshot before it is used: what came after it "
                "is lost");
    }
    brokerd_log(LOG_ERR, &about,
        "no snapshot of the arena %s in %s is good: move them away to start with an empty one",
        x->arena->name, x->store.dir);
    return BROKERD_NOT_LOADED;
}

/* 0, or not: told. */
static int list_files(const struct brokerd_arena *arena, const struct bri_store *store,
    bool handed_over, struct bri_store_list *out_list)
{
    int r = bri_store_list(store, out_list);

    if (r == BROKER_ACCESS && handed_over) { /* nor could he before us have put anything there */
        *out_list = (struct bri_store_list){0};
        return 0;
    }
    if (r < 0)
        brokerd_log(LOG_ERR, &(struct brokerd_about){.arena = arena->name},
            "cannot look for snapshots in %s: %s", store->dir, broker_error_text(r));
    return r;
}

static enum brokerd_loaded load_from(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config, bool handed_over)
{
    char prefix[BROKERD_SNAPSHOT_PREFIX];
    struct loading x = {
        .arena = arena, .config = config, .store = {.dir = config->snapshot_dir, .prefix = prefix}};
    enum brokerd_loaded loaded;
    struct bri_store_list list;

    brokerd_snapshot_prefix(arena, handed_over, prefix);
    if (list_files(arena, &x.store, handed_over, &list) < 0)
        return BROKERD_NOT_LOADED;
    loading_name(arena, x.name, sizeof(x.name));
    loaded = list.n > 0 ? load_last(&x, &list) : BROKERD_NOTHING_TO_LOAD;
    bri_store_list_free(&list);
    return loaded;
}

enum brokerd_loaded brokerd_snapshot_load(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    return load_from(arena, config, false);
}

/* ---- what was handed over ---- */

enum brokerd_loaded brokerd_snapshot_take_over(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    return load_from(arena, config, true);
}

/* The files; how many, or as if there were none. */
static size_t each_handed_over(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config, bool remove_them)
{
    char prefix[BROKERD_SNAPSHOT_PREFIX], path[BRI_STORE_PATH_MAX];
    const struct bri_store store = {.dir = config->snapshot_dir, .prefix = prefix};
    struct bri_store_list list;
    size_t n;

    brokerd_snapshot_prefix(arena, true, prefix);
    if (list_files(arena, &store, true, &list) < 0)
        return 0;
    n = list.n;
    for (size_t i = 0; remove_them && i < n; i++)
        if (bri_store_path(&store, list.numbers[i], path) == 0 && unlink(path) != 0)
            brokerd_log(LOG_WARNING, &(struct brokerd_about){.arena = arena->name},
                "cannot remove %s: %s", path, strerror(errno));
    bri_store_list_free(&list);
    return n;
}

bool brokerd_snapshot_is_handed_over(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    return each_handed_over(arena, config, false) > 0;
}

void brokerd_snapshot_taken_over(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    (void)each_handed_over(arena, config, true);
}
