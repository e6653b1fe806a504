/*
 * kit.c - see kit.h
 */
#include "conformance/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <msgpack.h>

#include "conformance/host.h"
#include "conformance/roads.h"

#define MAX_NAMES 160

broker *kit_broker;
broker_buffer kit_buffer = BROKER_BUFFER_INIT;

static struct {
    char base[64];
    char name[128];
} names[MAX_NAMES];
static int n_names;

int64_t kit_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * BROKER_SECOND + ts.tv_nsec;
}

/* Between two looks. No event tells that somebody sleeps, or that the dead were reaped, and who
 * waits for changes would count as a waiter himself. By ZeroMQ each look is work for three
 * processes, which others could use better. */
static void pause_looking(void)
{
    const struct timespec pause = {.tv_nsec = 500 * BROKER_MICROSECOND};

    if (road_is_local())
        (void)sched_yield();
    else
        (void)nanosleep(&pause, NULL);
}

static uint32_t n_clients(void)
{
    broker_value clients;

    OK(broker_clients(kit_broker, &kit_buffer, &clients));
    return kit_count(clients);
}

int64_t kit_often(int64_t n)
{
    return road_is_local() || getenv("BROKER_CAMPAIGN") != NULL ? n : n / 10;
}

void kit_open(void)
{
    OK(broker_open(road_begin(), &kit_broker));
    while (host_is_there() && n_clients() > 1)
        pause_looking(); /* who had the arena before may have been killed a moment ago */
}

void kit_close(void)
{
    for (int i = 0; i < n_names; i++)
        (void)broker_destroy(kit_broker, names[i].name);
    broker_close(kit_broker);
    broker_buffer_free(&kit_buffer);
    words_free();
}

const char *kit_address(void)
{
    return broker_address(kit_broker);
}

const char *kit_name(const char *base)
{
    for (int i = 0; i < n_names; i++)
        if (strcmp(names[i].base, base) == 0)
            return names[i].name;
    cr_assert_lt(n_names, MAX_NAMES);
    (void)snprintf(names[n_names].base, sizeof(names[0].base), "%s", base);
    (void)snprintf(names[n_names].name, sizeof(names[0].name), "test.%d.%llx.%s", (int)getpid(),
        (unsigned long long)kit_now(), base);
    return names[n_names++].name;
}

broker_dict *kit_dict(const char *base, const broker_dict_options *options)
{
    broker_dict *d;

    OK(broker_dict_open(kit_broker, kit_name(base), options, &d));
    return d;
}

broker_queue *kit_queue(const char *base, const broker_queue_options *options)
{
    broker_queue *q;

    OK(broker_queue_open(kit_broker, kit_name(base), options, &q));
    return q;
}

broker_list *kit_list(const char *base, const broker_list_options *options)
{
    broker_list *l;

    OK(broker_list_open(kit_broker, kit_name(base), options, &l));
    return l;
}

broker_lock *kit_lock(const char *base, const broker_lock_options *options)
{
    broker_lock *l;

    OK(broker_lock_open(kit_broker, kit_name(base), options, &l));
    return l;
}

broker_semaphore *kit_semaphore(const char *base, const broker_semaphore_options *options)
{
    broker_semaphore *s;

    OK(broker_semaphore_open(kit_broker, kit_name(base), options, &s));
    return s;
}

broker_event *kit_event(const char *base)
{
    broker_event *e;

    OK(broker_event_open(kit_broker, kit_name(base), NULL, &e));
    return e;
}

broker_barrier *kit_barrier(const char *base, const broker_barrier_options *options)
{
    broker_barrier *b;

    OK(broker_barrier_open(kit_broker, kit_name(base), options, &b));
    return b;
}

broker_rlock *kit_rlock(const char *base)
{
    broker_rlock *l;

    OK(broker_rlock_open(kit_broker, kit_name(base), NULL, &l));
    return l;
}

broker_condition *kit_condition(const char *base, const broker_condition_options *options)
{
    broker_condition *c;

    OK(broker_condition_open(kit_broker, kit_name(base), options, &c));
    return c;
}

broker_array *kit_array(const char *base, const broker_array_options *options)
{
    broker_array *a;

    OK(broker_array_open(kit_broker, kit_name(base), options, &a));
    return a;
}

