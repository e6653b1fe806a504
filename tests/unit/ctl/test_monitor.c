/*
 * test_monitor.c - operations as they happen, and what becomes of the lease when nobody looks
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "client/handle.h"
#include "core/monitor.h"
#include "core/seal.h"
#include "fixture.h"

#define MANY 50000

static broker *b;
static broker_dict *dict;
static broker_queue *queue;
static broker_buffer buffer;
static char line[4096]; /* the last that was read */

static void start(void)
{
    fixture_start();
    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_dict_open(b, "stock", NULL, &dict), 0);
    cr_assert_eq(broker_queue_open(b, "jobs", NULL, &queue), 0);
}

static void stop(void)
{
    broker_buffer_free(&buffer);
    broker_close(b);
    fixture_stop();
}

TestSuite(ctl_monitor, .init = start, .fini = stop, .timeout = 60);

static uint64_t lease(void)
{
    return atomic_load(&b->arena->shm->monitored_until_ns);
}

/* From here on everything is seen. */
static void wait_for_lease(void)
{
    while (lease() == 0)
        (void)sched_yield();
}

static struct running start_monitor(const char *const options[])
{
    const char *words[16] = {"monitor"};
    struct running r;

    for (unsigned i = 0; options[i] != NULL; i++)
        words[i + 1] = options[i];
    r = run_start(words);
    wait_for_lease();
    return r;
}
#define MONITOR(...) start_monitor((const char *const[]){__VA_ARGS__, NULL})

/* Reads one line, without its newline; false at the end. */
static bool read_line(const struct running *r)
{
    size_t n = 0;
    char c = '\0';

    while (read(r->out, &c, 1) == 1 && c != '\n')
        if (c != '\r' && n < sizeof(line) - 1)
            line[n++] = c;
    line[n] = '\0';
    return c == '\n';
}

/* How many were left out is told when it is known, of whatever else goes on in the arena. */
static bool tells_what_is_left_out(void)
{
    return strstr(line, "\"left_out\":") != NULL;
}

/* The next line has these texts in it. */
static void expect(const struct running *r, const char *one, const char *two)
{
    do
        cr_assert(read_line(r), "\"%s\" did not come", one);
    while (tells_what_is_left_out() && strstr(one, "left_out") == NULL);
    cr_assert_not_null(strstr(line, one), "no \"%s\": %s", one, line);
    cr_assert_not_null(strstr(line, two), "no \"%s\": %s", two, line);
}

static void expect_end(struct running *r, int wanted)
{
    int status;

    while (read_line(r))
        cr_assert(tells_what_is_left_out(), "one too many: %s", line);
    status = run_end(r);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == wanted, "%x", status);
}

static long long number(const char *key)
{
    const char *at = strstr(line, key);

    cr_assert_not_null(at, "no %s: %s", key, line);
    return strtoll(at + strlen(key), NULL, 10);
}

static void get(const char *key, int wanted)
{
    broker_value v;

    cr_assert_eq(broker_dict_get(dict, broker_str(key), &buffer, &v), wanted);
}

static void put(void)
{
    cr_assert_eq(broker_queue_put(queue, broker_int(1), 0), 0);
}

static int64_t realtime(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * BROKER_SECOND + now.tv_nsec;
}

/* ---- what it prints ---- */

Test(ctl_monitor, a_json_line_has_everything)
{
    struct running r = MONITOR("--json", "--count", "2");
    int64_t before = realtime(), after;
    char text[64];

    put();
    get("none", BROKER_NOTFOUND);
    after = realtime();
    expect(&r,
        "\"operation\":\"queue.put\",\"type\":\"queue\",\"object\":\"jobs\",\"duration_ns\":",
        ",\"result\":\"OK\",\"session\":");
    (void)snprintf(text, sizeof(text), ",\"pid\":%d,\"uid\":%u,\"command\":\"", (int)getpid(),
        (unsigned)geteuid());
    cr_assert_not_null(strstr(line, text), "%s", line);
    cr_assert_geq(number("\"duration_ns\":"), 0);
    /* The two clocks are compared when the line is printed. */
    cr_assert_geq(number("\"time_ns\":"), before - BROKER_SECOND / 10);
    cr_assert_leq(number("\"time_ns\":"), after + BROKER_SECOND / 10);
    expect(&r, "\"operation\":\"dict.get\"", "\"result\":\"NOTFOUND\"");
    expect_end(&r, 0);
}

