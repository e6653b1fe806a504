/*
 * road_place.c - the keys and the configuration for the benchmark's brokerd, and where it listens
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "bench.h"
#include "road.h"

struct bench_road bench_road;

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (sock < 0 || bind(sock, (struct sockaddr *)&address, size) != 0 ||
        getsockname(sock, (struct sockaddr *)&address, &size) != 0)
        bench_fail("no port of 127.0.0.1 is free");
    (void)close(sock);
    return ntohs(address.sin_port);
}

static void write_file(const char *name, const char *text)
{
    char path[1024];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", bench_road.folder, name);
    f = fopen(path, "we");
    if (f == NULL || fchmod(fileno(f), 0600) != 0 || fputs(text, f) < 0 || fclose(f) != 0)
        bench_fail("cannot write %s", path);
}

static void make_keys(void)
{
    struct bench_road *r = &bench_road;
    char text[256];

    if (zmq_curve_keypair(r->keys.server, r->server_secret) != 0 ||
        zmq_curve_keypair(r->keys.own_public, r->keys.own_secret) != 0)
        bench_fail("libzmq has no CURVE");
    (void)snprintf(
        text, sizeof(text), "public = %s\nsecret = %s\n", r->keys.server, r->server_secret);
    write_file("server.key", text);
    (void)snprintf(text, sizeof(text), "%s bench default:rw\n", r->keys.own_public);
    write_file("clients", text);
}

void bench_road_prepare(char *out_config, size_t size)
{
    struct bench_road *r = &bench_road;
    unsigned port = free_port();

    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/broker-bench-XXXXXX");
    if (mkdtemp(r->folder) == NULL)
        bench_fail("cannot make a folder");
    make_keys();
    (void)snprintf(r->tcp, sizeof(r->tcp), "tcp://127.0.0.1:%u", port);
    (void)snprintf(r->tcp_ceiling, sizeof(r->tcp_ceiling), "tcp://127.0.0.1:%u", free_port());
    (void)snprintf(r->ipc_ceiling, sizeof(r->ipc_ceiling), "ipc://%.*s/least",
        (int)sizeof(r->folder), r->folder);
    (void)snprintf(out_config, size,
        "[zmq]\nipc = yes\ntcp = 127.0.0.1:%u\nserver_key = %s/server.key\nclients = %s/clients\n",
        port, r->folder, r->folder);
}

void bench_road_find(const char *ipc, pid_t endpoint)
{
    struct bench_road *r = &bench_road;

    if (snprintf(r->ipc, sizeof(r->ipc), "%s", ipc) >= (int)sizeof(r->ipc) || endpoint == 0)
        bench_fail("brokerd has started no brokerd-zmq");
    r->server = endpoint;
}

void bench_road_clean(void)
{
    static const char *const names[] = {"server.key", "clients", "least"};
    char path[1024];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", bench_road.folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(bench_road.folder);
}