broker_pipe *kit_pipe(const char *base, const broker_pipe_options *options)
{
    broker_pipe *p;

    OK(broker_pipe_open(kit_broker, kit_name(base), options, &p));
    return p;
}

broker_namespace *kit_namespace(const char *base, const broker_namespace_options *options)
{
    broker_namespace *n;

    OK(broker_namespace_open(kit_broker, kit_name(base), options, &n));
    return n;
}

broker_number *kit_number(const char *base, const broker_number_options *options)
{
    broker_number *n;

    OK(broker_number_open(kit_broker, kit_name(base), options, &n));
    return n;
}

/* ---- what came out ---- */

void kit_gives(int r, int code, const char *what, const char *file, int line)
{
    if (r != code)
        cr_assert_fail("%s:%d: %s gave %s, not %s (last error: %s)", file, line, what,
            broker_error_name(r), broker_error_name(code), broker_last_error());
}

void kit_says(broker_value v, const char *text, const char *what, const char *file, int line)
{
    const char *is = text_of(v);

    if (strcmp(is, text) != 0)
        cr_assert_fail("%s:%d: %s is %.400s, not %.400s", file, line, what, is, text);
}

const char *kit_dict_text(broker_dict *d)
{
    broker_value map;
    int r = broker_dict_copy(d, &kit_buffer, &map);

    return r < 0 ? broker_error_name(r) : text_of(map);
}

const char *kit_list_text(broker_list *l)
{
    broker_value values;
    int r = broker_list_copy(l, &kit_buffer, &values);

    return r < 0 ? broker_error_name(r) : text_of(values);
}

const char *kit_get(broker_dict *d, broker_value key)
{
    broker_value v;
    int r = broker_dict_get(d, key, &kit_buffer, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

/* One after another, so that what is large comes too. */
const char *kit_drain(broker_queue *q)
{
    size_t size = 2, used = 1;
    char *all = words_keep(size);
    broker_value v;
    int r;

    all[0] = '[';
    while ((r = broker_queue_get(q, 0, &kit_buffer, &v)) == 0) {
        const char *text = text_of(v);
        size_t n = strlen(text);

        if (used + n + 4 > size) {
            char *more = words_keep(size = 2 * size + n + 4);

            memcpy(more, all, used);
            all = more;
        }
        used += (size_t)sprintf(all + used, "%s%s", used > 1 ? ", " : "", text);
    }
    if (r != BROKER_EMPTY && r != BROKER_CLOSED)
        return broker_error_name(r);
    all[used] = ']';
    return all;
}

static msgpack_object *unpacked(msgpack_unpacked *u, broker_value v)
{
    msgpack_unpacked_init(u);
    if (v.type != BROKER_PACKED ||
        msgpack_unpack_next(u, v.data, v.size, NULL) != MSGPACK_UNPACK_SUCCESS)
        cr_assert_fail("no container, but %s", text_of(v));
    return &u->data;
}

/* Packed again: its bytes are not to be had from msgpack-c. */
static broker_value repacked(const msgpack_object *o)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    broker_value v;
    char *bytes;

    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return broker_uint(o->via.u64);
    if (o->type == MSGPACK_OBJECT_BOOLEAN)
        return broker_bool(o->via.boolean);
    if (o->type == MSGPACK_OBJECT_NIL)
        return broker_nil();
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    cr_assert_eq(msgpack_pack_object(&packer, *o), 0);
    bytes = words_keep(buffer.size);
    memcpy(bytes, buffer.data, buffer.size);
    v = broker_packed(bytes, buffer.size);
    if (o->type == MSGPACK_OBJECT_STR)
        v = broker_strn(bytes + buffer.size - o->via.str.size, o->via.str.size);
    msgpack_sbuffer_destroy(&buffer);
    return v;
}

broker_value kit_field(broker_value map, const char *key)
{
    msgpack_unpacked u;
    const msgpack_object *o = unpacked(&u, map);
    broker_value v = broker_nil();
    bool found = false;

    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_MAP && i < o->via.map.size && !found; i++) {
        const msgpack_object_kv *pair = &o->via.map.ptr[i];

        found = pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == strlen(key) &&
                memcmp(pair->key.via.str.ptr, key, strlen(key)) == 0;
        if (found)
            v = repacked(&pair->val);
    }
    msgpack_unpacked_destroy(&u);
    if (!found)
        cr_assert_fail("there is no %s in %s", key, text_of(map));
    return v;
}

