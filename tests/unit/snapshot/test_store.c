/*
 * The folder of an arena's snapshots: whatever fails, and wherever the process ends, the newest
 * snapshot is the old one or the new one, whole.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker/errors.h>

#include "faults.h"
#include "snapshot/file.h"
#include "snapshot/store.h"
#include "support/folder.h"

#define RECORD 50000 /* several of them are several writes */

static char dir[64], inner[96];
static struct bri_store store = {.dir = inner, .prefix = "system.default", .keep = 2};

static void setup(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/broker-store-%d", (int)getpid());
    (void)snprintf(inner, sizeof(inner), "%s/snapshots", dir);
    cr_assert_eq(mkdir(dir, 0700), 0);
}

static void teardown(void)
{
    folder_remove(dir);
}

/* A snapshot whose records are all @arg's letter. */
static int fill(int fd, void *arg)
{
    struct bri_snapshot_writer *w;
    char *text = malloc(RECORD);
    int r = text != NULL ? bri_snapshot_write_begin(fd, 1, &w) : BROKER_NOMEM;

    if (r < 0) {
        free(text);
        return r;
    }
    memset(text, *(const char *)arg, RECORD);
    for (unsigned i = 0; i < 4; i++)
        (void)bri_snapshot_write(w, &(struct bri_snapshot_part){BRI_SNAPSHOT_OBJECT, text, RECORD});
    r = bri_snapshot_write_end(w);
    bri_snapshot_writer_free(w);
    free(text);
    return r;
}

static int save(char letter, char path[BRI_STORE_PATH_MAX])
{
    return bri_store_save(&store, fill, &letter, path);
}

/* The letter of the snapshot @number, which must be whole. */
static char letter_of(uint64_t number)
{
    struct bri_snapshot_reader *r;
    struct bri_snapshot_part part;
    char path[BRI_STORE_PATH_MAX], letter;
    uint64_t n;
    int fd;

    cr_assert_eq(bri_store_path(&store, number, path), 0);
    fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bri_snapshot_verify(fd, &n), 0, "%s is not whole", path);
    cr_assert_eq(n, 4);
    cr_assert_eq(bri_snapshot_read_begin(fd, &r), 0);
    cr_assert_eq(bri_snapshot_read(r, &part), 0);
    letter = *(const char *)part.data;
    bri_snapshot_reader_free(r);
    (void)close(fd);
    return letter;
}

static char newest(void)
{
    struct bri_store_list list;
    char letter;

    cr_assert_eq(bri_store_list(&store, &list), 0);
    cr_assert_gt(list.n, 0, "no snapshot is left");
    letter = letter_of(list.numbers[0]);
    for (size_t i = 1; i < list.n; i++)
        (void)letter_of(list.numbers[i]);
    bri_store_list_free(&list);
    return letter;
}

static size_t count(void)
{
    struct bri_store_list list;
    size_t n;

    cr_assert_eq(bri_store_list(&store, &list), 0);
    n = list.n;
    bri_store_list_free(&list);
    return n;
}

TestSuite(snapshot_store, .init = setup, .fini = teardown);

Test(snapshot_store, the_last_ones_are_kept)
{
    char path[BRI_STORE_PATH_MAX], expected[BRI_STORE_PATH_MAX];

    cr_assert_eq(count(), 0);
    for (char letter = 'a'; letter <= 'e'; letter++) {
        cr_assert_eq(save(letter, path), 0);
        cr_assert_eq(newest(), letter);
    }
    cr_assert_eq(count(), 2);
    cr_assert_eq(bri_store_path(&store, 5, expected), 0);
    cr_assert_str_eq(path, expected);
    cr_assert_eq(letter_of(4), 'd');
}

/* Others' files in the folder are none of ours. */
Test(snapshot_store, other_files_are_let_alone)
{
    static const char *const names[] = {"system.other.000000000009.snapshot",
        "system.default.9.snapshot", "system.default.000000000009.snapshot.bak",
        "system.default.00000000000x.snapshot", "system.default-2.000000000009.snapshot"};
    char path[BRI_STORE_PATH_MAX];
    int fd;

    cr_assert_eq(save('a', path), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", inner, names[i]);
        fd = open(path, O_CREAT | O_WRONLY, 0600);
        cr_assert_geq(fd, 0);
        (void)close(fd);
    }
    for (char letter = 'b'; letter <= 'e'; letter++)
        cr_assert_eq(save(letter, path), 0);
    cr_assert_eq(count(), 2);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", inner, names[i]);
        cr_assert_eq(access(path, F_OK), 0, "%s is gone", path);
    }
}

