/*
 * test_remote.c - over tcp: keys of the allow list come in with their rights, and nobody else does
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <zmq.h>

#include "core/clock.h"
#include "support/curve.h"
#include "support/pair.h"

static struct {
    struct pair pair;
    char folder[32];
    unsigned port;
    char writer[CURVE_KEY_TEXT], reader[CURVE_KEY_TEXT], stranger[CURVE_KEY_TEXT]; /* public keys */
} t;

static void path_of(const char *name, char out[64])
{
    (void)snprintf(out, 64, "%s/%s", t.folder, name);
}

/* A file with a new pair, and NAME.pub with its public key. */
static void make_key(const char *name, char public[CURVE_KEY_TEXT])
{
    char path[64];

    path_of(name, path);
    curve_make_key(path, public);
}

static void write_clients(const char *writer_rights)
{
    char path[64];
    FILE *f;

    path_of("clients", path);
    f = fopen(path, "we");
    cr_assert_not_null(f);
    (void)fprintf(
        f, "# ours\n%s writer %s\n%s reader default:ro\n", t.writer, writer_rights, t.reader);
    cr_assert_eq(fclose(f), 0);
}

static void begin(void)
{
    char lines[512], server[CURVE_KEY_TEXT];

    (void)snprintf(t.folder, sizeof(t.folder), "/tmp/broker-keys-XXXXXX");
    cr_assert_not_null(mkdtemp(t.folder));
    make_key("server", server);
    make_key("writer", t.writer);
    make_key("reader", t.reader);
    make_key("stranger", t.stranger);
    write_clients("default:rw");
    t.port = curve_take_port();
    (void)snprintf(lines, sizeof(lines),
        "tcp = 127.0.0.1:%u\nserver_key = %s/server\nclients = %s/clients\n", t.port, t.folder,
        t.folder);
    pair_start(&t.pair, lines);
}

static void end(void)
{
    static const char *const names[] = {"server", "writer", "reader", "stranger", "clients"};
    char path[64], public_path[80];

    pair_stop(&t.pair);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path);
        (void)unlink(path);
        (void)snprintf(public_path, sizeof(public_path), "%s.pub", path);
        (void)unlink(public_path);
    }
    (void)rmdir(t.folder);
}

TestSuite(remote_keys, .init = begin, .fini = end, .timeout = 120);

/* Comes with the key of @name, to a server with the key of @server. */
static int come(const char *name, const char *server, const char *more, broker **out)
{
    char address[256];

    (void)snprintf(address, sizeof(address), "tcp://127.0.0.1:%u?server=%s/%s.pub&key=%s/%s%s",
        t.port, t.folder, server, t.folder, name, more);
    return broker_open(address, out);
}

Test(remote_keys, a_listed_key_has_its_rights_under_its_name)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value clients;
    broker_dict *dict;
    broker *b;

    cr_assert_eq(come("writer", "server", "", &b), 0, "%s", broker_last_error());
    cr_assert_eq(broker_dict_open(b, "stock", NULL, &dict), 0);
    cr_assert_eq(broker_dict_set(dict, broker_str("tickets"), broker_int(100)), 0);
    cr_assert_eq(broker_clients(t.pair.broker, &buffer, &clients), 0);
    cr_assert_not_null(memmem(clients.data, clients.size, "writer", 6));
    broker_buffer_free(&buffer);
    broker_dict_close(dict);
    broker_close(b);
    cr_assert_eq(come("reader", "server", "", &b), BROKER_ACCESS, "%s", broker_last_error());
    cr_assert_eq(come("reader", "server", "&access=ro", &b), 0, "%s", broker_last_error());
    cr_assert_eq(broker_dict_open(b, "stock", NULL, &dict), 0);
    cr_assert_eq(broker_dict_set(dict, broker_str("tickets"), broker_int(0)), BROKER_ACCESS);
    broker_dict_close(dict);
    broker_close(b);
    cr_assert_eq(come("reader", "server", "&access=ro&arena=other", &b), BROKER_ACCESS);
}

