/*
 * test_snapshot.c - an arena outlives the daemon and the machine: saved and loaded by the daemon
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/attach.h"
#include "client/connection.h"
#include "client/handle.h"
#include "raw.h"
#include "snapshot/store.h"
#include "support/folder.h"
#include "support/gives.h"

#define SOON_MS 20000

static struct instance *instance;
static broker *b;
static broker_buffer buffer;
static char dir[40], config[400], prefix[80];
static char again[40]; /* another instance */

static struct bri_store store = {.dir = dir, .prefix = prefix, .keep = 1};

/* The configuration with more lines; and the names that the instance's files get. */
static const char *with(const char *lines)
{
    (void)snprintf(config, sizeof(config),
        "[arena default]\nsnapshots = yes\nsnapshot_dir = %s\n%s", dir, lines);
    return config;
}

static void connect_again(void)
{
    OK(broker_open(instance_address(instance), &b));
}

static void start(const char *lines)
{
    const char *name;

    instance = instance_start(with(lines));
    name = strstr(instance_arena_path(instance), "brokerd.") + strlen("brokerd.");
    (void)snprintf(prefix, sizeof(prefix), "%s", name);
    connect_again();
}

/* Stops the daemon and starts it anew, as a restart or, without the arena, a reboot. */
static void restart(bool reboot)
{
    broker_close(b);
    if (reboot) {
        instance_kill(instance);
        (void)unlink(instance_arena_path(instance));
    }
    instance_restart(instance);
    connect_again();
}

static void make_dir(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/broker-snapshots-XXXXXX");
    folder_make(dir);
}

static void stop(void)
{
    broker_buffer_free(&buffer);
    broker_close(b);
    instance_stop(instance);
    folder_remove(dir);
}

TestSuite(snapshot, .init = make_dir, .fini = stop, .timeout = 100);

static void set(int64_t n)
{
    broker_dict *d;

    OK(broker_dict_open(b, "d", NULL, &d));
    OK(broker_dict_set(d, broker_str("n"), broker_int(n)));
    broker_dict_close(d);
}

/* What was set; -1: nothing. */
static int64_t get(void)
{
    broker_dict *d;
    broker_value v;
    int r = broker_dict_open(b, "d", &(broker_dict_options){.mode = BROKER_OPEN}, &d);

    if (r == BROKER_NOTFOUND)
        return -1;
    OK(r);
    OK(broker_dict_get(d, broker_str("n"), &buffer, &v));
    broker_dict_close(d);
    return v.i;
}

static void save(void)
{
    char path[BRI_ATTACH_TEXT];
    struct stat st;

    OK(bri_attach_save(b, path));
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    cr_assert_eq(st.st_mode & 0777, 0600, "nobody else's business");
}

static size_t count(uint64_t *out_newest)
{
    struct bri_store_list list;
    size_t n;

    cr_assert_eq(bri_store_list(&store, &list), 0);
    n = list.n;
    *out_newest = n > 0 ? list.numbers[0] : 0;
    bri_store_list_free(&list);
    return n;
}

