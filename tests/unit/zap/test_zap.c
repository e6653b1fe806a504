/*
 * test_zap.c - who is let in: each way in which libzmq would let a stranger in is tried
 *
 * Without anybody to ask, or without a domain, libzmq delivers everybody's messages: such a socket
 * is either not made here, or its messages count for nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "source.h"
#include "zap.h"

#define TIMEOUT_USEC 20000000u
#define HANDSHAKE_MS 500

/* A server in this thread's loop, and a client whose connection is watched. */
static struct {
    sd_event *event;
    void *server_context, *context;
    void *server, *client, *monitor;
    struct zmqd_zap *zap;
    struct zmqd_source *on_message, *on_monitor;
    struct zmqd_clients *clients;
    char folder[32], endpoint[256];
    char server_public[ZMQD_KEY_TEXT], server_secret[ZMQD_KEY_TEXT];
    char public[ZMQD_KEY_TEXT], secret[ZMQD_KEY_TEXT];
    unsigned n_clients;
    bool was_delivered, was_let_in, was_refused;
    struct zmqd_caller caller;
} t;

/* ---- a server and a client ---- */

static bool take_message(void *arg)
{
    zmq_msg_t part;
    bool more = true;

    (void)arg;
    while (more) {
        cr_assert_eq(zmq_msg_init(&part), 0);
        if (zmq_msg_recv(&part, t.server, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&part);
            return false;
        }
        more = zmq_msg_more(&part) != 0;
        if (!more) {
            const char *name = zmqd_zap_name(&part);

            t.was_delivered = true;
            t.was_let_in = name != NULL && zmqd_zap_caller(t.zap, name, &t.caller);
        }
        (void)zmq_msg_close(&part);
    }
    return true;
}

/* The client's side of its connection: that the server has ended it is a refusal. */
static bool take_event(void *arg)
{
    uint8_t part[256];
    uint16_t number;
    int n = zmq_recv(t.monitor, part, sizeof(part), ZMQ_DONTWAIT);

    (void)arg;
    if (n < 0)
        return false;
    memcpy(&number, part, sizeof(number));
    (void)zmq_recv(t.monitor, part, sizeof(part), 0);
    if ((number & (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                      ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED)) != 0)
        t.was_refused = true;
    return true;
}

static void set_int(void *socket, int option, int value)
{
    cr_assert_eq(zmq_setsockopt(socket, option, &value, sizeof(value)), 0);
}

static void *new_socket(void *context, int type)
{
    void *socket = zmq_socket(context, type);

    cr_assert_not_null(socket);
    set_int(socket, ZMQ_LINGER, 0);
    return socket;
}

static void begin(void)
{
    (void)snprintf(t.folder, sizeof(t.folder), "/tmp/broker-zap-XXXXXX");
    cr_assert_not_null(mkdtemp(t.folder));
    (void)snprintf(t.endpoint, sizeof(t.endpoint), "ipc://%s/zmq", t.folder);
    cr_assert_geq(sd_event_new(&t.event), 0);
    t.server_context = zmq_ctx_new();
    t.context = zmq_ctx_new();
    t.server = new_socket(t.server_context, ZMQ_ROUTER);
    cr_assert_eq(zmq_curve_keypair(t.server_public, t.server_secret), 0);
    cr_assert_eq(zmq_curve_keypair(t.public, t.secret), 0);
    cr_assert_geq(zmqd_source_new(t.event, t.server, take_message, NULL, &t.on_message), 0);
}

static void end(void)
{
    zmqd_source_free(t.on_message);
    zmqd_source_free(t.on_monitor);
    if (t.client != NULL)
        (void)zmq_close(t.client);
    if (t.monitor != NULL)
        (void)zmq_close(t.monitor);
    (void)zmq_close(t.server);
    zmqd_zap_stop(t.zap);
    zmqd_clients_free(t.clients);
    (void)zmq_ctx_term(t.context);
    (void)zmq_ctx_term(t.server_context);
    (void)sd_event_unref(t.event);
    (void)unlink(t.endpoint + strlen("ipc://"));
    (void)rmdir(t.folder);
}

TestSuite(zmq_zap, .init = begin, .fini = end, .timeout = 60);

static void start_handler(void)
{
    cr_assert(zmqd_zap_start(t.event, t.server_context, &t.zap));
}

/* The handler's list has the client's key, under this name. */
static void allow(const char *name)
{
    char path[64];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/clients", t.folder);
    f = fopen(path, "we");
    cr_assert_not_null(f);
    (void)fprintf(f, "%s %s default:rw\n", t.public, name);
    cr_assert_eq(fclose(f), 0);
    cr_assert(zmqd_clients_read(path, &t.clients));
    (void)unlink(path);
    zmqd_zap_use(t.zap, t.clients);
}

/* Where a socket bound to port 0 is. */
static void find_endpoint(void)
{
    size_t size = sizeof(t.endpoint);

    cr_assert_eq(zmq_getsockopt(t.server, ZMQ_LAST_ENDPOINT, t.endpoint, &size), 0);
}