Test(ctl_monitor, a_line_for_people_is_the_same_everywhere)
{
    const char *const words[] = {"monitor", "--once", NULL};
    struct running r = MONITOR("--once");
    int h, m, s, ms, pid;
    char who[64];

    (void)snprintf(who, sizeof(who), "process %d (", (int)getpid());
    put();
    expect(&r, "  queue.put  \"jobs\"  ", who);
    cr_assert_eq(sscanf(line, "%d:%d:%d.%d  queue.put", &h, &m, &s, &ms), 4, "%s", line);
    cr_assert_not_null(strstr(line, "s  OK  session "), "%s", line);
    expect_end(&r, 0);
    while (bri_monitor_check(b->arena, bri_now()))
        (void)sched_yield();
    r = run_start_terminal(words);
    wait_for_lease();
    get("none", BROKER_NOTFOUND);
    expect(&r, "  dict.get  \"stock\"  ", who);
    cr_assert_not_null(strstr(line, "  NOTFOUND  session "), "%s", line);
    cr_assert_eq(sscanf(strstr(line, "process"), "process %d", &pid), 1);
    cr_assert_null(strchr(line, '\033'));
    expect_end(&r, 0);
}

Test(ctl_monitor, json_on_a_terminal_is_a_line_each)
{
    const char *const words[] = {"monitor", "--once", "--json", NULL};
    struct running r = run_start_terminal(words);

    wait_for_lease();
    put();
    expect(&r, "{\"time_ns\":", "\"command\":\"");
    expect_end(&r, 0);
}

Test(ctl_monitor, operations_on_the_arena_have_no_object)
{
    struct running r = MONITOR("--json", "--once");
    uint64_t n;

    cr_assert_eq(broker_rename(b, "stock", "store"), 0);
    expect(&r, "\"operation\":\"broker.rename\"", "\"object\":null");
    expect_end(&r, 0);
    cr_assert_eq(broker_dict_len(dict, &n), 0);
}

/* Also when names are looked up anew, after a second. */
Test(ctl_monitor, what_was_destroyed_keeps_its_name)
{
    struct running r = MONITOR("--json", "--type", "dict");
    long long first;

    get("none", BROKER_NOTFOUND);
    expect(&r, "\"object\":\"stock\"", "NOTFOUND");
    first = number("\"time_ns\":");
    cr_assert_eq(broker_destroy(b, "stock"), 0);
    do {
        get("none", BROKER_GONE);
        expect(&r, "\"object\":\"stock\"", "\"result\":\"GONE\"");
    } while (number("\"time_ns\":") - first < 3 * BROKER_SECOND / 2);
    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
}

Test(ctl_monitor, what_short_programs_did_is_seen)
{
    struct running r = MONITOR("till", "--json", "--count", "3");

    EXPECT("lock run till true", 0, "");
    expect(&r, "\"operation\":\"lock.open\"", "\"command\":\"brokerctl\"");
    expect(&r, "\"operation\":\"lock.acquire\"", "\"command\":\"brokerctl\"");
    expect(&r, "\"operation\":\"lock.release\"", "\"command\":\"brokerctl\"");
    expect_end(&r, 0);
}

/* ---- by ZeroMQ ---- */

static broker *remote;

static void start_zmq(void)
{
    if (getenv("BROKERD_ZMQ")[0] == '\0')
        cr_skip_test("built without ZeroMQ");
    broker_close(b);
    instance_stop(instance);
    instance = instance_start("[arena default]\nsize = 16M\n[zmq]\nipc = yes\n");
    cr_assert_eq(setenv("BROKER_ADDRESS", instance_address(instance), 1), 0);
    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_open(instance_zmq_address(instance), &remote), 0);
}

/* Under the process that does it, and the name of who asked. */
Test(ctl_monitor, what_came_by_zeromq_is_seen)
{
    char text[128];
    broker_lock *lock;
    struct running r;

    start_zmq();
    r = MONITOR("--json", "--once", "till");
    cr_assert_eq(broker_lock_open(remote, "till", NULL, &lock), 0);
    (void)snprintf(text, sizeof(text), "\"pid\":%d,\"uid\":%u,\"command\":\"%.15s\"",
        (int)instance_zmq_pid(instance), (unsigned)geteuid(), program_invocation_short_name);
    expect(&r, "\"operation\":\"lock.open\"", text);
    expect_end(&r, 0);
    broker_close(remote);
}