/* Changes a byte of a snapshot. */
static void damage(uint64_t number, off_t at)
{
    char path[BRI_STORE_PATH_MAX];
    uint8_t byte;
    int fd;

    cr_assert_eq(bri_store_path(&store, number, path), 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static off_t size_of(uint64_t number)
{
    char path[BRI_STORE_PATH_MAX];
    struct stat st;

    cr_assert_eq(bri_store_path(&store, number, path), 0);
    cr_assert_eq(stat(path, &st), 0);
    return st.st_size;
}

Test(snapshot, a_stop_saves_and_a_start_loads)
{
    broker_list *list;
    broker_dict *d;
    broker_value v;
    uint64_t newest;

    start("persist = no\n");
    set(5);
    OK(broker_list_open(b, NULL, NULL, &list));
    OK(broker_list_append(list, broker_int(7)));
    OK(broker_dict_open(b, "d", NULL, &d));
    OK(broker_dict_set(d, broker_str("list"), broker_ref(list)));
    restart(false);
    cr_assert_eq(count(&newest), 1);
    cr_assert_eq(get(), 5);
    OK(broker_dict_open(b, "d", NULL, &d));
    OK(broker_dict_get(d, broker_str("list"), &buffer, &v));
    OK(broker_list_open_ref(b, v, &list));
    OK(broker_list_get(list, 0, &buffer, &v));
    cr_assert_eq(v.i, 7);
    cr_assert_eq(instance_end(instance), 0);
}

/* What is in memory is newer than any file. */
Test(snapshot, memory_comes_first)
{
    start("persist = yes\n");
    set(1);
    save();
    set(2);
    broker_close(b);
    instance_kill(instance);
    instance_restart(instance);
    connect_again();
    cr_assert_eq(get(), 2);
    restart(true);
    cr_assert_eq(get(), 1);
}

Test(snapshot, only_the_last_ones_are_kept)
{
    uint64_t newest;

    start("snapshot_keep = 2\n");
    for (int64_t i = 1; i <= 4; i++) {
        set(i);
        save();
    }
    cr_assert_eq(count(&newest), 2);
    cr_assert_eq(newest, 4);
    restart(true);
    cr_assert_eq(get(), 4);
}

/* Whichever byte of the last one is damaged, the one before it is loaded; and never neither. */
Test(snapshot, a_damaged_one_is_not_used)
{
    uint64_t newest;
    off_t size;

    start("");
    set(1);
    save();
    set(2);
    save();
    cr_assert_eq(count(&newest), 2);
    size = size_of(newest);
    for (off_t at = 0; at < size; at += 9) {
        damage(newest, at);
        restart(true);
        cr_assert_eq(get(), 1, "byte %ld", (long)at);
        damage(newest, at);
    }
    restart(true);
    cr_assert_eq(get(), 2);
}

static void expect_no_start(const char *says)
{
    char conf[80], dirname_[64], text[4000];
    const char *const arguments[] = {
        "brokerd", "--config", conf, "--runtime-dir", dirname_, "--instance", again, NULL};
    FILE *f;

    (void)snprintf(conf, sizeof(conf), "%s/brokerd.conf", dir);
    (void)snprintf(dirname_, sizeof(dirname_), "%s/run", dir);
    f = fopen(conf, "we");
    cr_assert_not_null(f);
    (void)fputs(config, f);
    (void)fclose(f);
    cr_assert_eq(instance_run(arguments, text, sizeof(text)), EX_CONFIG);
    cr_assert_not_null(strstr(text, says), "%s", text);
    (void)snprintf(text, sizeof(text), "/dev/shm/brokerd.%s.default", again);
    cr_assert_neq(access(text, F_OK), 0);
    (void)strcat(text, ".loading");
    cr_assert_neq(access(text, F_OK), 0);
}

/* Makes the newest snapshot that of the instance `again`. */
static void hand_over(void)
{
    char from[BRI_STORE_PATH_MAX], to[BRI_STORE_PATH_MAX];
    uint64_t newest;

    cr_assert_gt(count(&newest), 0);
    cr_assert_eq(bri_store_path(&store, newest, from), 0);
    (void)snprintf(again, sizeof(again), "again-%d", (int)getpid());
    (void)snprintf(prefix, sizeof(prefix), "%s.default", again);
    cr_assert_eq(bri_store_path(&store, newest, to), 0);
    cr_assert_eq(rename(from, to), 0);
}

/* An empty arena would look as if all were well. */
Test(snapshot, no_start_without_a_good_one)
{
    uint64_t newest;

    start("");
    set(1);
    save();
    hand_over();
    cr_assert_eq(count(&newest), 1);
    damage(newest, 70);
    expect_no_start("no snapshot of the arena default in");
    cr_assert_eq(count(&newest), 1, "it is there still");
}

/* It does not fit now: that is no damage, and the one before it is not taken. */
Test(snapshot, no_start_with_an_arena_that_is_too_small)
{
    char *text = calloc(1, 3 << 20);
    broker_queue *q;

    cr_assert_not_null(text);
    start("size = 16M\n");
    OK(broker_queue_open(b, "q", NULL, &q));
    OK(broker_queue_put(q, broker_bin(text, 3 << 20), 0));
    save();
    hand_over();
    (void)with("size = 2M\nsessions = 8\n");
    expect_no_start("too small");
    free(text);
}

/* Another size of the arena is no hindrance. */
Test(snapshot, loads_into_an_arena_of_another_size)
{
    start("size = 16M\npersist = no\n");
    set(3);
    cr_assert_eq(instance_end(instance), 0);
    broker_close(b);
    b = NULL;
    FILE *f;
    char path[80];

    (void)snprintf(path, sizeof(path), "%s/brokerd.conf", instance_dir(instance));
    f = fopen(path, "we");
    cr_assert_not_null(f);
    (void)fputs(with("size = 64M\nsessions = 20\n"), f);
    (void)fclose(f);
    instance_restart(instance);
    connect_again();
    cr_assert_eq(get(), 3);
}

/* Where files can have no more than @bytes: what a full disk is. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    cr_assert_eq(prlimit(instance_pid(instance), RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = bytes;
    cr_assert_eq(prlimit(instance_pid(instance), RLIMIT_FSIZE, &limit, NULL), 0);
}

/* The old snapshot stays, and what could not be saved stays in memory. */
Test(snapshot, full_disk)
{
    char path[BRI_ATTACH_TEXT];
    uint64_t newest;

    start("persist = no\n");
    set(1);
    save();
    set(2);
    limit_files(100);
    cr_assert_eq(bri_attach_save(b, path), BROKER_NOMEM);
    cr_assert_not_null(strstr(broker_last_error(), "the disk is full"), "%s", broker_last_error());
    cr_assert_eq(count(&newest), 1);
    restart(false);
    cr_assert_eq(get(), 2, "adopted");
    restart(true);
    cr_assert_eq(get(), 1, "loaded");
}

Test(snapshot, a_folder_that_cannot_be_used_is_told)
{
    char path[BRI_ATTACH_TEXT];

    (void)snprintf(path, sizeof(path), "%s/d", dir);
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    start("persist = no\n");
    set(1);
    cr_assert_eq(rename(path, path), 0);
    (void)snprintf(
        config, sizeof(config), "[arena default]\nsnapshots = yes\nsnapshot_dir = %s/d/e\n", dir);
    instance_reload(instance, config);
    cr_assert_lt(bri_attach_save(b, path), 0);
    cr_assert_not_null(strstr(broker_last_error(), "cannot save to"), "%s", broker_last_error());
}

Test(snapshot, who_may_ask)
{
    char path[BRI_ATTACH_TEXT], address[160];
    broker *reader;

    start("");
    (void)snprintf(address, sizeof(address), "%s?access=ro", instance_address(instance));
    OK(broker_open(address, &reader));
    cr_assert_eq(bri_attach_save(reader, path), BROKER_ACCESS);
    broker_close(reader);
    instance_reload(instance, "[arena default]\nsnapshots = no\n");
    cr_assert_eq(bri_attach_save(b, path), BROKER_UNSUPPORTED);
    cr_assert_not_null(strstr(broker_last_error(), "snapshots = yes"), "%s", broker_last_error());
    instance_reload(instance, with(""));
    save();
}

static int ask_once(void)
{
    char path[BRI_ATTACH_TEXT];
    broker *mine;

    if (broker_open(instance_address(instance), &mine) < 0 || bri_attach_save(mine, path) < 0)
        return 1;
    broker_close(mine);
    return access(path, F_OK) == 0 ? 0 : 2;
}

/* Several ask at once: each is told of a save that was begun after he asked. */
Test(snapshot, several_who_ask)
{
    pid_t pids[6];
    int status;

    start("snapshot_keep = 20\n");
    set(9);
    for (size_t i = 0; i < 6; i++) {
        pids[i] = fork();
        cr_assert_geq(pids[i], 0);
        if (pids[i] == 0)
            _exit(ask_once());
    }
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
    }
    restart(true);
    cr_assert_eq(get(), 9);
}

/* Waits until a snapshot gets its name. */
static void wait_for_file(int notes)
{
    char bytes[4096] __attribute__((aligned(8)));
    struct pollfd p = {.fd = notes, .events = POLLIN};

    cr_assert_eq(poll(&p, 1, SOON_MS), 1);
    cr_assert_gt(read(notes, bytes, sizeof(bytes)), 0);
}

Test(snapshot, at_an_interval)
{
    int notes = inotify_init1(IN_CLOEXEC);
    uint64_t newest;

    cr_assert_geq(notes, 0);
    cr_assert_geq(inotify_add_watch(notes, dir, IN_MOVED_TO), 0);
    start("snapshot_interval = 1s\n");
    set(4);
    wait_for_file(notes);
    wait_for_file(notes);
    cr_assert_gt(count(&newest), 1);
    restart(true);
    cr_assert_eq(get(), 4);
    (void)close(notes);
}

/* What is half loaded is swept away, whoever left it. */
Test(snapshot, half_a_loading_is_nothing)
{
    char path[160];
    int fd;

    start("persist = no\n");
    set(1);
    broker_close(b);
    cr_assert_eq(instance_end(instance), 0);
    (void)snprintf(path, sizeof(path), "%s.loading", instance_arena_path(instance));
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "half", 4), 4);
    (void)close(fd);
    instance_restart(instance);
    connect_again();
    cr_assert_eq(get(), 1);
    cr_assert_neq(access(path, F_OK), 0);
}

