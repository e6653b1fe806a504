/*
 * fake.c - see fake.h
 */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <criterion/criterion.h>

#include "objects/pack.h"
#include "value/value.h"

#define PATIENCE_MS 10000

struct fake fake;

/* ---- the socket ---- */

void fake_up(void)
{
    int zero = 0, patience = PATIENCE_MS;

    fake.router = zmq_socket(fake.context, ZMQ_ROUTER);
    cr_assert_not_null(fake.router);
    cr_assert_eq(zmq_setsockopt(fake.router, ZMQ_LINGER, &zero, sizeof(zero)), 0);
    cr_assert_eq(zmq_setsockopt(fake.router, ZMQ_RCVTIMEO, &patience, sizeof(patience)), 0);
    cr_assert_eq(zmq_bind(fake.router, fake.address), 0, "%s", zmq_strerror(errno));
}

/* The context waits until the socket's descriptors are closed. */
void fake_down(void)
{
    (void)zmq_close(fake.router);
    (void)zmq_ctx_term(fake.context);
    fake.context = zmq_ctx_new();
    fake.router = NULL;
}

void fake_start(void)
{
    fake = (struct fake){.terms = {.timeout_ns = 10 * BROKER_SECOND,
                             .max_message = 4096,
                             .max_pending = 256,
                             .session = 7,
                             .arena = 9}};
    (void)snprintf(fake.dir, sizeof(fake.dir), "/tmp/broker-fake-XXXXXX");
    cr_assert_not_null(mkdtemp(fake.dir));
    (void)snprintf(fake.address, sizeof(fake.address), "ipc://%s/zmq", fake.dir);
    fake.context = zmq_ctx_new();
    fake_up();
}

void fake_stop(void)
{
    char path[80];

    if (fake.router != NULL)
        (void)zmq_close(fake.router);
    (void)zmq_ctx_term(fake.context);
    (void)snprintf(path, sizeof(path), "%s/zmq", fake.dir);
    (void)unlink(path);
    (void)rmdir(fake.dir);
}

/* ---- requests ---- */

static bool receive(struct asked *a)
{
    int n = zmq_recv(fake.router, a->peer, sizeof(a->peer), 0);

    if (n < 0)
        return false;
    a->peer_size = (size_t)n;
    n = zmq_recv(fake.router, a->bytes, sizeof(a->bytes), 0);
    cr_assert(n > 0 && n <= (int)sizeof(a->bytes));
    a->size = (size_t)n;
    cr_assert_eq(bri_wire_read_request(a->bytes, a->size, &a->request), 0);
    (void)snprintf(a->op, sizeof(a->op), "%.*s", (int)a->request.op_size, a->request.op);
    return true;
}

void fake_send(const struct asked *a, const void *bytes, size_t size)
{
    cr_assert_geq(zmq_send(fake.router, a->peer, a->peer_size, ZMQ_SNDMORE), 0);
    cr_assert_geq(zmq_send(fake.router, bytes, size, 0), 0);
}

static void send_answer(const struct asked *a, const struct bri_wire_answer *answer)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;

    cr_assert_eq(bri_wire_write_answer(&buffer, answer), 0);
    fake_send(a, buffer.data, buffer.size);
    broker_buffer_free(&buffer);
}

void fake_refuse(const struct asked *a, int status, const char *text)
{
    send_answer(a,
        &(struct bri_wire_answer){.id = a->request.id, .status = status, .text = broker_str(text)});
}

void fake_answer(const struct asked *a, const broker_value *results, uint32_t n)
{
    struct bri_wire_answer answer = {.id = a->request.id, .n_results = n};

    for (uint32_t i = 0; i < n; i++)
        answer.results[i] = results[i];
    send_answer(a, &answer);
}

void fake_give(const struct asked *a, broker_value result)
{
    fake_answer(a, &result, 1);
}

/* ---- what it does by itself ---- */

static broker_value field_of(const struct terms *t, const char *name, const uint8_t keys[2][16])
{
    if (strcmp(name, "version") == 0)
        return broker_int(1);
    if (strcmp(name, "session") == 0)
        return broker_bin(keys[0], 16);
    if (strcmp(name, "arena") == 0)
        return broker_bin(keys[1], 16);
    if (strcmp(name, "number") == 0)
        return broker_int(3);
    if (strcmp(name, "resumed") == 0)
        return broker_bool(fake.resumed && !t->no_resume);
    if (strcmp(name, "timeout") == 0)
        return broker_int(t->timeout_ns);
    if (strcmp(name, "max_message") == 0)
        return broker_int(t->max_message);
    if (strcmp(name, "max_pending") == 0)
        return broker_int(t->max_pending);
    return broker_str("of something newer");
}

static void agree(const struct asked *a)
{
    static const char *const fields[] = {"version", "session", "arena", "number", "resumed",
        "timeout", "max_message", "max_pending", "news"};
    const struct terms *t = &fake.terms;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;
    broker_value map;
    uint8_t keys[2][16];

    memset(keys[0], t->session, 16);
    memset(keys[1], t->arena, 16);
    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, t->missing != NULL ? 8 : 9);
    for (size_t i = 0; i < 9; i++)
        if (t->missing == NULL || strcmp(fields[i], t->missing) != 0)
            bri_pack_entry(&p, fields[i], field_of(t, fields[i], keys));
    cr_assert_eq(bri_pack_end(&p, &map), 0);
    fake_give(a, map);
    broker_buffer_free(&buffer);
}

