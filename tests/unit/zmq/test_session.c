/*
 * test_session.c - hello, versions, resuming, and how sessions end
 */
#include "kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(zmq_session, .init = kit_start, .fini = kit_stop, .timeout = 60);

static broker_value option(const char *name, broker_value v)
{
    return packed_map(&name, &v, 1);
}

Test(zmq_session, hello_says_what_was_agreed)
{
    struct client *c = client_open();

    cr_expect_eq(client_agreed(c, "version").i, 1);
    cr_expect_eq(client_agreed(c, "resumed").b, false);
    cr_expect_eq(client_agreed(c, "timeout").i, 10 * BROKER_SECOND);
    cr_expect_eq(client_agreed(c, "max_message").i, 1 << 20);
    cr_expect_eq(client_agreed(c, "max_pending").i, 256);
    cr_expect_eq(client_agreed(c, "session").size, 16);
    cr_expect_eq(client_agreed(c, "arena").size, 16);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
    cr_expect_eq(client_last(c)->n_results, 0);
    client_close(c);
}

Test(zmq_session, the_first_request_is_hello)
{
    struct client *c = client_open_silent();

    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), BROKER_PROTO);
    cr_expect_eq(client_hello(c, broker_nil()), 0);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
    client_close(c);
}

Test(zmq_session, a_hello_that_cannot_be_is_refused)
{
    struct client *c = client_open_silent();
    const broker_value later[] = {broker_int(2), broker_int(9)};
    const broker_value wide[] = {broker_int(1), broker_int(9)};
    uint8_t key[16] = {1};

    cr_expect_eq(client_hello(c, option("versions", packed_array(later, 2))), BROKER_VERSION);
    cr_expect_eq(client_hello(c, option("arena", broker_str("nowhere"))), BROKER_NOTFOUND);
    cr_expect_eq(client_hello(c, option("access", broker_str("all"))), BROKER_INVALID);
    cr_expect_eq(client_hello(c, option("timeout", broker_str("1"))), BROKER_INVALID);
    cr_expect_eq(client_hello(c, option("client", broker_str("sixteen letters!"))), BROKER_INVALID);
    cr_expect_eq(client_resume(c, broker_bin(key, sizeof(key))), BROKER_LOST);
    cr_expect_eq(client_hello(c, broker_int(1)), BROKER_INVALID);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), BROKER_PROTO, "no session");
    cr_expect_eq(client_hello(c, option("versions", packed_array(wide, 2))), 0);
    client_close(c);
}

Test(zmq_session, limits_of_the_timeout_count)
{
    struct client *c = client_open_silent();

    cr_expect_eq(client_hello(c, option("timeout", broker_int(1))), 0);
    cr_expect_eq(client_agreed(c, "timeout").i, 100 * INT64_C(1000000));
    cr_expect_eq(client_hello(c, option("timeout", broker_int(INT64_MAX))), 0);
    cr_expect_eq(client_agreed(c, "timeout").i, 300 * BROKER_SECOND);
    client_close(c);
}

Test(zmq_session, what_is_no_request_is_answered)
{
    static const uint8_t garbage[] = {0xc1, 0xff, 0x00};
    static const uint8_t version_2[] = {0x95, 2, 7, 0xa1, 'x', 0xc0, 0xc0};
    static const uint8_t no_op[] = {0x94, 1, 7, 5, 0xc0};
    struct client *c = client_open();

    client_send_raw(c, garbage, sizeof(garbage), 1);
    cr_expect_eq(client_answer(c, 0), BROKER_PROTO);
    client_send_raw(c, version_2, sizeof(version_2), 1);
    cr_expect_eq(client_answer(c, 0), BROKER_VERSION);
    client_send_raw(c, no_op, sizeof(no_op), 1);
    cr_expect_eq(client_answer(c, 7), BROKER_PROTO);
    client_close(c);
}

