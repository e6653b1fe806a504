/*
 * kit.c - see kit.h
 */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "objects/pack.h"
#include "value/value.h"

#define PATIENCE_MS 30000
#define MAX_ARGUMENTS 32
#define MAX_KEPT 100

struct message {
    struct message *next;
    size_t size;
    uint64_t id;
    char data[];
};

struct client {
    void *socket, *monitor;
    uint64_t last_id;
    struct message *first, **last; /* came, and were not asked for yet */
    struct message *shown;
    struct bri_wire_answer answer;
    uint8_t key[16];
    int64_t number;
};

struct instance *instance;
static void *context;
static pid_t endpoint;
static char ipc[128];
static broker_buffer kept[MAX_KEPT];
static unsigned n_kept;

/* ---- the endpoint ---- */

static int listen_for_readiness(char path[108])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/n", instance_dir(instance));
    (void)snprintf(path, 108, "%s", address.sun_path);
    cr_assert_eq(bind(sock, (const struct sockaddr *)&address, sizeof(address)), 0);
    return sock;
}

static _Noreturn void run_endpoint(const char *const more[], const char *notify, pid_t parent)
{
    const char *program = getenv("BROKERD_ZMQ"), *arguments[MAX_ARGUMENTS] = {"brokerd-zmq"};
    char attach[160];
    unsigned n = 1;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(99);
    (void)setenv("NOTIFY_SOCKET", notify, 1);
    (void)snprintf(attach, sizeof(attach), "%s/attach", instance_dir(instance));
    arguments[n++] = "--attach";
    arguments[n++] = attach;
    arguments[n++] = "--ipc";
    arguments[n++] = ipc + strlen("ipc://");
    while (more != NULL && *more != NULL && n + 1 < MAX_ARGUMENTS)
        arguments[n++] = *more++;
    (void)execv(program, (char *const *)(uintptr_t)arguments);
    (void)fprintf(stderr, "cannot run brokerd-zmq; is BROKERD_ZMQ set to its path?\n");
    _exit(99);
}

void kit_start_with(const char *const arguments[])
{
    pid_t parent = getpid();
    char notify[108], text[64];
    struct pollfd p = {.events = POLLIN};

    instance = instance_start("[arena default]\nsize = 256M\n");
    (void)snprintf(ipc, sizeof(ipc), "ipc://%s/zmq", instance_dir(instance));
    p.fd = listen_for_readiness(notify);
    endpoint = fork();
    cr_assert_geq(endpoint, 0);
    if (endpoint == 0)
        run_endpoint(arguments, notify, parent);
    cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1);
    cr_assert_gt(recv(p.fd, text, sizeof(text), 0), 0);
    (void)close(p.fd);
    context = zmq_ctx_new();
}

void kit_start(void)
{
    kit_start_with(NULL);
}

/* The context stays: sockets of a test that failed are still open. A sanitizer of the endpoint has
 * its say at its end. */
void kit_stop(void)
{
    int status = 0;

    if (endpoint > 0) {
        (void)kill(endpoint, SIGTERM);
        (void)waitpid(endpoint, &status, 0);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the endpoint ended badly: %x",
            (unsigned)status);
    }
    instance_stop(instance);
    while (n_kept > 0)
        broker_buffer_free(&kept[--n_kept]);
}

pid_t kit_endpoint_pid(void)
{
    return endpoint;
}

/* ---- clients ---- */

static void connect_client(struct client *c, int queued)
{
    static unsigned n_monitors;
    int linger = 0, all = 0;
    char monitor[40];

    c->socket = zmq_socket(context, ZMQ_DEALER);
    (void)zmq_setsockopt(c->socket, ZMQ_LINGER, &linger, sizeof(linger));
    (void)zmq_setsockopt(c->socket, ZMQ_SNDHWM, &all, sizeof(all));
    (void)zmq_setsockopt(c->socket, ZMQ_RCVHWM, &queued, sizeof(queued));
    (void)snprintf(monitor, sizeof(monitor), "inproc://monitor-%u", n_monitors++);
    cr_assert_eq(zmq_socket_monitor(c->socket, monitor, ZMQ_EVENT_DISCONNECTED), 0);
    c->monitor = zmq_socket(context, ZMQ_PAIR);
    cr_assert_eq(zmq_connect(c->monitor, monitor), 0);
    cr_assert_eq(zmq_connect(c->socket, ipc), 0);
}