static void *wait_in_vain(void *arg)
{
    broker_buffer own = BROKER_BUFFER_INIT;
    broker_value v;

    cr_assert_eq(broker_queue_get(arg, 2 * BROKER_SECOND, &own, &v), BROKER_TIMEDOUT);
    broker_buffer_free(&own);
    return NULL;
}

static void wait_for_waiter(const char *name)
{
    broker_value stat, n = broker_nil();

    while (n.u == 0) {
        cr_assert_eq(broker_stat(b, name, &buffer, &stat), 0);
        cr_assert_eq(broker_unpack_find(stat, broker_str("waiters"), &n), 0);
    }
}

/* One thread carries out both: each has the time that it took itself. */
Test(ctl_monitor, operations_that_wait_by_zeromq_keep_their_times)
{
    broker_queue *empty;
    pthread_t waiter;
    struct running r;
    int64_t before;
    uint64_t n;

    start_zmq();
    cr_assert_eq(broker_queue_open(remote, "empty", NULL, &empty), 0);
    r = MONITOR("--json", "--count", "2", "empty");
    cr_assert_eq(pthread_create(&waiter, NULL, wait_in_vain, empty), 0);
    wait_for_waiter("empty");
    before = realtime();
    while (realtime() - before < BROKER_SECOND / 20) /* a difference that can be told */
        wait_for_waiter("empty");
    before = realtime();
    cr_assert_eq(broker_queue_qsize(empty, &n), 0);
    cr_assert_eq(pthread_join(waiter, NULL), 0);
    expect(&r, "\"operation\":\"queue.qsize\"", "OK");
    cr_assert_geq(number("\"time_ns\":") - number("\"duration_ns\":"), before - BROKER_SECOND / 40);
    expect(&r, "\"operation\":\"queue.get\"", "TIMEDOUT");
    cr_assert_geq(number("\"duration_ns\":"), BROKER_SECOND);
    expect_end(&r, 0);
    broker_close(remote);
}

/* ---- filters ---- */

Test(ctl_monitor, filters_by_name_type_and_operation)
{
    struct running all[] = {MONITOR("--json", "--once", "st[aeiou]ck"),
        MONITOR("--json", "--once", "nothing", "jobs"),
        MONITOR("--json", "--once", "--type", "list"),
        MONITOR("--json", "--once", "--operation", "dict.clear"),
        MONITOR("--json", "--once", "--operation", "peek"),
        MONITOR("--json", "--once", "--operation", "queue.[q]*")};
    static const char *const wanted[] = {"\"object\":\"stock\"", "\"object\":\"jobs\"",
        "\"type\":\"list\"", "\"operation\":\"dict.clear\"", "\"operation\":\"queue.peek\"",
        "\"operation\":\"queue.qsize\""};
    struct pollfd ready = {.events = POLLIN};
    broker_list *list;
    broker_value v;
    uint64_t n;

    cr_assert_eq(broker_list_open(b, "list", NULL, &list), 0);
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        ready.fd = all[i].out;
        do { /* only the first of them was waited for */
            cr_assert_eq(broker_dict_clear(dict), 0);
            put();
            cr_assert_eq(broker_queue_peek(queue, &buffer, &v), 0);
            cr_assert_eq(broker_queue_qsize(queue, &n), 0);
            cr_assert_eq(broker_list_len(list, &n), 0);
        } while (poll(&ready, 1, 10) == 0);
        expect(&all[i], wanted[i], "\"result\":\"OK\"");
        expect_end(&all[i], 0);
    }
}

Test(ctl_monitor, filters_by_process)
{
    char pid[16];
    struct running r;

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    r = MONITOR("--json", "--once", "--pid", pid);
    EXPECT("dict set stock k 1", 0, "");
    get("k", 0);
    expect(&r, "\"operation\":\"dict.get\"", pid);
    expect_end(&r, 0);
}

Test(ctl_monitor, filters_by_duration)
{
    struct running r = MONITOR("--json", "--once", "--at-least", "20ms");
    broker_value v;

    get("none", BROKER_NOTFOUND);
    cr_assert_eq(broker_queue_get(queue, 30 * BROKER_SECOND / 1000, &buffer, &v), BROKER_TIMEDOUT);
    expect(&r, "\"operation\":\"queue.get\"", "\"result\":\"TIMEDOUT\"");
    cr_assert_geq(number("\"duration_ns\":"), 20000000);
    expect_end(&r, 0);
}