Test(zmq_session, several_parts_end_the_connection)
{
    struct client *c = client_open(), *other = client_open();

    client_make(c, "dict", "d");
    client_send_raw(c, "x", 1, 3);
    client_await_loss(c);
    /* libzmq connects again by itself: the broker sees another connection, without a session. */
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), BROKER_PROTO);
    cr_expect_eq(client_resume(c, client_key(c)), 0);
    cr_expect_eq(client_agreed(c, "resumed").b, true);
    cr_expect_eq(CALL(c, "dict.len", broker_int(1), NO_ARGS), 0);
    cr_expect_eq(CALL(other, "session.ping", broker_nil(), NO_ARGS), 0);
    client_close(c);
    client_close(other);
}

Test(zmq_session, the_end_gives_all_back)
{
    struct client *c = client_open(), *other = client_open();
    broker_value lock = client_make(c, "lock", "l");
    uint64_t waiting, end;

    client_make(other, "lock", "l");
    cr_assert_eq(CALL(c, "lock.acquire", lock, NO_ARGS), 0);
    cr_expect_eq(
        CALL(other, "lock.acquire", broker_str("l"), ARGS(broker_int(0))), BROKER_TIMEDOUT);
    waiting = client_ask_as(c, 2, "lock.acquire", lock, NO_ARGS);
    end = ASK(c, "session.end", broker_nil(), NO_ARGS);
    cr_expect_eq(client_answer(c, end), 0);
    cr_expect_eq(client_answer(c, waiting), BROKER_LOST);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), BROKER_LOST);
    cr_expect_not(client_has_answer(c, end), "one answer is enough");
    cr_expect_eq(client_resume(c, client_key(c)), BROKER_LOST);
    cr_expect_geq(CALL(other, "lock.acquire", broker_str("l"), NO_ARGS), 0);
    client_close(c);
    client_close(other);
}

/* With another client, through shared memory, as the one who finds what is left. */
Test(zmq_session, silence_is_death)
{
    struct client *c = client_open_silent();
    broker *b;
    broker_lock *lock;
    broker_queue *queue;
    broker_semaphore *seats;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;
    uint64_t token, value;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    cr_assert_eq(broker_lock_open(b, "l", NULL, &lock), 0);
    cr_assert_eq(broker_queue_open(b, "q", NULL, &queue), 0);
    cr_assert_eq(broker_semaphore_open(
                     b, "s", &(broker_semaphore_options){.value = 1, .bounded = true}, &seats),
        0);
    cr_assert_eq(broker_queue_put(queue, broker_int(5), 0), 0);

    cr_assert_eq(client_hello(c, option("timeout", broker_int(300 * INT64_C(1000000)))), 0);
    cr_assert_eq(CALL(c, "lock.acquire", broker_str("l"), NO_ARGS), 0);
    cr_assert_eq(CALL(c, "semaphore.acquire", broker_str("s"), NO_ARGS), 0);
    cr_assert_eq(CALL(c, "queue.lease", broker_str("q"), ARGS(broker_int(0))), 0);
    cr_expect_eq(broker_queue_get(queue, 0, &buffer, &item), BROKER_EMPTY);

    cr_expect_eq(broker_lock_acquire(lock, 20 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    cr_expect_geq(
        broker_semaphore_acquire(seats, 20 * BROKER_SECOND), 0, "%s", broker_last_error());
    cr_expect_eq(broker_queue_get(queue, 20 * BROKER_SECOND, &buffer, &item), 0);
    cr_expect_eq(item.i, 5);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), BROKER_LOST);
    cr_expect_eq(broker_semaphore_value(seats, &value), 0);
    cr_expect_eq(value, 0);
    broker_buffer_free(&buffer);
    broker_close(b);
    client_close(c);
}

/* ---- processes ---- */

/* A client in a process of its own, which says that it is @process (0: itself). It holds a lock,
 * waits for an item, tells the key of its session, and stays. */
static _Noreturn void hold_and_wait(int to, pid_t process)
{
    const char *const names[] = {"timeout", "process"};
    const broker_value values[] = {
        broker_int(300 * BROKER_SECOND), broker_int(process != 0 ? process : getpid())};
    struct client *c;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    c = client_open_silent();
    cr_assert_eq(client_hello(c, packed_map(names, values, 2)), 0);
    cr_assert_eq(CALL(c, "lock.acquire", client_make(c, "lock", "l"), NO_ARGS), 0);
    ASK(c, "queue.get", client_make(c, "queue", "q"), NO_ARGS);
    cr_assert_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
    cr_assert_eq(write(to, client_key(c).data, 16), 16);
    for (;;)
        (void)pause();
}

