/*
 * snapshot_child.c - see snapshot_child.h
 *
 * The arena is mapped anew: a fork has none. Killed anywhere, a saver leaves the arena to be
 * recovered like any client, and the snapshots as they were; a loader leaves a half-filled arena
 * that nobody else knows.
 */
#include "snapshot_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <broker.h>

#include "client/local.h"
#include "core/clock.h"
#include "objects/pack.h"
#include "snapshot/file.h"
#include "snapshot/load.h"
#include "snapshot/save.h"

#define OOM_FIRST "1000" /* when memory is short, the daemon lives and this process does not */

/* ---- the daemon's side ---- */

bool brokerd_snapshot_tell(int sock, uint32_t session)
{
    const struct brokerd_snapshot_start start = {.session = session};

    return send(sock, &start, sizeof(start), MSG_NOSIGNAL) == sizeof(start);
}

bool brokerd_snapshot_receive(int sock, struct brokerd_snapshot_packet *out)
{
    ssize_t n;

    do
        n = recv(sock, out, sizeof(*out), 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof(*out))
        return false;
    out->text[sizeof(out->text) - 1] = '\0';
    return true;
}

void brokerd_snapshot_end(pid_t pid, bool kill_it, char out_text[64])
{
    int status = 0;

    out_text[0] = '\0';
    if (kill_it)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        (void)snprintf(out_text, 64, "it was ended by signal %d", WTERMSIG(status));
}

/* ---- the child's side ---- */

struct child {
    const struct brokerd_snapshot_job *job;
    int sock;
    struct bri_arena *arena;
    struct broker broker;
    /* of a save */
    struct bri_snapshot_writer *writer;
    int written; /* the failure of writing, as opposed to others */
    struct bri_saving saving;
    /* of a load */
    int fd;
    struct bri_snapshot_reader *reader;
};

/* Descriptors, signals and privileges that are the daemon's business alone. */
static void leave_daemon(int arena_fd, int sock, pid_t daemon)
{
    unsigned low = (unsigned)(arena_fd < sock ? arena_fd : sock);
    unsigned high = (unsigned)(arena_fd < sock ? sock : arena_fd);
    int fd;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != daemon)
        _exit(EXIT_FAILURE);
    (void)signal(SIGBUS, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (low > 3)
        (void)syscall(SYS_close_range, 3u, low - 1, 0u);
    if (high > low + 1)
        (void)syscall(SYS_close_range, low + 1, high - 1, 0u);
    (void)syscall(SYS_close_range, high + 1, ~0u, 0u);
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, OOM_FIRST, strlen(OOM_FIRST));
        (void)close(fd);
    }
}

static void tell(struct child *c, const struct brokerd_snapshot_packet *packet)
{
    (void)send(c->sock, packet, sizeof(*packet), MSG_NOSIGNAL);
}

/* ---- saving ---- */

static int write_record(void *arg, broker_value record)
{
    struct child *c = arg;

    c->written = bri_snapshot_write(
        c->writer, &(struct bri_snapshot_part){BRI_SNAPSHOT_OBJECT, record.data, record.size});
    return c->written;
}

static void leave_out(void *arg, const char *name, int why)
{
    struct brokerd_snapshot_packet note = {.kind = BROKERD_SNAPSHOT_NOTE};

    (void)snprintf(note.text, sizeof(note.text), "%s%s%s is not in the snapshot: %s",
        name[0] != '\0' ? "\"" : "an object without a name", name, name[0] != '\0' ? "\"" : "",
        broker_error_text(why));
    tell(arg, &note);
}

static int write_info(struct child *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;
    broker_value info;
    int r;

    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, 2);
    bri_pack_entry(&p, "arena", broker_str(c->job->arena));
    bri_pack_entry(&p, "brokerd", broker_str(broker_version()));
    r = bri_pack_end(&p, &info);
    if (r == 0)
        r = c->written = bri_snapshot_write(
            c->writer, &(struct bri_snapshot_part){BRI_SNAPSHOT_INFO, info.data, info.size});
    broker_buffer_free(&buffer);
    return r;
}

static int fill_file(int fd, void *arg)
{
    struct child *c = arg;
    int r = bri_snapshot_write_begin(fd, (uint64_t)bri_clock(CLOCK_REALTIME), &c->writer);

    if (r < 0)
        return r;
    r = write_info(c);
    if (r == 0)
        r = bri_save_arena(&c->broker, &c->saving);
    if (r == 0)
        r = c->written = bri_snapshot_write_end(c->writer);
    bri_snapshot_writer_free(c->writer);
    return r;
}

static void explain_save(const struct child *c, int r, char text[BROKERD_SNAPSHOT_TEXT])
{
    const char *why = broker_error_text(r);

    if (r == BROKER_NOMEM && c->written != 0)
        why = "the disk is full";
    else if (r == BROKER_ACCESS)
        why = "brokerd may not write there";
    (void)snprintf(text, BROKERD_SNAPSHOT_TEXT, "cannot save to %s: %s", c->job->store.dir, why);
}