/* What makes it outlive a power cut is the order. */
Test(snapshot_store, order_of_calls)
{
    char path[BRI_STORE_PATH_MAX];
    const char *at;

    cr_assert_eq(save('a', path), 0);
    cr_assert_eq(save('b', path), 0);
    faults_arm(FAULT_NONE, 0, 0);
    cr_assert_eq(save('c', path), 0);
    (void)faults_disarm();
    at = strpbrk(faults_trace(), "wsru");
    cr_assert_not_null(at);
    at += strspn(at, "w");
    cr_assert_eq(strncmp(at, "scroscu", 7), 0, "%s", faults_trace());
    cr_assert_eq(at[7], '\0');
}

/* How many calls a save makes that has an old one to remove. */
static unsigned calls_of_a_save(void)
{
    char path[BRI_STORE_PATH_MAX];
    unsigned n;

    folder_remove(inner);
    cr_assert_eq(save('a', path), 0);
    cr_assert_eq(save('b', path), 0);
    faults_arm(FAULT_NONE, 0, 0);
    cr_assert_eq(save('c', path), 0);
    n = faults_disarm();
    cr_assert_gt(n, 8);
    return n;
}

static void two_snapshots(void)
{
    char path[BRI_STORE_PATH_MAX];

    folder_remove(inner);
    cr_assert_eq(save('a', path), 0);
    cr_assert_eq(save('b', path), 0);
}

Test(snapshot_store, killed_at_every_call)
{
    char path[BRI_STORE_PATH_MAX];
    unsigned n = calls_of_a_save(), n_old = 0, n_new = 0;
    int status;
    pid_t pid;
    char found;

    for (unsigned at = 1; at <= n + 1; at++) {
        two_snapshots();
        pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            faults_arm(FAULT_KILL, at, 0);
            _exit(save('c', path) == 0 ? 0 : 1);
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status));
        cr_assert_eq(WEXITSTATUS(status), at <= n ? FAULT_EXIT : 0, "call %u", at);
        found = newest();
        cr_assert(found == 'b' || found == 'c', "call %u", at);
        n_old += found == 'b';
        n_new += found == 'c';
        /* And it goes on from there. */
        cr_assert_eq(save('d', path), 0);
        cr_assert_eq(newest(), 'd');
        cr_assert_eq(count(), 2);
    }
    cr_assert_gt(n_old, 4);
    cr_assert_gt(n_new, 1);
}

static void fail_at_every_call(int error)
{
    char path[BRI_STORE_PATH_MAX];
    unsigned n = calls_of_a_save();
    char found;
    int r;

    for (unsigned at = 1; at <= n; at++) {
        two_snapshots();
        faults_arm(FAULT_ERROR, at, error);
        r = save('c', path);
        (void)faults_disarm();
        found = newest();
        cr_assert(found == 'c' || (found == 'b' && r < 0), "call %u: %d, %c", at, r, found);
        cr_assert_eq(save('d', path), 0);
        cr_assert_eq(newest(), 'd');
        cr_assert_eq(count(), 2);
    }
}

Test(snapshot_store, every_call_fails_with_no_space)
{
    fail_at_every_call(ENOSPC);
}

Test(snapshot_store, every_call_fails_with_an_error)
{
    fail_at_every_call(EIO);
}

/* A file that may not grow stands for a full disk: wherever it ends, the old one is there. */
Test(snapshot_store, full_disk)
{
    char path[BRI_STORE_PATH_MAX];
    struct rlimit was, limit;

    cr_assert_eq(save('a', path), 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t size = 0; size <= 4 * RECORD; size += RECORD / 3) {
        limit = was;
        limit.rlim_cur = size;
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        cr_assert_eq(save('b', path), BROKER_NOMEM);
        cr_assert_eq(newest(), 'a');
        cr_assert_eq(count(), 1);
    }
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
    cr_assert_eq(save('b', path), 0);
    cr_assert_eq(newest(), 'b');
}

Test(snapshot_store, what_cannot_be_is_refused)
{
    char path[BRI_STORE_PATH_MAX];
    struct bri_store_list list;
    int fd;

    store.keep = 0;
    cr_assert_eq(save('a', path), BROKER_INVALID);
    store.keep = 2;
    fd = open(inner, O_CREAT | O_WRONLY, 0600);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    cr_assert_eq(save('a', path), BROKER_SYSTEM);
    cr_assert_eq(bri_store_list(&store, &list), BROKER_SYSTEM);
}
