/*
 * test_readonly.c - clients that map the arena read-only: they read everything, change nothing, and
 * disturb nobody
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "conformance/words.h"
#include "support/gives.h"
#include "support/instance.h"

static struct instance *instance;
static broker *writer, *reader;
static broker_buffer buffer = BROKER_BUFFER_INIT;

static broker_dict *d, *rd; /* the same objects, of the writer and of the reader */
static broker_queue *q, *rq;
static broker_lock *l, *rl;

static void start(void)
{
    const broker_queue_options joinable = {.joinable = true};
    char address[160];

    instance = instance_start("[arena default]\nsize = 16M\n");
    (void)snprintf(address, sizeof(address), "%s?access=ro", instance_address(instance));
    cr_assert_eq(broker_open(instance_address(instance), &writer), 0, "%s", broker_last_error());
    cr_assert_eq(broker_open(address, &reader), 0, "%s", broker_last_error());
    cr_assert_eq(broker_dict_open(writer, "dict", NULL, &d), 0);
    cr_assert_eq(broker_queue_open(writer, "queue", &joinable, &q), 0);
    cr_assert_eq(broker_lock_open(writer, "lock", NULL, &l), 0);
    cr_assert_eq(broker_dict_open(reader, "dict", NULL, &rd), 0);
    cr_assert_eq(broker_queue_open(reader, "queue", NULL, &rq), 0);
    cr_assert_eq(broker_lock_open(reader, "lock", NULL, &rl), 0);
    cr_assert_eq(broker_dict_update(d, value_of("{'a': 1, 'b': [2]}")), 0);
}

static void stop(void)
{
    broker_buffer_free(&buffer);
    broker_close(reader);
    broker_close(writer);
    instance_stop(instance);
    words_free();
}

TestSuite(readonly, .init = start, .fini = stop, .timeout = 60);

static const char *text(broker_dict *dict)
{
    broker_value v;
    int r = broker_dict_copy(dict, &buffer, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

Test(readonly, every_change_is_refused_and_changes_nothing)
{
    broker_value v = broker_int(77), other = v;
    broker_dict *none = NULL;
    int64_t total = 77;

    GIVES(broker_dict_set(rd, broker_str("a"), broker_int(2)), BROKER_ACCESS);
    GIVES(broker_dict_set(rd, broker_str("a"), broker_strn(filling(5000, 0), 5000)), BROKER_ACCESS);
    GIVES(broker_dict_set_if(rd, broker_str("a"), broker_int(2), 1), BROKER_ACCESS);
    GIVES(broker_dict_delete(rd, broker_str("a")), BROKER_ACCESS);
    GIVES(broker_dict_pop(rd, broker_str("a"), &buffer, &v), BROKER_ACCESS);
    GIVES(broker_dict_popitem(rd, &buffer, &v, &other), BROKER_ACCESS);
    GIVES(broker_dict_setdefault(rd, broker_str("c"), broker_nil(), &buffer, &v, NULL),
        BROKER_ACCESS);
    GIVES(broker_dict_update(rd, value_of("{'a': 2}")), BROKER_ACCESS);
    GIVES(broker_dict_clear(rd), BROKER_ACCESS);
    GIVES(broker_dict_add(rd, broker_str("a"), 1, &total), BROKER_ACCESS);
    GIVES(broker_dict_add_many(rd, value_of("{'a': 2}"), broker_nil()), BROKER_ACCESS);
    GIVES(broker_dict_compare_and_set(rd, broker_str("a"), broker_int(1), broker_int(2)),
        BROKER_ACCESS);
    GIVES(broker_dict_get_and_set(rd, broker_str("a"), broker_int(2), &buffer, &v, NULL),
        BROKER_ACCESS);
    GIVES(broker_queue_put(rq, broker_int(1), 0), BROKER_ACCESS);
    GIVES(broker_queue_put(rq, broker_int(1), BROKER_FOREVER), BROKER_ACCESS);
    GIVES(broker_queue_get(rq, 0, &buffer, &v), BROKER_ACCESS);
    GIVES(broker_queue_put_many(rq, value_of("[1]"), 0), BROKER_ACCESS);
    GIVES(broker_queue_get_many(rq, 1, 0, &buffer, &v), BROKER_ACCESS);
    GIVES(broker_queue_task_done(rq), BROKER_ACCESS);
    GIVES(broker_queue_shutdown(rq), BROKER_ACCESS);
    GIVES(broker_lock_acquire(rl, 0, NULL), BROKER_ACCESS);
    GIVES(broker_lock_release(rl), BROKER_ACCESS);
    GIVES(broker_destroy(reader, "dict"), BROKER_ACCESS);
    GIVES(broker_dict_open(reader, "new", NULL, &none), BROKER_ACCESS);
    GIVES(broker_dict_open(reader, "new", &(broker_dict_options){.mode = BROKER_CREATE}, &none),
        BROKER_ACCESS);
    GIVES(broker_dict_open(reader, "new", &(broker_dict_options){.mode = BROKER_OPEN}, &none),
        BROKER_NOTFOUND);
    cr_assert(v.i == 77 && other.i == 77 && total == 77 && none == NULL);
    cr_assert_str_eq(text(d), "{'a': 1, 'b': [2]}");
    GIVES(broker_stat(writer, "new", &buffer, &v), BROKER_NOTFOUND);
}

Test(readonly, every_read_works_and_sees_what_writers_do)
{
    uint64_t n, revision;
    broker_value v;
    bool flag;

    GIVES(broker_dict_get(rd, broker_str("b"), &buffer, &v), 0);
    cr_assert_str_eq(text_of(v), "[2]");
    GIVES(broker_dict_read(rd, broker_str("a"), &buffer, &v, &revision), 0);
    GIVES(broker_dict_get(rd, broker_str("c"), &buffer, &v), BROKER_NOTFOUND);
    GIVES(broker_dict_contains(rd, broker_str("a"), &flag), 0);
    cr_assert(flag);
    GIVES(broker_dict_len(rd, &n), 0);
    cr_assert_eq(n, 2);
    GIVES(broker_dict_keys(rd, &buffer, &v), 0);
    cr_assert_str_eq(text_of(v), "['a', 'b']");
    GIVES(broker_dict_values(rd, &buffer, &v), 0);
    GIVES(broker_dict_items(rd, &buffer, &v), 0);
    GIVES(broker_dict_scan(rd, 0, 100, &buffer, &v, &n), 0);
    cr_assert_str_eq(text(rd), "{'a': 1, 'b': [2]}");
    GIVES(broker_dict_set_if(d, broker_str("a"), broker_int(5), revision), 0);
    cr_assert_str_eq(text(rd), "{'a': 5, 'b': [2]}");
    GIVES(broker_queue_put(q, broker_int(1), 0), 0);
    GIVES(broker_queue_qsize(rq, &n), 0);
    cr_assert_eq(n, 1);
    GIVES(broker_queue_empty(rq, &flag), 0);
    cr_assert_not(flag);
    GIVES(broker_queue_full(rq, &flag), 0);
    cr_assert_not(flag);
    GIVES(broker_lock_locked(rl, &flag), 0);
    cr_assert_not(flag);
    GIVES(broker_lock_acquire(l, 0, NULL), 0);
    GIVES(broker_lock_locked(rl, &flag), 0);
    cr_assert(flag);
    GIVES(broker_lock_owner(rl, &buffer, &v), 0);
    GIVES(broker_objects(reader, NULL, NULL, &buffer, &v), 0);
    GIVES(broker_stat(reader, "dict", &buffer, &v), 0);
    GIVES(broker_clients(reader, &buffer, &v), 0);
    GIVES(broker_locks(reader, &buffer, &v), 0);
    GIVES(broker_destroy(writer, "dict"), 0);
    GIVES(broker_dict_get(rd, broker_str("a"), &buffer, &v), BROKER_GONE);
    GIVES(broker_dict_open(reader, "dict", &(broker_dict_options){.mode = BROKER_OPEN}, &rd),
        BROKER_NOTFOUND);
}

/* A reader can't be counted among those who wait. */
Test(readonly, join_answers_when_it_need_not_wait)
{
    GIVES(broker_queue_join(rq, 0), 0);
    GIVES(broker_queue_join(rq, BROKER_FOREVER), 0);
    GIVES(broker_queue_put(q, broker_int(1), 0), 0);
    GIVES(broker_queue_join(rq, 0), BROKER_TIMEDOUT);
    GIVES(broker_queue_join(rq, BROKER_MILLISECOND), BROKER_ACCESS);
    GIVES(broker_queue_task_done(q), 0);
    GIVES(broker_queue_join(rq, 0), 0);
}

/* P6, P10: the kernel keeps it from writing. */
Test(readonly, the_mapping_is_read_only)
{
    unsigned long long start_of, end_of, base = (unsigned long long)(uintptr_t)reader->arena->base;
    char line[512], rights[5] = "";
    FILE *f = fopen("/proc/self/maps", "re");

    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "%llx-%llx", &start_of, &end_of) == 2 && base >= start_of && base < end_of)
            (void)sscanf(line, "%*s %4s", rights);
    (void)fclose(f);
    cr_assert_str_eq(rights, "r--s");
}