/* Starts one, and kills it when it holds and waits. Gives the key of the session that it had. */
static void kill_one(pid_t process, uint8_t out_key[16])
{
    int line[2], status;
    pid_t pid;

    cr_assert_eq(pipe2(line, O_CLOEXEC), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        hold_and_wait(line[1], process);
    (void)close(line[1]);
    cr_assert_eq(read(line[0], out_key, 16), 16);
    (void)close(line[0]);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
}

/* The session would have lasted for five minutes. */
Test(zmq_session, the_death_of_its_process_is_known_at_once)
{
    broker_lock *lock;
    broker_queue *queue;
    uint64_t token, size;
    uint8_t key[16];
    broker *b;

    kill_one(0, key);
    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    cr_assert_eq(broker_lock_open(b, "l", NULL, &lock), 0);
    cr_assert_eq(broker_queue_open(b, "q", NULL, &queue), 0);
    cr_expect_eq(broker_lock_acquire(lock, 40 * BROKER_SECOND, &token), BROKER_OWNER_DIED);
    cr_expect_eq(broker_queue_put(queue, broker_int(5), 0), 0);
    cr_expect_eq(broker_queue_qsize(queue, &size), 0);
    cr_expect_eq(size, 1, "the dead waits for nothing");
    broker_close(b);
}

/* Who comes through a relay: that its process ends is a connection that is lost. */
Test(zmq_session, only_who_is_the_process_that_he_says_ends_with_it)
{
    struct client *c;
    uint8_t key[16];

    kill_one(getpid(), key);
    c = client_open();
    cr_assert_eq(client_resume(c, broker_bin(key, sizeof(key))), 0);
    cr_expect_eq(CALL(c, "lock.locked", broker_str("l"), NO_ARGS), 0);
    cr_expect(client_last(c)->results[0].b);
    client_close(c);
}

Test(zmq_session, a_process_that_is_none_is_refused)
{
    struct client *c = client_open_silent();

    cr_expect_eq(client_hello(c, option("process", broker_int(0))), BROKER_INVALID);
    cr_expect_eq(client_hello(c, option("process", broker_int(-1))), BROKER_INVALID);
    cr_expect_eq(client_hello(c, option("process", broker_str("1"))), BROKER_INVALID);
    client_close(c);
}

/* For longer than the timeout, which is long enough for a machine that is busy. */
Test(zmq_session, pings_keep_it_alive)
{
    struct client *c = client_open_silent();

    cr_assert_eq(client_hello(c, option("timeout", broker_int(2 * BROKER_SECOND))), 0);
    client_make(c, "event", "e");
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(CALL(c, "event.wait", broker_str("e"), ARGS(broker_int(BROKER_SECOND / 2))),
            BROKER_TIMEDOUT);
        cr_assert_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
    }
    client_close(c);
}

/* What waits does not keep a session alive, and ends with it. */
Test(zmq_session, waiting_is_silence)
{
    struct client *c = client_open_silent(), *other = client_open();
    uint64_t id;

    cr_assert_eq(client_hello(c, option("timeout", broker_int(300 * INT64_C(1000000)))), 0);
    client_make(c, "queue", "q");
    id = ASK(c, "queue.get", broker_str("q"), NO_ARGS);
    cr_expect_eq(client_answer(c, id), BROKER_LOST);
    cr_expect_eq(CALL(other, "queue.put", broker_str("q"), ARGS(broker_int(6))), 0);
    cr_expect_eq(CALL(other, "queue.get", broker_str("q"), ARGS(broker_int(0))), 0);
    cr_expect_eq(client_int(other, 0), 6, "nobody waits for it any more");
    client_close(other);
    client_close(c);
}