Test(remote_keys, a_key_that_is_not_listed_is_nobody)
{
    pid_t endpoint = pair_endpoint(&t.pair);
    broker *b;

    cr_assert_eq(come("stranger", "server", "", &b), BROKER_ACCESS, "%s", broker_last_error());
    pair_expect_same(&t.pair, endpoint);
}

Test(remote_keys, a_wrong_key_of_the_server_is_no_server)
{
    pid_t endpoint = pair_endpoint(&t.pair);
    broker *b;

    cr_assert_eq(come("writer", "stranger", "", &b), BROKER_NODAEMON, "%s", broker_last_error());
    pair_expect_same(&t.pair, endpoint);
}

Test(remote_keys, without_a_key_nothing_is_answered)
{
    pid_t endpoint = pair_endpoint(&t.pair);
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_DEALER), *monitor;
    int linger = 0, once = -1;
    uint16_t event = 0;
    char address[64];

    cr_assert_eq(zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)), 0);
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &once, sizeof(once)), 0);
    cr_assert_eq(zmq_socket_monitor(socket, "inproc://monitor", ZMQ_EVENT_ALL), 0);
    monitor = zmq_socket(context, ZMQ_PAIR);
    cr_assert_eq(zmq_connect(monitor, "inproc://monitor"), 0);
    (void)snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", t.port);
    cr_assert_eq(zmq_connect(socket, address), 0);
    while (event != ZMQ_EVENT_DISCONNECTED && event != ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL &&
           event != ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
        char part[256];

        cr_assert_geq(zmq_recv(monitor, part, sizeof(part), 0), 2);
        memcpy(&event, part, sizeof(event));
        cr_assert_neq(event, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        (void)zmq_recv(monitor, part, sizeof(part), 0);
    }
    (void)zmq_close(socket);
    (void)zmq_close(monitor);
    (void)zmq_ctx_term(context);
    pair_expect_same(&t.pair, endpoint);
}

/* What brokerd was started with, again: it has its endpoint read the list anew. */
static void reload(void)
{
    char config[1024];

    (void)snprintf(config, sizeof(config),
        "[arena default]\nsize = 16M\n[zmq]\nipc = yes\ntcp = 127.0.0.1:%u\nserver_key = "
        "%s/server\nclients = %s/clients\n",
        t.port, t.folder, t.folder);
    instance_reload(t.pair.instance, config);
}

Test(remote_keys, who_is_taken_off_the_list_loses_his_session)
{
    int64_t until = bri_now() + 30 * BRI_SECOND, n;
    pid_t endpoint = pair_endpoint(&t.pair);
    broker_dict *dict;
    broker *b;
    int r;

    cr_assert_eq(come("writer", "server", "", &b), 0, "%s", broker_last_error());
    cr_assert_eq(broker_dict_open(b, "stock", NULL, &dict), 0);
    write_clients("default:ro");
    reload();
    while ((r = broker_dict_add(dict, broker_str("n"), 1, &n)) == 0)
        cr_assert_lt(bri_now(), until, "the session goes on");
    cr_assert(r == BROKER_LOST || r == BROKER_UNKNOWN, "%d", r);
    broker_dict_close(dict);
    broker_close(b);
    cr_assert_eq(come("writer", "server", "", &b), BROKER_ACCESS);
    pair_expect_same(&t.pair, endpoint);
}

Test(remote_keys, a_list_with_a_mistake_changes_nothing)
{
    char path[64];
    broker *b;
    FILE *f;

    path_of("clients", path);
    f = fopen(path, "we");
    cr_assert_not_null(f);
    (void)fputs("nonsense\n", f);
    cr_assert_eq(fclose(f), 0);
    reload();
    cr_assert_eq(come("writer", "server", "", &b), 0, "%s", broker_last_error());
    broker_close(b);
}