/* The newest snapshot is a pipe: who loads it waits until the other end is closed. That is done by
 * a process that meanwhile has come to the broker; it exits with 0 if it then is let in. */
static pid_t hold_up_loading(const char *pipe)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    const char *path = instance_address(instance) + strlen("unix:");
    struct bri_attach_reply reply;
    int writer, sock, fd, r;
    pid_t pid = fork();
    size_t n;

    if (pid != 0)
        return pid;
    writer = open(pipe, O_WRONLY | O_CLOEXEC);
    r = bri_connection_open(path, bri_deadline(SOON_MS * BRI_MILLISECOND), &sock);
    if (r == 0)
        r = bri_connection_send(sock, &hello, sizeof(hello));
    (void)close(writer);
    if (r == 0)
        r = bri_connection_receive(sock, BRI_NEVER, &reply, sizeof(reply), &n, &fd);
    _exit(r == 0 ? -reply.status : -r);
}

Test(snapshot, who_comes_while_it_is_loaded_waits)
{
    char path[BRI_STORE_PATH_MAX];
    uint64_t newest;
    int status;
    pid_t pid;

    start("");
    set(1);
    save();
    cr_assert_eq(count(&newest), 1);
    cr_assert_eq(bri_store_path(&store, newest + 1, path), 0);
    instance_kill(instance);
    cr_assert_eq(unlink(instance_arena_path(instance)), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    pid = hold_up_loading(path);
    instance_restart(instance);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0, "the daemon had not listened yet");
    connect_again();
    cr_assert_eq(get(), 1);
}