/* ---- writers in the way ---- */

/* In the child: half a change of the dict, and then nothing until it is killed. */
static _Noreturn void change_half(int ready)
{
    struct bri_handle *h = (struct bri_handle *)d;
    struct bri_txn t;
    uint64_t n;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (broker_dict_len(d, &n) < 0 || bri_begin(&t, &h->object, BRI_PATIENCE) < 0)
        _exit(1);
    bri_set64(&t, &h->object.slot->state[1], 0);
    if (write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        (void)pause();
}

static pid_t start_half_change(void)
{
    int ready[2];
    char byte;
    pid_t pid;

    cr_assert_eq(pipe(ready), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        change_half(ready[1]);
    (void)close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

static void kill_writer(pid_t pid)
{
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* Killed in the middle: the reader gets what was there before. */
Test(readonly, a_writer_that_died_in_the_middle_is_no_obstacle)
{
    for (int i = 0; i < 5; i++) {
        kill_writer(start_half_change());
        cr_assert_str_eq(text(rd), "{'a': 1, 'b': [2]}");
    }
}

/* Without a daemon only those who may write can undo it. */
Test(readonly, without_a_daemon_a_dead_writer_is_in_the_way_until_somebody_writes)
{
    pid_t pid = start_half_change();
    broker_value v;

    instance_kill(instance);
    kill_writer(pid);
    GIVES(broker_dict_get(rd, broker_str("a"), &buffer, &v), BROKER_NODAEMON);
    GIVES(broker_dict_set(d, broker_str("c"), broker_int(3)), 0);
    cr_assert_str_eq(text(rd), "{'a': 1, 'b': [2], 'c': 3}");
}

/* A writer that lives, but does not go on. */
Test(readonly, a_stopped_writer_is_timedout_and_no_more_once_it_is_gone)
{
    pid_t pid = start_half_change();
    broker_value v;

    GIVES(broker_dict_get(rd, broker_str("a"), &buffer, &v), BROKER_TIMEDOUT);
    kill_writer(pid);
    GIVES(broker_dict_get(rd, broker_str("a"), &buffer, &v), 0);
    cr_assert_eq(v.i, 1);
}