Test(zmq_session, a_lost_connection_is_no_end)
{
    struct client *c = client_open(), *other = client_open();
    broker_value lock = client_make(c, "lock", "l"), queue = client_make(c, "queue", "q");
    uint64_t waiting;

    cr_assert_eq(CALL_AS(c, 3, "lock.acquire", lock, NO_ARGS), 0);
    waiting = ASK(c, "queue.get", queue, NO_ARGS);
    cr_assert_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
    client_reconnect(c);
    cr_assert_eq(client_resume(c, client_key(c)), 0);
    cr_expect(client_agreed(c, "resumed").b);
    cr_expect_eq(CALL(other, "queue.put", broker_str("q"), ARGS(broker_int(8))), 0);
    cr_expect_eq(client_answer(c, waiting), 0, "it goes on waiting for the new connection");
    cr_expect_eq(client_int(c, 0), 8);
    cr_expect_eq(CALL_AS(c, 4, "lock.release", lock, NO_ARGS), BROKER_NOTOWNER);
    cr_expect_eq(CALL_AS(c, 3, "lock.release", lock, NO_ARGS), 0);
    client_close(c);
    client_close(other);
}

Test(zmq_session, a_repeated_request_is_not_done_twice)
{
    struct client *c = client_open();
    broker_value d = client_make(c, "dict", "d"), q = client_make(c, "queue", "q");
    uint64_t add, get, open;

    add = ASK(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1)));
    cr_assert_eq(client_answer(c, add), 0);
    open = ASK(c, "dict.open", broker_str("d"), NO_ARGS);
    cr_assert_eq(client_answer(c, open), 0);
    get = ASK(c, "queue.get", q, NO_ARGS);
    client_reconnect(c);
    cr_assert_eq(client_resume(c, client_key(c)), 0);

    client_next_id(c, add);
    cr_expect_eq(CALL(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1))), 0);
    cr_expect_eq(client_int(c, 0), 1, "answered from the record");
    client_next_id(c, open);
    cr_expect_eq(CALL(c, "dict.open", broker_str("d"), NO_ARGS), 0);
    client_next_id(c, get);
    ASK(c, "queue.get", q, NO_ARGS);
    client_next_id(c, get + 100);
    cr_expect_eq(CALL(c, "dict.get", d, ARGS(broker_str("n"))), 0);
    cr_expect_eq(client_int(c, 0), 1, "done once");
    cr_expect_eq(CALL(c, "queue.put", q, ARGS(broker_int(1))), 0);
    cr_expect_eq(CALL(c, "queue.put", q, ARGS(broker_int(2))), 0);
    cr_expect_eq(client_answer(c, get), 0);
    cr_expect_eq(CALL(c, "queue.qsize", q, NO_ARGS), 0);
    cr_expect_eq(client_int(c, 0), 1, "one of the two was taken, by the one get");
    /* Two opens were asked for, and each is closed. */
    cr_expect_eq(CALL(c, "object.close", d, NO_ARGS), 0);
    cr_expect_eq(CALL(c, "object.close", d, NO_ARGS), 0);
    cr_expect_eq(CALL(c, "object.close", d, NO_ARGS), BROKER_INVALID);
    client_close(c);
}

/* In any order. */
Test(zmq_session, what_was_lost_on_the_way_is_done_when_it_comes)
{
    struct client *c = client_open();
    broker_value d = client_make(c, "dict", "d");
    uint64_t first = ASK(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1)));

    cr_assert_eq(client_answer(c, first), 0);
    client_next_id(c, first + 2);
    cr_assert_eq(CALL(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1))), 0);
    client_reconnect(c);
    client_next_id(c, first + 3);
    cr_assert_eq(client_resume(c, client_key(c)), 0);
    client_next_id(c, first + 2);
    cr_expect_eq(CALL(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1))), 0);
    cr_expect_eq(client_int(c, 0), 2);
    client_next_id(c, first + 1);
    cr_expect_eq(CALL(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1))), 0);
    cr_expect_eq(client_int(c, 0), 3);
    client_close(c);
}