/* A socket that somebody bound without us. */
static void bind_bare(const char *endpoint)
{
    cr_assert_eq(zmq_bind(t.server, endpoint), 0);
    find_endpoint();
}

static void make_server_curve(void)
{
    set_int(t.server, ZMQ_CURVE_SERVER, 1);
    cr_assert_eq(zmq_setsockopt(t.server, ZMQ_CURVE_SECRETKEY, t.server_secret, ZMQD_KEY_TEXT), 0);
}

static void bind_guarded_tcp(void)
{
    cr_assert(zmqd_zap_bind_tcp(t.server, "tcp://127.0.0.1:*", t.server_secret));
    find_endpoint();
}

/* Where nobody is there to refuse, libzmq ends the handshake when it takes too long. */
static void hurry(void)
{
    set_int(t.server, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
}

static void make_client_curve(const char *public, const char *secret)
{
    cr_assert_eq(zmq_setsockopt(t.client, ZMQ_CURVE_SERVERKEY, t.server_public, ZMQD_KEY_TEXT), 0);
    cr_assert_eq(zmq_setsockopt(t.client, ZMQ_CURVE_PUBLICKEY, public, ZMQD_KEY_TEXT), 0);
    cr_assert_eq(zmq_setsockopt(t.client, ZMQ_CURVE_SECRETKEY, secret, ZMQD_KEY_TEXT), 0);
}

static void new_client(void)
{
    char monitor[32];

    t.client = new_socket(t.context, ZMQ_DEALER);
    set_int(t.client, ZMQ_RECONNECT_IVL, -1);
    (void)snprintf(monitor, sizeof(monitor), "inproc://client-%u", t.n_clients++);
    cr_assert_eq(zmq_socket_monitor(t.client, monitor, ZMQ_EVENT_ALL), 0);
    t.monitor = new_socket(t.context, ZMQ_PAIR);
    cr_assert_eq(zmq_connect(t.monitor, monitor), 0);
    cr_assert_geq(zmqd_source_new(t.event, t.monitor, take_event, NULL, &t.on_monitor), 0);
}

/* Connects, sends, and waits until the message is there or the connection is refused. */
static void knock(void)
{
    cr_assert_eq(zmq_connect(t.client, t.endpoint), 0);
    cr_assert_eq(zmq_send(t.client, "x", 1, ZMQ_DONTWAIT), 1);
    while (!t.was_delivered && !t.was_refused)
        cr_assert_gt(sd_event_run(t.event, TIMEOUT_USEC), 0, "nothing happened");
}

static void expect_refused(void)
{
    knock();
    cr_assert(t.was_refused);
    cr_assert_not(t.was_delivered);
}

/* libzmq delivers it: then it must not count for anything. */
static void expect_not_counted(void)
{
    knock();
    cr_assert(t.was_delivered);
    cr_assert_not(t.was_let_in);
}

/* ---- who may ---- */

Test(zmq_zap, a_user_of_this_machine_is_let_in_under_his_uid)
{
    start_handler();
    cr_assert(zmqd_zap_bind_ipc(t.server, t.endpoint));
    new_client();
    knock();
    cr_assert(t.was_let_in);
    cr_assert_null(t.caller.client);
    cr_assert_eq(t.caller.uid, getuid());
    cr_assert_eq(t.caller.gid, getgid());
    cr_assert_eq(t.caller.pid, getpid());
}

Test(zmq_zap, a_listed_key_is_let_in_under_its_name)
{
    start_handler();
    allow("warehouse");
    bind_guarded_tcp();
    new_client();
    make_client_curve(t.public, t.secret);
    knock();
    cr_assert(t.was_let_in);
    cr_assert_str_eq(t.caller.client->name, "warehouse");
}

Test(zmq_zap, one_socket_serves_both)
{
    start_handler();
    allow("warehouse");
    cr_assert(zmqd_zap_bind_ipc(t.server, t.endpoint));
    bind_guarded_tcp();
    new_client();
    make_client_curve(t.public, t.secret);
    knock();
    cr_assert_not_null(t.caller.client);
    (void)zmq_disconnect(t.client, t.endpoint);
    zmqd_source_free(t.on_monitor);
    (void)zmq_close(t.client);
    (void)zmq_close(t.monitor);
    t.was_delivered = t.was_let_in = t.was_refused = false;
    (void)snprintf(t.endpoint, sizeof(t.endpoint), "ipc://%s/zmq", t.folder);
    new_client();
    knock();
    cr_assert(t.was_let_in);
    cr_assert_null(t.caller.client);
    cr_assert_eq(t.caller.uid, getuid());
}

/* ---- who may not: the rows of what libzmq does ---- */

Test(zmq_zap, curve_without_a_handler_is_refused)
{
    hurry();
    bind_guarded_tcp();
    new_client();
    make_client_curve(t.public, t.secret);
    expect_refused();
}

Test(zmq_zap, curve_without_a_handler_that_libzmq_delivers_does_not_count)
{
    make_server_curve();
    bind_bare("tcp://127.0.0.1:*");
    new_client();
    make_client_curve(t.public, t.secret);
    expect_not_counted();
}

Test(zmq_zap, curve_with_a_domain_without_a_handler_that_libzmq_delivers_does_not_count)
{
    make_server_curve();
    cr_assert_eq(zmq_setsockopt(t.server, ZMQ_ZAP_DOMAIN, "remote", strlen("remote")), 0);
    bind_bare("tcp://127.0.0.1:*");
    new_client();
    make_client_curve(t.public, t.secret);
    expect_not_counted();
}

Test(zmq_zap, curve_enforced_without_a_domain_that_libzmq_delivers_does_not_count)
{
    start_handler();
    allow("warehouse");
    make_server_curve();
    set_int(t.server, 93, 1);
    bind_bare("tcp://127.0.0.1:*");
    new_client();
    make_client_curve(t.public, t.secret);
    expect_not_counted();
}

Test(zmq_zap, curve_without_a_domain_is_asked_about_and_refused)
{
    start_handler();
    allow("warehouse");
    make_server_curve();
    bind_bare("tcp://127.0.0.1:*");
    new_client();
    make_client_curve(t.public, t.secret);
    expect_refused();
}

Test(zmq_zap, ipc_without_a_domain_that_libzmq_delivers_does_not_count)
{
    start_handler();
    bind_bare(t.endpoint);
    new_client();
    expect_not_counted();
}

Test(zmq_zap, ipc_without_a_handler_is_refused)
{
    hurry();
    cr_assert(zmqd_zap_bind_ipc(t.server, t.endpoint));
    new_client();
    expect_refused();
}

Test(zmq_zap, ipc_of_another_domain_is_refused)
{
    start_handler();
    cr_assert_eq(zmq_setsockopt(t.server, ZMQ_ZAP_DOMAIN, "remote", strlen("remote")), 0);
    bind_bare(t.endpoint);
    new_client();
    expect_refused();
}

Test(zmq_zap, tcp_without_curve_in_the_local_domain_is_refused)
{
    start_handler();
    cr_assert_eq(zmq_setsockopt(t.server, ZMQ_ZAP_DOMAIN, "local", strlen("local")), 0);
    bind_bare("tcp://127.0.0.1:*");
    new_client();
    expect_refused();
}

Test(zmq_zap, a_key_that_is_not_listed_is_refused)
{
    char public[ZMQD_KEY_TEXT], secret[ZMQD_KEY_TEXT];

    start_handler();
    allow("warehouse");
    bind_guarded_tcp();
    new_client();
    cr_assert_eq(zmq_curve_keypair(public, secret), 0);
    make_client_curve(public, secret);
    expect_refused();
}

Test(zmq_zap, without_a_list_every_key_is_refused)
{
    start_handler();
    bind_guarded_tcp();
    new_client();
    make_client_curve(t.public, t.secret);
    expect_refused();
}

Test(zmq_zap, a_client_without_a_key_is_refused)
{
    start_handler();
    allow("warehouse");
    bind_guarded_tcp();
    new_client();
    expect_refused();
}

Test(zmq_zap, a_client_with_user_and_password_is_refused)
{
    start_handler();
    allow("warehouse");
    bind_guarded_tcp();
    new_client();
    cr_assert_eq(zmq_setsockopt(t.client, ZMQ_PLAIN_USERNAME, "warehouse", 9), 0);
    cr_assert_eq(zmq_setsockopt(t.client, ZMQ_PLAIN_PASSWORD, "x", 1), 0);
    expect_refused();
}

Test(zmq_zap, who_is_taken_off_the_list_counts_no_more)
{
    start_handler();
    allow("warehouse");
    bind_guarded_tcp();
    new_client();
    make_client_curve(t.public, t.secret);
    knock();
    cr_assert(t.was_let_in);
    zmqd_zap_use(t.zap, NULL);
    t.was_delivered = false;
    cr_assert_eq(zmq_send(t.client, "x", 1, ZMQ_DONTWAIT), 1);
    while (!t.was_delivered)
        cr_assert_gt(sd_event_run(t.event, TIMEOUT_USEC), 0);
    cr_assert_not(t.was_let_in);
}

/* ---- what is not bound ---- */

Test(zmq_zap, what_cannot_be_guarded_is_not_bound)
{
    char endpoint[64];

    cr_assert_not(zmqd_zap_bind_tcp(t.server, "tcp://127.0.0.1:*", "no key"));
    cr_assert_not(zmqd_zap_bind_tcp(t.server, t.endpoint, t.server_secret));
    cr_assert_not(zmqd_zap_bind_ipc(t.server, "tcp://127.0.0.1:*"));
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s/no/such/folder", t.folder);
    cr_assert_not(zmqd_zap_bind_ipc(t.server, endpoint));
}

Test(zmq_zap, a_context_has_one_handler)
{
    struct zmqd_zap *second = NULL;

    start_handler();
    cr_assert_not(zmqd_zap_start(t.event, t.server_context, &second));
    cr_assert_null(second);
}