static void disconnect_client(struct client *c)
{
    (void)zmq_close(c->socket);
    (void)zmq_close(c->monitor);
}

void client_await_loss(struct client *c)
{
    zmq_pollitem_t item = {.socket = c->monitor, .events = ZMQ_POLLIN};

    cr_assert_eq(zmq_poll(&item, 1, PATIENCE_MS), 1, "the connection stays");
}

static struct client *open_client(int queued)
{
    struct client *c = calloc(1, sizeof(*c));

    cr_assert_not_null(c);
    c->last = &c->first;
    connect_client(c, queued);
    return c;
}

static struct client *say_hello(struct client *c)
{
    cr_assert_eq(client_hello(c, broker_nil()), 0, "%.*s", (int)c->answer.text.size,
        (const char *)c->answer.text.data);
    return c;
}

struct client *client_open_silent(void)
{
    return open_client(0);
}

struct client *client_open_narrow(void)
{
    return say_hello(open_client(1));
}

struct client *client_open(void)
{
    return say_hello(client_open_silent());
}

static void forget_messages(struct client *c)
{
    for (struct message *m = c->first, *next; m != NULL; m = next) {
        next = m->next;
        free(m);
    }
    c->first = NULL;
    c->last = &c->first;
    free(c->shown);
    c->shown = NULL;
}

void client_close(struct client *c)
{
    forget_messages(c);
    disconnect_client(c);
    free(c);
}

void client_reconnect(struct client *c)
{
    forget_messages(c);
    disconnect_client(c);
    connect_client(c, 0);
}

broker_value client_key(const struct client *c)
{
    return broker_bin(c->key, sizeof(c->key));
}

int64_t client_number(const struct client *c)
{
    return c->number;
}

/* The value of a key of a map that the broker wrote. */
static broker_value entry(broker_value map, const char *name)
{
    const uint8_t *p = map.data, *end = p + map.size;
    broker_value key, value = broker_nil();
    size_t used;

    for (p++; p < end; p += used) {
        cr_assert_eq(bri_value_check_first(p, (size_t)(end - p), &used), 0);
        cr_assert_eq(bri_value_decode(p, used, &key), 0);
        p += used;
        cr_assert_eq(bri_value_check_first(p, (size_t)(end - p), &used), 0);
        cr_assert_eq(bri_value_decode(p, used, &value), 0);
        if (key.size == strlen(name) && memcmp(key.data, name, key.size) == 0)
            return value;
    }
    cr_assert_fail("hello does not say %s", name);
    return broker_nil();
}

broker_value client_agreed(const struct client *c, const char *name)
{
    return entry(c->answer.results[0], name);
}

int client_hello(struct client *c, broker_value options)
{
    int r = CALL(c, "session.hello", broker_nil(), ARGS(options));

    if (r == 0) {
        memcpy(c->key, client_agreed(c, "session").data, sizeof(c->key));
        c->number = client_agreed(c, "number").i;
    }
    return r;
}

int client_resume(struct client *c, broker_value key)
{
    const char *name = "resume";

    return client_hello(c, packed_map(&name, &key, 1));
}

void client_next_id(struct client *c, uint64_t id)
{
    c->last_id = id - 1;
}

uint64_t client_ask_as(struct client *c, uint32_t thread, const char *op, broker_value object,
    const broker_value *args, uint32_t n_args)
{
    struct bri_wire_request request = {.id = ++c->last_id,
        .op = op,
        .op_size = (uint32_t)strlen(op),
        .thread = thread,
        .object = object,
        .n_args = n_args};
    broker_buffer buffer = BROKER_BUFFER_INIT;

    for (uint32_t i = 0; i < n_args; i++)
        request.args[i] = args[i];
    cr_assert_eq(bri_wire_write_request(&buffer, &request), 0);
    client_send_raw(c, buffer.data, buffer.size, 1);
    broker_buffer_free(&buffer);
    return request.id;
}