/* ---- how much ---- */

/* What is told and what is left out are all that there was, as long as that is not more in a tick
 * than is counted. */
Test(ctl_monitor, what_is_left_out_is_counted)
{
    struct running r = MONITOR("--json");
    long long n_told = 0, n_left_out = 0;
    struct pollfd ready = {.fd = r.out, .events = POLLIN};
    int n_done = 1000;

    for (int i = 0; i < n_done; i++)
        get("none", BROKER_NOTFOUND);
    while (n_told + n_left_out < n_done) {
        if (poll(&ready, 1, 100) == 0) { /* what a thread has counted comes with its next record */
            get("none", BROKER_NOTFOUND);
            n_done++;
            continue;
        }
        cr_assert(read_line(&r));
        if (strstr(line, "left_out") != NULL)
            n_left_out += number("\"left_out\":");
        else
            n_told++;
    }
    cr_assert_eq(n_told + n_left_out, n_done);
    cr_assert_gt(n_left_out, 0);
    cr_assert_geq(n_told, 256);
    cr_assert_eq(kill(r.pid, SIGTERM), 0);
    cr_assert(WIFSIGNALED(run_end(&r)));
}

Test(ctl_monitor, people_are_told_of_what_is_left_out)
{
    struct running r = MONITOR("--operation", "put");

    for (int i = 0; i < MANY; i++)
        get("none", BROKER_NOTFOUND);
    while (poll(&(struct pollfd){.fd = r.out, .events = POLLIN}, 1, 10) == 0)
        get("none", BROKER_NOTFOUND);
    expect(&r, "  ", " more operations, too many to tell each");
    cr_assert_eq(kill(r.pid, SIGTERM), 0);
    (void)run_end(&r);
}

Test(ctl_monitor, a_signal_ends_the_lease_soon_and_the_command_as_signals_do)
{
    struct running r = MONITOR("--json");
    int status;

    put();
    expect(&r, "queue.put", "OK");
    cr_assert_eq(kill(r.pid, SIGINT), 0);
    status = run_end(&r);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "%x", status);
    cr_assert_leq((int64_t)lease(), bri_now() + BRI_MONITOR_REST_NS);
}

Test(ctl_monitor, two_who_monitor_see_the_same_and_the_end_of_one_is_not_that_of_the_other)
{
    struct running first = MONITOR("--json", "--count", "1"), second = MONITOR("--json");
    struct pollfd ready = {.fd = second.out, .events = POLLIN};

    do
        put();
    while (poll(&ready, 1, 10) == 0);
    expect(&first, "queue.put", "jobs");
    expect_end(&first, 0);
    expect(&second, "queue.put", "jobs");
    for (int64_t end = bri_now() + 2 * BRI_MONITOR_REST_NS; bri_now() < end;) {
        cr_assert(bri_monitor_check(b->arena, bri_now()));
        get("none", BROKER_NOTFOUND);
        do
            cr_assert(read_line(&second));
        while (strstr(line, "dict.get") == NULL);
    }
    cr_assert_eq(kill(second.pid, SIGKILL), 0);
    (void)run_end(&second);
}

Test(ctl_monitor, ends_when_it_was_told_to)
{
    EXPECT("monitor --for 20ms", 0, "");
    EXPECT("monitor --timeout 20ms --json", 0, "");
    EXPECT("-q monitor --for 20ms", 0, "");
}

Test(ctl_monitor, quiet_prints_nothing_and_still_counts)
{
    struct running r = MONITOR("-q", "--count", "2");

    put();
    put();
    expect_end(&r, 0);
}

Test(ctl_monitor, mistakes_have_their_exit_codes)
{
    EXPECT_SAYS("monitor --type dictt", 2, "there is no type \"dictt\"");
    EXPECT_SAYS("monitor --operation gett", 2, "there is no operation \"gett\"");
    EXPECT_SAYS("monitor --pid x", 2, "--pid");
    EXPECT_SAYS("monitor --pid 0", 2, "--pid: 0 is no process");
    EXPECT_SAYS("monitor --at-least soon", 2, "--at-least");
    EXPECT_SAYS("monitor --count x", 2, "--count");
    EXPECT_SAYS("monitor --for x", 2, "--timeout");
    EXPECT_SAYS("--offline monitor", 36, "needs a daemon");
    instance_kill(instance);
    EXPECT_SAYS("monitor", 41, "no broker answers");
}

