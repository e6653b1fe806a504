/*
 * test_hostile.c - peers that mean harm: the worst that comes of it is that the endpoint is started
 * again; who works in shared memory does not notice, and others are served
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <zmq.h>

#include "core/clock.h"
#include "peer.h"
#include "support/pair.h"
#include "wire/wire.h"

#define MIB (1u << 20)
#define MANY 600 /* connections; more than the descriptors of the test below */

static struct pair pair;

static void end(void)
{
    pair_stop(&pair);
}

TestSuite(hostile, .fini = end, .timeout = 200);

static int shake_hands(void)
{
    int sock = peer_connect(pair.path);

    cr_assert_geq(sock, 0);
    cr_assert(peer_shake_hands(sock));
    return sock;
}

/* ---- what libzmq cannot bear ---- */

/* The parts of a message are kept until its last one comes: here it never does. */
Test(hostile, a_message_that_never_ends_takes_the_endpoints_memory_and_no_more)
{
    static char part[MIB];
    unsigned n_sent = 0;
    int sock;

    pair_start(&pair, "memory = 128M\n");
    sock = shake_hands();
    while (peer_send_header(sock, PEER_MORE, sizeof(part)) && peer_send(sock, part, sizeof(part)))
        n_sent++;
    (void)close(sock);
    cr_assert_lt(n_sent, 256, "nothing limits it");
    pair_expect_well(&pair); /* the connection was ended, or the endpoint was */
}

Test(hostile, a_message_of_endless_empty_parts_does_no_more)
{
    char parts[2 * 4096];
    pid_t endpoint;
    int sock;

    for (size_t i = 0; i < sizeof(parts); i += 2) {
        parts[i] = PEER_MORE;
        parts[i + 1] = 0;
    }
    pair_start(&pair, "memory = 128M\n");
    endpoint = pair_endpoint(&pair);
    sock = shake_hands();
    while (peer_send(sock, parts, sizeof(parts)))
        continue;
    (void)close(sock);
    pair_await_another(&pair, endpoint);
    pair_expect_well(&pair);
}

Test(hostile, as_many_connections_as_descriptors)
{
    const struct rlimit few = {.rlim_cur = MANY / 2, .rlim_max = MANY / 2};
    int socks[MANY];
    struct rlimit many;
    pid_t endpoint;

    pair_start(&pair, "");
    endpoint = pair_endpoint(&pair);
    cr_assert_eq(prlimit(endpoint, RLIMIT_NOFILE, &few, NULL), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &many), 0);
    many.rlim_cur = many.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &many), 0);
    for (size_t i = 0; i < MANY; i++)
        socks[i] = peer_connect(pair.path);
    pair_expect_well(&pair); /* whether or not it was ended by that */
    for (size_t i = 0; i < MANY; i++)
        if (socks[i] >= 0)
            (void)close(socks[i]);
    pair_expect_well(&pair);
}

/* ---- what it bears ---- */

Test(hostile, a_peer_that_does_not_finish_its_handshake_is_dropped)
{
    pid_t endpoint;
    int silent, slow;

    pair_start(&pair, "");
    endpoint = pair_endpoint(&pair);
    silent = peer_connect(pair.path);
    slow = peer_connect(pair.path);
    cr_assert_geq(silent, 0);
    cr_assert(peer_send(slow, "\xff\0\0", 3));
    pair_expect_same(&pair, endpoint);
    peer_await_end(silent);
    peer_await_end(slow);
    (void)close(silent);
    (void)close(slow);
    pair_expect_same(&pair, endpoint);
}

Test(hostile, garbage_instead_of_a_handshake)
{
    char garbage[4096];
    pid_t endpoint;

    pair_start(&pair, "");
    endpoint = pair_endpoint(&pair);
    for (unsigned seed = 1; seed <= 50; seed++) {
        int sock = peer_connect(pair.path);

        cr_assert_geq(sock, 0);
        srandom(seed);
        for (size_t i = 0; i < sizeof(garbage); i++)
            garbage[i] = (char)random();
        (void)peer_send(sock, garbage, sizeof(garbage));
        (void)shutdown(sock, SHUT_WR);
        peer_await_end(sock);
        (void)close(sock);
    }
    pair_expect_same(&pair, endpoint);
}

Test(hostile, a_message_that_is_too_large_ends_its_connection)
{
    pid_t endpoint;
    int sock;

    pair_start(&pair, "max_message = 64K\n");
    endpoint = pair_endpoint(&pair);
    sock = shake_hands();
    (void)peer_send_header(sock, 0, (64 << 10) + 1);
    peer_await_end(sock);
    (void)close(sock);
    sock = shake_hands();
    (void)peer_send_header(sock, 0, SIZE_MAX / 2);
    peer_await_end(sock);
    (void)close(sock);
    pair_expect_same(&pair, endpoint);
}