void client_send_raw(struct client *c, const void *data, size_t size, unsigned n_parts)
{
    while (n_parts-- > 0)
        cr_assert_eq(zmq_send(c->socket, data, size, n_parts > 0 ? ZMQ_SNDMORE : 0), (int)size,
            "%s", zmq_strerror(errno));
}

/* Takes what comes within @timeout_ms. */
static bool take_message(struct client *c, int timeout_ms)
{
    zmq_pollitem_t item = {.socket = c->socket, .events = ZMQ_POLLIN};
    struct bri_wire_answer answer;
    struct message *m;
    zmq_msg_t message;

    if (zmq_poll(&item, 1, timeout_ms) <= 0)
        return false;
    (void)zmq_msg_init(&message);
    cr_assert_geq(zmq_msg_recv(&message, c->socket, 0), 0);
    m = malloc(sizeof(*m) + zmq_msg_size(&message));
    cr_assert_not_null(m);
    m->next = NULL;
    m->size = zmq_msg_size(&message);
    memcpy(m->data, zmq_msg_data(&message), m->size);
    (void)zmq_msg_close(&message);
    cr_assert_eq(bri_wire_read_answer(m->data, m->size, &answer), 0);
    m->id = answer.id;
    *c->last = m;
    c->last = &m->next;
    return true;
}

static struct message **find_message(struct client *c, uint64_t id)
{
    for (struct message **link = &c->first; *link != NULL; link = &(*link)->next)
        if ((*link)->id == id)
            return link;
    return NULL;
}

bool client_has_answer(struct client *c, uint64_t id)
{
    while (take_message(c, 0))
        continue;
    return find_message(c, id) != NULL;
}

int client_answer(struct client *c, uint64_t id)
{
    struct message **link;

    while ((link = find_message(c, id)) == NULL)
        cr_assert(take_message(c, PATIENCE_MS), "no answer to %llu", (unsigned long long)id);
    free(c->shown);
    c->shown = *link;
    *link = c->shown->next;
    if (*link == NULL)
        c->last = link;
    cr_assert_eq(bri_wire_read_answer(c->shown->data, c->shown->size, &c->answer), 0);
    return c->answer.status;
}

const struct bri_wire_answer *client_last(const struct client *c)
{
    return &c->answer;
}

int64_t client_int(const struct client *c, unsigned i)
{
    cr_assert_gt(c->answer.n_results, i);
    cr_assert_eq(c->answer.results[i].type, BROKER_INT);
    return c->answer.results[i].i;
}

/* ---- values ---- */

/* Until the test ends. */
static broker_value keep(struct bri_pack *p)
{
    broker_value v;

    cr_assert_eq(bri_pack_end(p, &v), 0);
    cr_assert_lt(n_kept, MAX_KEPT);
    kept[n_kept++] = *p->buffer;
    return v;
}

broker_value packed_map(const char *const names[], const broker_value *values, uint32_t n)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;

    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, n);
    for (uint32_t i = 0; i < n; i++)
        bri_pack_entry(&p, names[i], values[i]);
    return keep(&p);
}

broker_value packed_array(const broker_value *values, uint32_t n)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;

    bri_pack_start(&p, &buffer);
    bri_pack_array(&p, n);
    for (uint32_t i = 0; i < n; i++)
        bri_pack_value(&p, values[i]);
    return keep(&p);
}

broker_value client_make(struct client *c, const char *type, const char *name)
{
    char op[40];

    (void)snprintf(op, sizeof(op), "%s.open", type);
    cr_assert_eq(CALL(c, op, broker_str(name), NO_ARGS), 0);
    return broker_int(client_int(c, 0));
}
