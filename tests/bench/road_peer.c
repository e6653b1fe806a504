/*
 * road_peer.c - see road_peer.h
 */
#include "road_peer.h"

#include <string.h>

#include <msgpack.h>
#include <zmq.h>

#include "bench.h"

#define ID_AT 2 /* behind the array's byte and the version's */
#define PATIENCE_MS 10000

static void put_id(struct peer_request *r, uint32_t id)
{
    uint32_t big = __builtin_bswap32(id);

    r->bytes[ID_AT] = 0xce;
    memcpy(r->bytes + ID_AT + 1, &big, sizeof(big));
}

static int append(void *arg, const char *data, size_t size)
{
    struct peer_request *r = arg;

    if (size > sizeof(r->bytes) - r->size)
        return -1;
    memcpy(r->bytes + r->size, data, size);
    r->size += size;
    return 0;
}

static void put_text(msgpack_packer *p, const char *text)
{
    (void)msgpack_pack_str(p, strlen(text));
    (void)msgpack_pack_str_body(p, text, strlen(text));
}

/* Version, a place for the id, the operation and the object (NULL: nil), and @n_args to come. */
static void begin(struct peer_request *r, msgpack_packer *p, const char *operation,
    const char *object, size_t n_args)
{
    r->size = 0;
    msgpack_packer_init(p, r, append);
    (void)msgpack_pack_array(p, 4 + n_args);
    (void)msgpack_pack_int(p, 1);
    r->size += 5;
    put_text(p, operation);
    if (object != NULL)
        put_text(p, object);
    else
        (void)msgpack_pack_nil(p);
}

static void put_key(msgpack_packer *p, uint64_t i)
{
    char key[BENCH_KEY];

    bench_key(key, i);
    (void)msgpack_pack_str(p, BENCH_KEY);
    (void)msgpack_pack_str_body(p, key, BENCH_KEY);
}

void peer_make_get(struct peer_request *r, uint64_t first)
{
    msgpack_packer p;

    begin(r, &p, "dict.get", "road", 1);
    put_key(&p, first);
}

void peer_make_get_many(struct peer_request *r, uint64_t first, unsigned n)
{
    msgpack_packer p;

    begin(r, &p, "dict.get_many", "road", 1);
    (void)msgpack_pack_array(&p, n);
    for (unsigned i = 0; i < n; i++)
        put_key(&p, first + i);
}

void peer_send(struct peer *p, struct peer_request *r)
{
    put_id(r, ++p->next_id);
    if (zmq_send(p->socket, r->bytes, r->size, 0) != (int)r->size)
        bench_fail("send: %s", zmq_strerror(zmq_errno()));
}

/* The id's bytes in an answer, whatever its width. */
static size_t id_size(uint8_t first)
{
    return first < 0x80 ? 1 : first == 0xcc ? 2 : first == 0xcd ? 3 : first == 0xce ? 5 : 9;
}

static void take(struct peer *p, size_t least)
{
    zmq_msg_t m;
    const uint8_t *bytes;
    size_t size, at;

    (void)zmq_msg_init(&m);
    if (zmq_msg_recv(&m, p->socket, 0) < 0)
        bench_fail("no answer from %s: %s", p->endpoint, zmq_strerror(zmq_errno()));
    bytes = zmq_msg_data(&m);
    size = zmq_msg_size(&m);
    bench_expect(size > 3 && bytes[0] == 0x93, "an answer");
    at = 1 + id_size(bytes[1]);
    if (at >= size || bytes[at] != 0 || size < least)
        bench_fail("no good answer from %s: %.*s", p->endpoint, (int)(size - at), bytes + at);
    (void)zmq_msg_close(&m);
}

void peer_take(struct peer *p, unsigned n)
{
    take(p, (size_t)n * BENCH_VALUE);
}

static void use_keys(void *socket, const struct peer_keys *keys)
{
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->server, 41) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->own_public, 41) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->own_secret, 41) != 0)
        bench_fail("keys: %s", zmq_strerror(zmq_errno()));
}

void peer_connect(struct peer *p, void *context, const char *endpoint, const struct peer_keys *keys)
{
    int zero = 0, patience = PATIENCE_MS, many = 1024;
    struct peer_request hello;
    msgpack_packer packer;

    *p = (struct peer){.endpoint = endpoint, .socket = zmq_socket(context, ZMQ_DEALER)};
    if (p->socket == NULL)
        bench_fail("zmq_socket: %s", zmq_strerror(zmq_errno()));
    (void)zmq_setsockopt(p->socket, ZMQ_LINGER, &zero, sizeof(zero));
    (void)zmq_setsockopt(p->socket, ZMQ_RCVTIMEO, &patience, sizeof(patience));
    (void)zmq_setsockopt(p->socket, ZMQ_SNDHWM, &many, sizeof(many));
    if (keys->server[0] != '\0')
        use_keys(p->socket, keys);
    if (zmq_connect(p->socket, endpoint) != 0)
        bench_fail("connect to %s: %s", endpoint, zmq_strerror(zmq_errno()));
    begin(&hello, &packer, "session.hello", NULL, 0);
    peer_send(p, &hello);
    take(p, 0);
}

void peer_close(struct peer *p)
{
    struct peer_request end;
    msgpack_packer packer;

    begin(&end, &packer, "session.end", NULL, 0);
    peer_send(p, &end);
    take(p, 0);
    (void)zmq_close(p->socket);
}