static void save(struct child *c, struct brokerd_snapshot_packet *result)
{
    char path[BRI_STORE_PATH_MAX];
    int r;

    c->saving = (struct bri_saving){
        .record = write_record, .leave_out = leave_out, .arg = c, .with_owners = true};
    r = bri_store_save(&c->job->store, fill_file, c, path);
    result->status = r;
    result->n_objects = c->saving.n_objects;
    result->longest_ns = c->saving.longest_ns;
    if (r < 0)
        explain_save(c, r, result->text);
    else
        (void)snprintf(result->text, sizeof(result->text), "%s", path);
}

/* ---- loading ---- */

static int next_record(void *arg, bool again, broker_value *out)
{
    struct child *c = arg;
    struct bri_snapshot_part part;
    int r = 0;

    if (again) {
        bri_snapshot_reader_free(c->reader);
        c->reader = NULL;
        r = bri_snapshot_read_begin(c->fd, &c->reader);
    }
    do
        r = r == 0 ? bri_snapshot_read(c->reader, &part) : r;
    while (r == 0 && part.kind != BRI_SNAPSHOT_OBJECT);
    if (r < 0)
        return r;
    *out = broker_packed(part.data, part.size);
    return 0;
}

static void explain_load(
    const struct bri_loading *loading, int r, const char *path, char text[BROKERD_SNAPSHOT_TEXT])
{
    const char *name = loading->failed, *why = broker_error_text(r);

    if (r == BROKER_VERSION)
        why = "another version of brokerd wrote it";
    else if (r == BROKER_CORRUPT)
        why = "it is damaged";
    else if (r == BROKER_NOMEM)
        why = "the arena is too small for it: make it larger with `size`";
    (void)snprintf(text, BROKERD_SNAPSHOT_TEXT, "cannot load %s: %s%s%s%s", path,
        name[0] != '\0' ? "\"" : "", name, name[0] != '\0' ? "\": " : "", why);
}

static void load(struct child *c, struct brokerd_snapshot_packet *result)
{
    struct bri_loading loading = {.next = next_record, .arg = c, .for_owners = true};
    char path[BRI_STORE_PATH_MAX];
    uint64_t n;
    int r = bri_store_path(&c->job->store, c->job->number, path);

    c->fd = r == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (c->fd < 0)
        r = BROKER_SYSTEM;
    /* All of it, before the first object is made of it. */
    if (r == 0)
        r = bri_snapshot_verify(c->fd, &n);
    if (r == 0)
        r = bri_load_arena(&c->broker, &loading);
    bri_snapshot_reader_free(c->reader);
    result->status = r;
    result->n_objects = loading.n_objects;
    if (r < 0)
        explain_load(&loading, r, path, result->text);
    else
        (void)snprintf(result->text, sizeof(result->text), "%s", path);
}

/* ---- both ---- */

static int open_arena(struct child *c)
{
    struct brokerd_snapshot_start start;
    ssize_t n;
    int r;

    do
        n = recv(c->sock, &start, sizeof(start), 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof(start))
        _exit(EXIT_FAILURE); /* the daemon has thought better of it */
    r = bri_arena_map(c->job->arena_fd, false, &c->arena, NULL);
    if (r < 0)
        return r;
    c->arena->passes_seal = true; /* of what is handed over, which is ours to save */
    return bri_local_open(c->arena, start.session, &c->broker);
}

static _Noreturn void run(const struct brokerd_snapshot_job *job, int sock, pid_t daemon)
{
    struct child c = {.job = job, .sock = sock, .fd = -1};
    struct brokerd_snapshot_packet result = {.kind = BROKERD_SNAPSHOT_RESULT};

    leave_daemon(job->arena_fd, sock, daemon);
    result.status = open_arena(&c);
    if (result.status < 0)
        (void)snprintf(result.text, sizeof(result.text), "cannot use the memory of the arena: %s",
            broker_error_text(result.status));
    else if (job->number != 0)
        load(&c, &result);
    else
        save(&c, &result);
    if (c.broker.magic != 0)
        bri_local_close(&c.broker);
    tell(&c, &result);
    _exit(EXIT_SUCCESS);
}

pid_t brokerd_snapshot_start(const struct brokerd_snapshot_job *job, int *out_sock)
{
    pid_t daemon = getpid(), pid;
    int socks[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) != 0)
        return -1;
    pid = fork();
    if (pid == 0)
        run(job, socks[1], daemon);
    (void)close(socks[1]);
    if (pid < 0) {
        (void)close(socks[0]);
        return -1;
    }
    *out_sock = socks[0];
    return pid;
}