/* The strings among the options, and whether there is a key. */
static void read_options(const struct asked *a)
{
    const broker_value *map = &a->request.args[0];
    struct bri_iter it;
    const void *data;
    size_t size, used = 0;
    broker_value v;

    fake.hello[0] = '\0';
    fake.resumed = false;
    cr_assert_eq(bri_iter_map(&it, map->data, map->size), 0);
    while (bri_iter_next(&it, &data, &size) == 0) {
        cr_assert_eq(bri_value_decode(data, size, &v), 0);
        fake.resumed |= v.type == BROKER_BIN;
        used += (size_t)snprintf(fake.hello + used, sizeof(fake.hello) - used, "%.*s ",
            v.type == BROKER_STR ? (int)v.size : 1,
            v.type == BROKER_STR ? (const char *)v.data : "?");
    }
}

static bool serve(const struct asked *a)
{
    if (strcmp(a->op, "session.hello") == 0) {
        fake.n_hellos++;
        read_options(a);
        if (fake.terms.status != 0)
            fake_refuse(a, fake.terms.status, fake.terms.text);
        else
            agree(a);
        return true;
    }
    if (strcmp(a->op, "session.ping") == 0) {
        fake.n_pings++;
        if (!fake.terms.silent)
            fake_answer(a, NULL, 0);
        return true;
    }
    if (strcmp(a->op, "session.end") == 0) {
        fake.n_ends++;
        fake_answer(a, NULL, 0);
        return true;
    }
    return false;
}

void fake_expect(struct asked *a, const char *op)
{
    do
        cr_assert(receive(a), "nothing came, where %s should have", op);
    while (strcmp(a->op, op) != 0 && serve(a));
    cr_assert_str_eq(a->op, op);
}

void fake_serve_until(bool (*enough)(void *arg), void *arg)
{
    zmq_pollitem_t item = {.socket = fake.router, .events = ZMQ_POLLIN};
    static struct asked a;

    while (!enough(arg))
        if (zmq_poll(&item, 1, 5) > 0) {
            cr_assert(receive(&a));
            cr_assert(serve(&a), "%s came, where nothing should have", a.op);
        }
}

/* ---- threads ---- */

static void *run_call(void *arg)
{
    struct calling *c = arg;

    c->result = c->run(c);
    (void)snprintf(c->error, sizeof(c->error), "%s", broker_last_error());
    c->is_over = true;
    return NULL;
}

void call(struct calling *c, int (*run)(struct calling *c), void *object, int64_t number)
{
    *c = (struct calling){.run = run, .object = object, .number = number};
    cr_assert_eq(pthread_create(&c->thread, NULL, run_call, c), 0);
}

int called(struct calling *c)
{
    cr_assert_eq(pthread_join(c->thread, NULL), 0);
    return c->result;
}

bool is_over(void *calling)
{
    return ((struct calling *)calling)->is_over;
}

/* ---- opening ---- */

static int open_it(struct calling *c)
{
    return broker_open(fake.address, (broker **)&c->object);
}

int fake_open_gives(broker **out_broker)
{
    struct calling c;

    call(&c, open_it, NULL, 0);
    fake_serve_until(is_over, &c);
    *out_broker = c.object;
    return called(&c);
}

broker *fake_open(void)
{
    broker *b;

    cr_assert_eq(fake_open_gives(&b), 0);
    return b;
}

static int close_it(struct calling *c)
{
    broker_close(c->object);
    return 0;
}

void fake_close(broker *b)
{
    struct calling c;

    call(&c, close_it, b, 0);
    fake_serve_until(is_over, &c);
    (void)called(&c);
}

static int open_dict(struct calling *c)
{
    return broker_dict_open(c->object, c->text, NULL, (broker_dict **)&c->object);
}

static int open_queue(struct calling *c)
{
    return broker_queue_open(c->object, c->text, NULL, (broker_queue **)&c->object);
}

static int open_lock(struct calling *c)
{
    return broker_lock_open(c->object, c->text, NULL, (broker_lock **)&c->object);
}

static void *open_object(
    broker *b, const char *op, int (*run)(struct calling *c), const char *name, uint32_t number)
{
    static struct asked a;
    struct calling c = {.run = run, .object = b};
    broker_value results[2] = {
        broker_uint(number), bri_ref_value((struct bri_ref){.slot = number, .identity = 77})};

    (void)snprintf(c.text, sizeof(c.text), "%s", name);
    cr_assert_eq(pthread_create(&c.thread, NULL, run_call, &c), 0);
    fake_expect(&a, op);
    cr_assert_eq(a.request.object.size, strlen(name));
    fake_answer(&a, results, 2);
    cr_assert_eq(called(&c), 0, "%s", c.error);
    return c.object;
}

broker_dict *fake_dict(broker *b, const char *name, uint32_t number)
{
    return open_object(b, "dict.open", open_dict, name, number);
}

broker_queue *fake_queue(broker *b, const char *name, uint32_t number)
{
    return open_object(b, "queue.open", open_queue, name, number);
}

broker_lock *fake_lock(broker *b, const char *name, uint32_t number)
{
    return open_object(b, "lock.open", open_lock, name, number);
}
