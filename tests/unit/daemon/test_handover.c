/*
 * test_handover.c - a daemon whose program was replaced by one that knows another layout of memory:
 * what is in the arenas goes on with the next one, and nothing is lost without a word
 */
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "core/layout.h"
#include "raw.h"
#include "support/gives.h"
#include "support/instance.h"

static struct instance *instance;
static char dir[40], program[64], original[64];
static broker *b, *scratch;
static broker_dict *d, *s;
static broker_buffer buffer;

static void shell(const char *format, const char *a, const char *c)
{
    char command[400];

    (void)snprintf(command, sizeof(command), format, a, c);
    cr_assert_eq(system(command), 0, "%s", command);
}

/* A brokerd of its own file, that can be replaced, and a persistent arena and one that is not. */
static void start_as(struct instance *(*make)(const char *config))
{
    char config[400], address[300];

    (void)snprintf(dir, sizeof(dir), "/tmp/broker-handover-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(program, sizeof(program), "%s/brokerd", dir);
    (void)snprintf(original, sizeof(original), "%s/original", dir);
    shell("cp '%s' '%s'", getenv("BROKERD"), original);
    shell("cp '%s' '%s'", original, program);
    cr_assert_eq(setenv("BROKERD", program, 1), 0);
    (void)snprintf(config, sizeof(config),
        "[arena default]\nsnapshot_dir = %s/saved\n[arena scratch]\nsize = 4M\npersist = no\n"
        "snapshot_dir = %s/saved\n",
        dir, dir);
    instance = make(config);
    OK(broker_open(instance_address(instance), &b));
    (void)snprintf(address, sizeof(address), "%s?arena=scratch", instance_address(instance));
    OK(broker_open(address, &scratch));
    OK(broker_dict_open(b, "d", NULL, &d));
    OK(broker_dict_set(d, broker_str("n"), broker_int(7)));
    OK(broker_dict_open(scratch, "d", NULL, &s));
    OK(broker_dict_set(s, broker_str("n"), broker_int(8)));
}

static void start(void)
{
    start_as(instance_start);
}

static void start_by_socket(void)
{
    start_as(instance_start_by_socket);
}

static void stop(void)
{
    broker_buffer_free(&buffer);
    broker_close(b);
    broker_close(scratch);
    instance_stop(instance);
    shell("chmod -R u+rwx '%s'; rm -rf '%s'", dir, dir);
}

TestSuite(handover, .init = start, .fini = stop, .timeout = 100);
TestSuite(handover_by_socket, .init = start_by_socket, .fini = stop, .timeout = 100);

/* The program's file becomes one that tells this when it is asked for its version. */
static void replace_program(const char *line)
{
    char path[80];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/new", dir);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    (void)fprintf(f, "#!/bin/sh\n[ \"$1\" = --version ] && printf 'brokerd 9.0.0\\n%s\\n'\n", line);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(chmod(path, 0755), 0);
    cr_assert_eq(rename(path, program), 0);
}

/* And the real one again, which takes the other's place. */
static void put_back(void)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "%s/new", dir);
    shell("cp '%s' '%s'", original, path);
    cr_assert_eq(rename(path, program), 0);
}