Test(hostile, a_message_of_two_parts_ends_its_connection)
{
    pid_t endpoint;
    int sock;

    pair_start(&pair, "");
    endpoint = pair_endpoint(&pair);
    sock = shake_hands();
    cr_assert(peer_send_header(sock, PEER_MORE, 1) && peer_send(sock, "x", 1));
    cr_assert(peer_send_header(sock, 0, 1) && peer_send(sock, "x", 1));
    peer_await_end(sock);
    (void)close(sock);
    pair_expect_same(&pair, endpoint);
}

/* A request, refused with PROTO. */
static void expect_proto(int sock, const void *data, size_t size)
{
    struct bri_wire_answer answer;
    char bytes[512];
    long n;

    cr_assert(peer_send_header(sock, 0, size) && peer_send(sock, data, size));
    n = peer_receive(sock, bytes, sizeof(bytes));
    cr_assert_geq(n, 0, "the connection has ended");
    cr_assert_eq(bri_wire_read_answer(bytes, (size_t)n, &answer), 0);
    cr_assert_eq(answer.status, BROKER_PROTO);
}

Test(hostile, values_that_announce_more_than_there_is)
{
    static const char heads[][6] = {"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff",
        "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff"};
    static char bytes[MIB - 64];
    pid_t endpoint;
    int sock;

    pair_start(&pair, "");
    endpoint = pair_endpoint(&pair);
    sock = shake_hands();
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        expect_proto(sock, heads[i], 5);
        memcpy(bytes,
            "\x95\x01\x07\xa8"
            "dict.get"
            "\x01",
            13);
        memcpy(bytes + 13, heads[i], 5);
        expect_proto(sock, bytes, sizeof(bytes));
    }
    memset(bytes, 0x91, sizeof(bytes)); /* a million levels */
    expect_proto(sock, bytes, sizeof(bytes));
    memcpy(bytes, "\xdd\0\x0f\xff\xbb", 5); /* a million values */
    memset(bytes + 5, 0xc0, sizeof(bytes) - 5);
    expect_proto(sock, bytes, sizeof(bytes));
    (void)close(sock);
    pair_expect_same(&pair, endpoint);
}

/* ---- squatting ---- */

static void *new_dealer(void *context, const char *id)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int patience_ms = 30000, linger = 0;

    cr_assert_not_null(socket);
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)), 0);
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms)), 0);
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_ROUTING_ID, id, strlen(id)), 0);
    cr_assert_eq(zmq_connect(socket, pair.ipc), 0);
    return socket;
}

/* The status of the answer to a request without arguments. */
static int ask(void *socket, uint64_t id, const char *op)
{
    struct bri_wire_request request = {
        .id = id, .op = op, .op_size = (uint32_t)strlen(op), .object = broker_nil()};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_wire_answer answer;
    char bytes[1024];
    int n;

    cr_assert_eq(bri_wire_write_request(&buffer, &request), 0);
    cr_assert_geq(zmq_send(socket, buffer.data, buffer.size, 0), 0);
    broker_buffer_free(&buffer);
    n = zmq_recv(socket, bytes, sizeof(bytes), 0);
    cr_assert_gt(n, 0);
    cr_assert_eq(bri_wire_read_answer(bytes, (size_t)n, &answer), 0);
    cr_assert_eq(answer.id, id);
    return answer.status;
}

Test(hostile, who_takes_anothers_name_gets_nothing_of_his)
{
    void *context = zmq_ctx_new(), *owner, *squatter;
    pid_t endpoint;

    pair_start(&pair, "");
    endpoint = pair_endpoint(&pair);
    owner = new_dealer(context, "warehouse");
    cr_assert_eq(ask(owner, 1, "session.hello"), 0);
    squatter = new_dealer(context, "warehouse");
    cr_assert_geq(zmq_send(squatter,
                      "\x94\x01\x02\xab"
                      "session.end"
                      "\xc0",
                      16, 0),
        0);
    for (uint64_t id = 2; id < 50; id++)
        cr_assert_eq(ask(owner, id, "session.ping"), 0);
    pair_expect_same(&pair, endpoint);
    cr_assert_eq(ask(owner, 50, "session.ping"), 0);
    (void)zmq_close(squatter);
    (void)zmq_close(owner);
    (void)zmq_ctx_term(context);
}