Test(ctl_monitor, an_arena_without_room_says_so)
{
    char large[65536] = {0};

    while (broker_queue_put(queue, broker_bin(large, sizeof(large)), 0) == 0)
        continue;
    EXPECT_SAYS("monitor --once", 37, "no place to be written down");
    cr_assert_eq(lease(), 0);
}

/* As before an upgrade to another layout of memory. */
Test(ctl_monitor, an_arena_that_goes_on_elsewhere_ends_it)
{
    struct running r = MONITOR("--json");

    put();
    expect(&r, "queue.put", "OK");
    cr_assert_eq(bri_seal(b->arena), 0);
    expect_end(&r, 49);
    cr_assert_eq(bri_unseal(b->arena), 0);
}

/* ---- readers ---- */

Test(ctl_monitor, who_may_only_read_has_the_daemon_ask)
{
    char address[512];
    const char *words[] = {"--address", address, "monitor", "--json", NULL};
    struct running r;
    int status;

    (void)snprintf(address, sizeof(address), "%s?access=ro", instance_address(instance));
    r = run_start(words);
    wait_for_lease();
    put();
    expect(&r, "queue.put", "\"object\":\"jobs\"");
    instance_kill(instance);
    while (read_line(&r))
        continue;
    status = run_end(&r);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 41, "%x", status);
}

/* ---- the lease of one who was killed ---- */

static struct running kill_monitor(void)
{
    struct running r = MONITOR("--json");

    put();
    expect(&r, "queue.put", "OK");
    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
    cr_assert_neq(lease(), 0);
    return r;
}

/* Nobody does anything: the daemon clears it. */
Test(ctl_monitor, a_killed_monitors_lease_ends_with_the_daemon)
{
    (void)kill_monitor();
    while (lease() != 0)
        (void)sched_yield();
}

/* The first operation after its end that looks at the clock does: not those of a thread that has
 * nothing left to do in the last tick, which the lease costs nothing. */
Test(ctl_monitor, a_killed_monitors_lease_ends_without_the_daemon)
{
    broker_value v;
    int64_t until;

    instance_kill(instance);
    instance_restart(instance); /* for the monitor to attach */
    until = bri_now();
    (void)kill_monitor();
    instance_kill(instance);
    while (lease() != 0)
        (void)broker_queue_get(queue, BROKER_SECOND / 1000, &buffer, &v);
    cr_assert_geq(bri_now() - until, BRI_MONITOR_LEASE_NS - BRI_MONITOR_TICK_NS);
}

Test(ctl_monitor, a_monitor_goes_on_while_the_daemon_is_gone)
{
    struct running r = MONITOR("--json", "--count", "1");

    instance_kill(instance);
    put();
    expect(&r, "queue.put", "\"object\":\"jobs\"");
    expect_end(&r, 0);
}

/* ---- what others may have written ---- */

Test(ctl_monitor, forged_records_do_nothing_to_a_terminal)
{
    struct bri_record forged = {.end_ns = INT64_MAX,
        .duration_ns = INT64_MAX,
        .object = UINT32_MAX,
        .generation = UINT32_MAX,
        .op = 4095,
        .result = -128,
        .who = {UINT32_MAX, UINT32_MAX, UINT32_MAX, 0, "\033[31mred\xc2\x9b"}};
    struct running r = MONITOR("--count", "1");

    bri_monitor_write(bri_monitor_ring(b->arena), &forged);
    expect(&r, "(unknown operation)", "(?[31mred?");
    cr_assert_null(strchr(line, '\033'));
    cr_assert_null(strstr(line, "\xc2\x9b"));
    expect_end(&r, 0);
}

Test(ctl_monitor, a_scribbled_ring_is_survived)
{
    struct running r = MONITOR("--json", "stock");
    uint64_t *words = (uint64_t *)bri_monitor_ring(b->arena);
    struct pollfd ready = {.fd = r.out, .events = POLLIN};

    for (uint64_t round = 1; round < 200; round++) {
        for (unsigned i = 0; i < 100; i++)
            words[(round * 7919 + i * 104729) % (sizeof(struct bri_ring_shm) / 8)] = round
                                                                                     << i % 60;
        words[0] = round << round % 50;
        words[1] = ~round;
    }
    do
        get("none", BROKER_NOTFOUND);
    while (poll(&ready, 1, 10) == 0);
    while (strstr(line, "dict.get") == NULL)
        cr_assert(read_line(&r));
    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
}
