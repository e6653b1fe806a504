/*
 * road_ceiling.c - the smallest server that answers the benchmark's requests: what libzmq allows
 *
 * It reads each request with msgpack-c and writes an answer of the right shape and size; it looks
 * nothing up, knows no sessions and waits for nobody.
 */
#include "road_ceiling.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msgpack.h>
#include <zmq.h>

#include "bench.h"

#define ANSWER_MAX 16384

struct answer {
    char bytes[ANSWER_MAX];
    size_t size;
};

static int append(void *arg, const char *data, size_t size)
{
    struct answer *a = arg;

    if (size > sizeof(a->bytes) - a->size)
        return -1;
    memcpy(a->bytes + a->size, data, size);
    a->size += size;
    return 0;
}

static void put_value(msgpack_packer *p)
{
    char value[BENCH_VALUE] = {0};

    (void)msgpack_pack_bin(p, sizeof(value));
    (void)msgpack_pack_bin_body(p, value, sizeof(value));
}

static void put_map(msgpack_packer *p, const msgpack_object_array *keys)
{
    (void)msgpack_pack_map(p, keys->size);
    for (uint32_t i = 0; i < keys->size; i++) {
        (void)msgpack_pack_object(p, keys->ptr[i]);
        put_value(p);
    }
}

static void answer(const msgpack_object *request, struct answer *a)
{
    const msgpack_object_array *fields = &request->via.array;
    msgpack_packer p;
    bool has_key = fields->size > 4;

    a->size = 0;
    msgpack_packer_init(&p, a, append);
    (void)msgpack_pack_array(&p, 3);
    (void)msgpack_pack_object(&p, fields->ptr[1]);
    (void)msgpack_pack_int(&p, 0);
    (void)msgpack_pack_array(&p, has_key ? 1 : 0);
    if (has_key && fields->ptr[4].type == MSGPACK_OBJECT_ARRAY)
        put_map(&p, &fields->ptr[4].via.array);
    else if (has_key)
        put_value(&p);
}

static void serve(void *router)
{
    static struct answer a;
    msgpack_unpacked request;
    zmq_msg_t peer, body;

    msgpack_unpacked_init(&request);
    (void)zmq_msg_init(&peer);
    (void)zmq_msg_init(&body);
    while (zmq_msg_recv(&peer, router, 0) >= 0 && zmq_msg_recv(&body, router, 0) >= 0) {
        size_t at = 0;

        if (msgpack_unpack_next(&request, zmq_msg_data(&body), zmq_msg_size(&body), &at) !=
                MSGPACK_UNPACK_SUCCESS ||
            request.data.type != MSGPACK_OBJECT_ARRAY || request.data.via.array.size < 4)
            continue;
        answer(&request.data, &a);
        (void)zmq_msg_send(&peer, router, ZMQ_SNDMORE);
        (void)zmq_send(router, a.bytes, a.size, 0);
    }
}

static void bind_and_serve(const char *endpoint, const char *secret, int ready)
{
    void *context = zmq_ctx_new(), *router = zmq_socket(context, ZMQ_ROUTER);
    int one = 1, zero = 0;

    (void)zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4096);
    (void)zmq_setsockopt(router, ZMQ_RCVHWM, &zero, sizeof(zero));
    (void)zmq_setsockopt(router, ZMQ_SNDHWM, &zero, sizeof(zero));
    if (secret != NULL) {
        (void)zmq_setsockopt(router, ZMQ_CURVE_SERVER, &one, sizeof(one));
        (void)zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, secret, 41);
    }
    if (zmq_bind(router, endpoint) != 0 || write(ready, "", 1) != 1)
        _exit(1);
    (void)close(ready);
    serve(router);
}

pid_t ceiling_start(const char *endpoint, const char *secret)
{
    char byte;
    int ready[2];
    pid_t pid;

    if (pipe(ready) != 0)
        bench_fail("pipe");
    pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(ready[0]);
        bind_and_serve(endpoint, secret, ready[1]);
        _exit(1);
    }
    (void)close(ready[1]);
    if (pid < 0 || read(ready[0], &byte, 1) != 1)
        bench_fail("the ceiling cannot bind %s", endpoint);
    (void)close(ready[0]);
    return pid;
}

void ceiling_stop(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}