static size_t n_files(const char *pattern)
{
    char path[120];
    glob_t found;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/saved/%s", dir, pattern);
    n = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static int64_t now_in(broker *in)
{
    broker_value v;
    broker_dict *x;

    OK(broker_dict_open(in, "d", &(broker_dict_options){.mode = BROKER_OPEN}, &x));
    OK(broker_dict_get(x, broker_str("n"), &buffer, &v));
    broker_dict_close(x);
    return v.i;
}

static void attach_again(void)
{
    broker_close(b);
    OK(broker_open(instance_address(instance), &b));
}

Test(handover, the_next_one_has_what_is_persistent_and_programs_are_told)
{
    broker_value v;

    replace_program("layout 2.00000001");
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(access(instance_arena_path(instance), F_OK), -1, "the memory stays");
    cr_assert_eq(n_files("*"), 1);
    cr_assert_eq(n_files("*.default.handover.*.snapshot"), 1);
    GIVES(broker_dict_get(d, broker_str("n"), &buffer, &v), BROKER_LOST);
    GIVES(broker_dict_set(d, broker_str("n"), broker_int(9)), BROKER_LOST);
    GIVES(broker_dict_set(s, broker_str("n"), broker_int(9)), BROKER_LOST);
    put_back();
    instance_restart(instance);
    cr_assert_eq(n_files("*"), 0, "it would be loaded again");
    GIVES(broker_dict_get(d, broker_str("n"), &buffer, &v), BROKER_LOST);
    attach_again();
    cr_assert_eq(now_in(b), 7);
    OK(broker_dict_open(b, "d", NULL, &d));
    OK(broker_dict_set(d, broker_str("n"), broker_int(10)));
    instance_restart(instance);
    cr_assert_eq(now_in(b), 10);
}

Test(handover, one_of_the_same_layout_adopts_as_ever)
{
    char line[40];

    (void)snprintf(line, sizeof(line), "layout %u.%08x", BRI_LAYOUT_VERSION, BRI_ABI);
    replace_program(line);
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(access(instance_arena_path(instance), F_OK), 0, "the memory is gone");
    OK(broker_dict_set(d, broker_str("n"), broker_int(9)));
    put_back();
    instance_restart(instance);
    cr_assert_eq(now_in(b), 9);
}

Test(handover, where_nobody_can_tell_everything_stays)
{
    replace_program("nothing of the sort");
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(access(instance_arena_path(instance), F_OK), 0, "the memory is gone");
    OK(broker_dict_set(d, broker_str("n"), broker_int(9)));
}

/* A file where the folder should be. */
Test(handover, what_cannot_be_saved_is_given_back)
{
    shell("touch '%s/saved' %s", dir, "");
    replace_program("layout 2.00000001");
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(access(instance_arena_path(instance), F_OK), 0, "the memory is gone");
    OK(broker_dict_set(d, broker_str("n"), broker_int(9)));
    shell("rm '%s/saved' %s", dir, "");
    put_back();
    instance_restart(instance);
    cr_assert_eq(now_in(b), 9);
}

/* What is written goes into a pipe that is full soon, so that the handover lasts as long as we
 * like. */
static void begin_endless_handover(char path[160])
{
    static char value[1 << 20];
    const char *name = strstr(instance_arena_path(instance), "brokerd.") + strlen("brokerd.");
    char folder[60];
    broker_value v;

    (void)snprintf(folder, sizeof(folder), "%s/saved", dir);
    (void)snprintf(path, 160, "%s/%s.handover.new", folder, name);
    cr_assert_eq(mkdir(folder, 0700), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    OK(broker_dict_set(d, broker_str("large"), broker_bin(value, sizeof(value))));
    replace_program("layout 2.00000001");
    cr_assert_eq(kill(instance_pid(instance), SIGTERM), 0);
    while (broker_dict_get(d, broker_str("n"), &buffer, &v) == 0)
        (void)sched_yield();
}

/* Told again, it stops at once. */
static void end_endless_handover(const char *path)
{
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(unlink(path), 0);
    put_back();
}

/* Over some of the beats at which brokerd accepts again what had to wait. */
Test(handover, nobody_is_let_in_meanwhile)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    struct pollfd answer = {.events = POLLIN};
    char path[160], message[600];

    begin_endless_handover(path);
    answer.fd = raw_connect(instance);
    raw_send(answer.fd, &hello, sizeof(hello));
    for (unsigned i = 0; i < 3; i++) {
        instance_drain(instance);
        cr_assert(instance_hear(instance, "EXTEND_TIMEOUT_USEC", NULL, message, sizeof(message)));
    }
    cr_assert_eq(poll(&answer, 1, 0), 0, "it was let in");
    (void)close(answer.fd);
    end_endless_handover(path);
    OK(broker_dict_set(d, broker_str("n"), broker_int(9)));
    instance_restart(instance);
    cr_assert_eq(now_in(b), 9);
}

/* A process that opens the broker with this at the end of its address; it exits with 0 if it finds
 * what was there before, else with the error's number. */
static pid_t visit(const char *parameters)
{
    char address[128];
    pid_t pid;
    int r;

    (void)snprintf(address, sizeof(address), "%s%s", instance_address(instance), parameters);
    pid = fork();
    if (pid != 0)
        return pid;
    r = broker_open(address, &b);
    _exit(r < 0 ? -r : now_in(b) == 7 ? 0 : 255);
}

static int end_of(pid_t pid)
{
    int status;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Systemd has the socket. However long it takes: the one who is patient outlasts the other, who
 * came later, and the stop and the next start. */
Test(handover_by_socket, who_comes_meanwhile_waits_for_the_next_one)
{
    char path[160], byte;
    pid_t patient, other;
    int early;

    early = raw_connect(instance);
    (void)raw_status(instance); /* by now it was accepted */
    begin_endless_handover(path);
    cr_assert_eq(recv(early, &byte, 1, 0), 0, "who has not said hello could not do so elsewhere");
    (void)close(early);
    patient = visit("");
    instance_await_visitor(instance);
    other = visit("?wait=1");
    cr_assert_eq(end_of(other), -BROKER_NODAEMON);
    cr_assert_eq(waitpid(patient, NULL, WNOHANG), 0, "it has given up");
    end_endless_handover(path);
    cr_assert_eq(waitpid(patient, NULL, WNOHANG), 0, "it has given up");
    instance_restart(instance);
    cr_assert_eq(end_of(patient), 0);
}

/* ---- pointers into the memory ---- */

static broker_array *array;
static int64_t *elements;

/* This process has a pointer to the elements, and brokerd was told to end. */
static void hand_over_while_pointed(void)
{
    uint64_t n;
    void *data;
    broker_value v;

    OK(broker_array_open(b, "a", &(broker_array_options){.typecode = "q", .length = 3}, &array));
    OK(broker_array_data(array, &data, &n));
    elements = data;
    elements[0] = 1;
    replace_program("layout 2.00000001");
    cr_assert_eq(kill(instance_pid(instance), SIGTERM), 0);
    while (broker_array_get(array, 0, &v) == 0)
        (void)sched_yield();
    GIVES(broker_array_get(array, 0, &v), BROKER_LOST);
}

static int64_t element(broker *in, int64_t i)
{
    broker_value v;

    OK(broker_array_open(in, "a", &(broker_array_options){.mode = BROKER_OPEN}, &array));
    OK(broker_array_get(array, i, &v));
    return v.i;
}

/* Two beats of the daemon, in which it could have saved and ended. */
Test(handover, what_is_stored_by_a_pointer_meanwhile_is_there_as_well)
{
    char message[600];

    hand_over_while_pointed();
    for (unsigned i = 0; i < 2; i++) {
        instance_drain(instance);
        cr_assert(instance_hear(instance, "EXTEND_TIMEOUT_USEC", NULL, message, sizeof(message)));
    }
    elements[1] = 2;
    cr_assert_eq(n_files("*"), 0, "it was saved already");
    broker_close(b);
    cr_assert_eq(instance_await_end(instance), 0);
    cr_assert_eq(n_files("*.default.handover.*.snapshot"), 1);
    put_back();
    instance_restart(instance);
    OK(broker_open(instance_address(instance), &b));
    cr_assert_eq(element(b, 0), 1);
    cr_assert_eq(element(b, 1), 2);
}

Test(handover, who_keeps_a_pointer_keeps_the_arena)
{
    hand_over_while_pointed();
    cr_assert_eq(instance_await_end(instance), 0);
    cr_assert_eq(n_files("*"), 0);
    cr_assert_eq(access(instance_arena_path(instance), F_OK), 0, "the memory is gone");
    elements[2] = 3;
    cr_assert_eq(element(b, 2), 3, "everything goes on");
    OK(broker_dict_set(d, broker_str("n"), broker_int(9)));
    put_back();
    instance_restart(instance);
    cr_assert_eq(now_in(b), 9);
}

Test(handover, a_second_signal_gives_back_what_somebody_points_to)
{
    hand_over_while_pointed();
    cr_assert_eq(instance_end(instance), 0);
    cr_assert_eq(element(b, 0), 1);
    elements[2] = 3;
    put_back();
    instance_restart(instance);
    cr_assert_eq(element(b, 2), 3);
}

/* A dead one's pointer stores nothing any more. */
Test(handover, the_death_of_who_has_a_pointer_lets_it_go_on)
{
    pid_t pid = fork();
    broker_value v;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        uint64_t n;
        void *data;

        if (broker_array_open(
                b, "a", &(broker_array_options){.typecode = "q", .length = 3}, &array) < 0 ||
            broker_array_data(array, &data, &n) < 0)
            _exit(1);
        *(int64_t *)data = 5;
        for (;;)
            (void)pause();
    }
    while (broker_array_open(b, "a", &(broker_array_options){.mode = BROKER_OPEN}, &array) < 0 ||
           broker_array_get(array, 0, &v) < 0 || v.i != 5)
        (void)sched_yield();
    replace_program("layout 2.00000001");
    cr_assert_eq(kill(instance_pid(instance), SIGTERM), 0);
    while (broker_array_get(array, 0, &v) == 0)
        (void)sched_yield();
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(end_of(pid), -1);
    cr_assert_eq(instance_await_end(instance), 0);
    cr_assert_eq(n_files("*.default.handover.*.snapshot"), 1);
}

/* ---- deaths in between ---- */

static void set_layout(uint32_t layout)
{
    int fd = open(instance_arena_path(instance), O_WRONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(
        pwrite(fd, &layout, sizeof(layout), offsetof(struct bri_arena_shm, layout_version)), 4);
    (void)close(fd);
}

/* The file is there, and so is the memory, sealed: as if killed between the two. */
static void die_before_removing(void)
{
    int fd = open(instance_arena_path(instance), O_RDONLY | O_CLOEXEC);
    char memory[40];

    cr_assert_geq(fd, 0);
    replace_program("layout 2.00000001");
    cr_assert_eq(instance_end(instance), 0);
    (void)snprintf(memory, sizeof(memory), "/proc/%d/fd/%d", (int)getpid(), fd);
    shell("cp --sparse=always '%s' '%s'", memory, instance_arena_path(instance));
    cr_assert_eq(chmod(instance_arena_path(instance), 0600), 0);
    (void)close(fd);
    put_back();
}

Test(handover, killed_before_the_memory_is_removed_the_next_layout_takes_the_file)
{
    die_before_removing();
    set_layout(BRI_LAYOUT_VERSION + 1);
    instance_restart(instance);
    attach_again();
    cr_assert_eq(now_in(b), 7);
    cr_assert_eq(n_files("*"), 0);
}

Test(handover, killed_before_the_memory_is_removed_the_same_layout_takes_the_memory)
{
    die_before_removing();
    instance_restart(instance);
    attach_again();
    cr_assert_eq(now_in(b), 7);
    cr_assert_eq(n_files("*"), 0);
    OK(broker_dict_open(b, "d", NULL, &d));
    OK(broker_dict_set(d, broker_str("n"), broker_int(9)));
}