broker_value kit_element(broker_value array, uint32_t i)
{
    msgpack_unpacked u;
    const msgpack_object *o = unpacked(&u, array);
    broker_value v;

    if (o->type != MSGPACK_OBJECT_ARRAY || i >= o->via.array.size)
        cr_assert_fail("there is no element %u in %s", i, text_of(array));
    v = repacked(&o->via.array.ptr[i]);
    msgpack_unpacked_destroy(&u);
    return v;
}

uint32_t kit_count(broker_value container)
{
    msgpack_unpacked u;
    const msgpack_object *o = unpacked(&u, container);
    uint32_t n = o->type == MSGPACK_OBJECT_MAP ? o->via.map.size : o->via.array.size;

    msgpack_unpacked_destroy(&u);
    return n;
}

uint64_t kit_stat(const char *name, const char *field)
{
    broker_value stat, v;

    OK(broker_stat(kit_broker, name, &kit_buffer, &stat));
    v = kit_field(stat, field);
    if (v.type != BROKER_UINT)
        cr_assert_fail("%s is no number", field);
    return v.u;
}

/* ---- others ---- */

void kit_require(bool condition, const char *what, const char *file, int line)
{
    if (condition)
        return;
    (void)fprintf(
        stderr, "%s:%d: not so: %s (last error: %s)\n", file, line, what, broker_last_error());
    _exit(1);
}

struct line kit_fork(void (*run)(struct line *parent, void *arg), void *arg)
{
    pid_t parent = getpid();
    int there[2], back[2];
    struct line line;

    cr_assert(pipe2(there, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0);
    line.pid = fork();
    cr_assert_geq(line.pid, 0);
    if (line.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        REQUIRE(getppid() == parent);
        (void)close(there[1]);
        (void)close(back[0]);
        line.to = back[1];
        line.from = there[0];
        run(&line, arg);
        _exit(0);
    }
    (void)close(there[0]);
    (void)close(back[1]);
    line.to = there[1];
    line.from = back[0];
    return line;
}

void kit_tell(struct line *line, uint64_t number)
{
    REQUIRE(write(line->to, &number, sizeof(number)) == (ssize_t)sizeof(number));
}

uint64_t kit_hear(struct line *line)
{
    uint64_t number;
    ssize_t n;

    do
        n = read(line->from, &number, sizeof(number));
    while (n < 0 && errno == EINTR);
    REQUIRE(n == (ssize_t)sizeof(number));
    return number;
}

static int reap(struct line *line)
{
    int status;

    while (waitpid(line->pid, &status, 0) < 0)
        cr_assert_eq(errno, EINTR);
    (void)close(line->to);
    (void)close(line->from);
    return status;
}

void kit_kill(struct line *line)
{
    int status;

    cr_assert_eq(kill(line->pid, SIGKILL), 0);
    status = reap(line);
    cr_assert(WIFSIGNALED(status), "the process had ended before it was killed");
}

void kit_bury(struct line *line)
{
    uint32_t n = road_is_local() ? 0 : n_clients();

    kit_kill(line);
    while (!road_is_local() && n_clients() >= n)
        pause_looking();
}

void kit_end(struct line *line)
{
    int status = reap(line);

    cr_assert(
        WIFEXITED(status) && WEXITSTATUS(status) == 0, "a process ended with status %x", status);
}

void kit_await_waiters(const char *name, uint64_t n)
{
    while (kit_stat(name, "waiters") < n)
        pause_looking();
}

void kit_await(const char *name, const char *field, uint64_t value)
{
    while (kit_stat(name, field) != value)
        pause_looking();
}

static void *call_run(void *arg)
{
    struct call *c = arg;

    c->result = c->run(c);
    return NULL;
}

void kit_call(struct call *c, int (*run)(struct call *c), void *object, int64_t number)
{
    *c = (struct call){.run = run, .object = object, .number = number};
    cr_assert_eq(pthread_create(&c->thread, NULL, call_run, c), 0);
}

int kit_return(struct call *c)
{
    cr_assert_eq(pthread_join(c->thread, NULL), 0);
    return c->result;
}
