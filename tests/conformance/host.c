/*
 * host.c - see host.h
 *
 * The daemon is the child of a process that is there for it alone, and ends it when the other end
 * of a pipe is closed: also when the run is killed. What cases must know is in the environment,
 * which Criterion's processes inherit.
 */
#include "conformance/host.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/curve.h"
#include "support/instance.h"

/* brokerd-zmq keeps those that it has seen, up to a number. A case that comes later waits until the
 * one that had its arena is over. */
#define N_ARENAS 48u
#define ADDRESS "BROKER_TEST_HOST_ADDRESS"
#define FOLDER "BROKER_TEST_HOST_FOLDER"
#define ENDPOINT "BROKER_TEST_HOST_ENDPOINT"

/* Who was killed is found out by silence over tcp. Short enough for cases that wait for it, and
 * long enough for a machine that has other things to do. Requests may be as large and as many as
 * those of the cases. */
#define ZMQ_LINES "[zmq]\ntimeout = 2s\nmax_message = 8M\nmax_pending = 4096\n"

static char folder[32];                   /* keys, and what tells whose an arena is */
static int keeper = -1, keeper_says = -1; /* pipes: while the first is open, the broker runs */

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "host: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* The file @name of the folder. */
static void path_of(const char *name, char out[64])
{
    (void)snprintf(out, 64, "%s/%s", folder, name);
}

/* ---- the process that has the broker ---- */

/* One key, which may do everything. */
static void make_keys(void)
{
    char path[64], public[CURVE_KEY_TEXT];
    FILE *f;

    path_of("server", path);
    curve_make_key(path, public);
    path_of("client", path);
    curve_make_key(path, public);
    path_of("clients", path);
    f = fopen(path, "we");
    if (f == NULL || fchmod(fileno(f), 0600) != 0 || fprintf(f, "%s client *:rw\n", public) < 0 ||
        fclose(f) != 0)
        die("cannot write the list of clients");
}

/* Gives the configuration that the road needs; and the address of the broker if it is known
 * before it runs, up to the name of the arena. */
static void configure(const char *road, FILE *config, char *address, size_t size)
{
    unsigned port;

    (void)fputs("[broker]\nlog_level = error\n", config);
    for (unsigned i = 0; i < N_ARENAS; i++)
        (void)fprintf(config, "[arena case%u]\n", i);
    if (strcmp(road, "unix") == 0)
        return;
    (void)fputs(ZMQ_LINES, config);
    if (strcmp(road, "tcp") != 0)
        return;
    port = curve_take_port();
    make_keys();
    (void)fprintf(config,
        "ipc = no\ntcp = 127.0.0.1:%u\nserver_key = %s/server\nclients = %s/clients\n", port,
        folder, folder);
    (void)snprintf(address, size,
        "tcp://127.0.0.1:%u?server=%s/server.pub&key=%s/client&arena=", port, folder, folder);
}

static struct instance *start(const char *road, char *address, size_t size)
{
    struct instance *instance;
    char *text = NULL;
    size_t n;
    FILE *config = open_memstream(&text, &n);

    address[0] = '\0';
    if (config == NULL)
        die("no memory");
    configure(road, config, address, size);
    if (fclose(config) != 0)
        die("no memory");
    instance = instance_start(text);
    free(text);
    if (address[0] == '\0')
        (void)snprintf(address, size, "%s?arena=",
            strcmp(road, "ipc") == 0 ? instance_zmq_address(instance) : instance_address(instance));
    return instance;
}

static pid_t await_endpoint(const struct instance *instance)
{
    pid_t pid;

    while ((pid = instance_zmq_pid(instance)) == 0)
        (void)sched_yield();
    return pid;
}

static void remove_folder(void)
{
    static const char *const names[] = {
        "server", "server.pub", "client", "client.pub", "clients", "turn"};
    char name[32], path[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path);
        (void)unlink(path);
    }
    for (unsigned i = 0; i < N_ARENAS; i++) {
        (void)snprintf(name, sizeof(name), "case%u", i);
        path_of(name, path);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* Says where the broker is, and has it until the run is over. */
static _Noreturn void keep(const char *road, int in, int out)
{
    char address[320], c;
    struct instance *instance;
    pid_t endpoint = 0;

    (void)signal(SIGINT, SIG_IGN); /* the run ends by it, and then this */
    instance = start(road, address, sizeof(address));
    if (strcmp(road, "unix") != 0)
        endpoint = await_endpoint(instance);
    (void)dprintf(out, "%d %s\n", (int)endpoint, address);
    while (read(in, &c, 1) < 0 && errno == EINTR)
        continue;
    instance_stop(instance);
    remove_folder();
    _exit(0);
}

/* ---- the run ---- */

/* A line of the other process; nothing when it has ended. */
static void hear(char *out_text, size_t size)
{
    size_t used = 0;

    while (used < size - 1 && read(keeper_says, &out_text[used], 1) == 1 && out_text[used] != '\n')
        used++;
    out_text[used] = '\0';
}

void host_start(const char *road)
{
    int there[2], back[2];
    char text[384], *address;
    pid_t pid;

    (void)snprintf(folder, sizeof(folder), "/tmp/broker-host-XXXXXX");
    if (mkdtemp(folder) == NULL || pipe2(there, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0)
        die("cannot make a folder and pipes");
    pid = fork();
    if (pid < 0)
        die("cannot fork");
    if (pid == 0) {
        (void)close(there[1]);
        (void)close(back[0]);
        keep(road, there[0], back[1]);
    }
    (void)close(there[0]);
    (void)close(back[1]);
    keeper = there[1];
    keeper_says = back[0];
    hear(text, sizeof(text));
    address = strchr(text, ' ');
    if (address == NULL)
        die("there is no broker (see above why)");
    *address++ = '\0';
    (void)setenv(ENDPOINT, text, 1);
    (void)setenv(ADDRESS, address, 1);
    (void)setenv(FOLDER, folder, 1);
}

void host_stop(void)
{
    char nothing[8];

    if (keeper < 0)
        return;
    (void)close(keeper);
    hear(nothing, sizeof(nothing));
    (void)close(keeper_says);
    keeper = keeper_says = -1;
}

/* ---- a case ---- */

bool host_is_there(void)
{
    return getenv(FOLDER) != NULL;
}

pid_t host_endpoint(void)
{
    const char *pid = getenv(ENDPOINT);

    return pid != NULL ? atoi(pid) : 0;
}

/* The arenas go round, so that each rests for as long as possible. The place behind what was
 * appended is this process's alone. */
static unsigned next_turn(void)
{
    char path[64];
    off_t turn = -1;
    int fd;

    path_of("turn", path);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1 || (turn = lseek(fd, 0, SEEK_CUR)) < 0)
        die("cannot take turns");
    (void)close(fd);
    return (unsigned)turn % N_ARENAS;
}

/* Children have the descriptor, too. */
const char *host_take_arena(void)
{
    static char address[320];
    const char *given = getenv(FOLDER);
    char name[16], path[64];
    int fd;

    (void)snprintf(folder, sizeof(folder), "%s", given);
    (void)snprintf(name, sizeof(name), "case%u", next_turn());
    path_of(name, path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        die("cannot take an arena");
    (void)snprintf(address, sizeof(address), "%s%s", getenv(ADDRESS), name);
    return address;
}