Test(zmq_session, what_is_not_recorded_any_more_is_unknown)
{
    struct client *c = client_open();
    broker_value d = client_make(c, "dict", "d");
    uint64_t first = ASK(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1))), read;

    cr_assert_eq(client_answer(c, first), 0);
    read = ASK(c, "dict.len", d, NO_ARGS);
    cr_assert_eq(client_answer(c, read), 0);
    for (unsigned i = 0; i < 512; i++)
        cr_assert_eq(CALL(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1))), 0);
    client_next_id(c, first);
    cr_expect_eq(CALL(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1))), BROKER_UNKNOWN);
    client_next_id(c, read);
    cr_expect_eq(CALL(c, "dict.len", d, NO_ARGS), 0, "what changes nothing is done again");
    client_next_id(c, first + 10000);
    cr_expect_eq(CALL(c, "dict.get", d, ARGS(broker_str("n"))), 0);
    cr_expect_eq(client_int(c, 0), 513);
    client_close(c);
}

/* brokerd, stopped for a while. */
static void stop_broker(void)
{
    siginfo_t info;

    cr_assert_eq(kill(instance_pid(instance), SIGSTOP), 0);
    cr_assert_eq(waitid(P_PID, (id_t)instance_pid(instance), &info, WSTOPPED), 0);
}

static void wake_broker(void)
{
    cr_assert_eq(kill(instance_pid(instance), SIGCONT), 0);
}

/* How often the endpoint has mapped the arena. */
static unsigned n_mappings(void)
{
    char path[64], line[512];
    unsigned n = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)kit_endpoint_pid());
    f = fopen(path, "re");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        n += strstr(line, instance_arena_path(instance)) != NULL;
    (void)fclose(f);
    return n;
}

/* The broker is asked, and does not answer: those who have their sessions go on. */
Test(zmq_session, hello_keeps_nobody_waiting)
{
    struct client *c = client_open(), *silent = client_open_silent();
    broker_value q = client_make(c, "queue", "q");
    uint64_t hello;

    stop_broker();
    hello = ASK(silent, "session.hello", broker_nil(), NO_ARGS);
    for (unsigned i = 0; i < 100; i++) {
        cr_expect_eq(CALL(c, "queue.put", q, ARGS(broker_int(i))), 0);
        cr_expect_eq(CALL(c, "queue.get", q, NO_ARGS), 0);
    }
    cr_expect(!client_has_answer(silent, hello));
    wake_broker();
    cr_expect_eq(client_answer(silent, hello), 0);
    cr_expect_eq(CALL(silent, "queue.put", broker_str("q"), ARGS(broker_int(1))), 0);
    client_close(c);
    client_close(silent);
}

/* Nobody has the arena yet: it is mapped once for all. */
Test(zmq_session, many_first_hellos_at_a_time)
{
    enum { N = 20 };
    struct client *all[N];
    uint64_t ids[N];

    stop_broker();
    for (unsigned i = 0; i < N; i++) {
        all[i] = client_open_silent();
        ids[i] = ASK(all[i], "session.hello", broker_nil(), NO_ARGS);
        cr_expect_eq(CALL(all[i], "session.ping", broker_nil(), NO_ARGS), BROKER_PROTO);
    }
    wake_broker();
    for (unsigned i = 0; i < N; i++)
        cr_expect_eq(client_answer(all[i], ids[i]), 0);
    cr_expect_eq(n_mappings(), 1);
    for (unsigned i = 0; i < N; i++)
        client_close(all[i]);
}

/* Whichever the broker answers first: the connection has one session, and it works. */
Test(zmq_session, hello_twice_before_it_is_answered)
{
    struct client *c = client_open_silent();
    uint64_t first, second;
    int r;

    stop_broker();
    first = ASK(c, "session.hello", broker_nil(), NO_ARGS);
    second = ASK(c, "session.hello", broker_nil(), NO_ARGS);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), BROKER_PROTO);
    wake_broker();
    r = client_answer(c, first);
    cr_expect(r == 0 || r == BROKER_LOST, "%d", r);
    cr_expect_eq(client_answer(c, second), 0);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
    client_close(c);
}
