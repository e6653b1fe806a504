/*
 * dispatch_world.c - see dispatch_world.h
 */
#include "dispatch_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/open.h"
#include "core/audit.h"
#include "objects/pack.h"
#include "park.h"
#include "request.h"
#include "send.h"
#include "support/shm_fixture.h"

#define N_PAGES 512
#define HELLO "\x94\x01\x01\xadsession.hello\xc0"
#define SENDER "local:somebody"

static struct {
    struct zmqd z;
    struct bri_arena *arena;
    struct zmqd_peer *peer;
    uint64_t id; /* of the request under way */
    struct world_outcome outcome;
    unsigned n_problems;
} world;

struct input {
    struct zmqd_job job;
    const void *data;
    size_t size;
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "dispatch_world: %s\n", what);
    abort();
}

/* ---- in the place of the broker ---- */

int __wrap_bri_open_session(
    const struct bri_address *address, struct bri_arena *mapped, broker **out_broker);
void __wrap_bri_close_session(broker *b, bool died);

int __wrap_bri_open_session(
    const struct bri_address *address, struct bri_arena *mapped, broker **out_broker)
{
    broker *b = shm_broker_new(world.arena, getpid());

    (void)mapped;
    b->read_only = address->read_only;
    memcpy(b->arena_name, address->arena, sizeof(b->arena_name));
    *out_broker = b;
    return 0;
}

void __wrap_bri_close_session(broker *b, bool died)
{
    (void)died;
    shm_broker_free(b);
}

/* ---- in the place of the connections ---- */

const char *zmqd_sender(zmq_msg_t *message)
{
    (void)message;
    return SENDER;
}

bool zmqd_sender_user(const struct zmqd *z, const char *sender, struct zmqd_user *out_user)
{
    (void)z;
    (void)sender;
    *out_user = (struct zmqd_user){.uid = geteuid(), .gid = getegid()};
    return true;
}

bool zmqd_same_user(const struct zmqd_user *a, const struct zmqd_user *b)
{
    return a->uid == b->uid;
}

struct zmqd_peer *zmqd_peer_find(
    struct zmqd *z, const void *routing, size_t n_routing, const char *sender)
{
    (void)z;
    (void)routing;
    (void)n_routing;
    (void)sender;
    return world.peer;
}

void zmqd_peer_leave(struct zmqd *z, struct zmqd_peer *peer, bool is_lost)
{
    (void)z;
    if (peer->session == NULL)
        return;
    peer->session->peer = NULL;
    peer->session = NULL;
    peer->is_lost = is_lost;
}

int zmqd_peer_take(struct zmqd *z, struct zmqd_session *session, zmq_msg_t *routing,
    zmq_msg_t *message, uint64_t hello)
{
    (void)routing;
    (void)message;
    (void)hello;
    zmqd_peer_leave(z, world.peer, false);
    session->peer = world.peer;
    world.peer->session = session;
    return 0;
}

void zmqd_drop(zmq_msg_t *message)
{
    (void)message;
}

void zmqd_send(struct zmqd *z, const void *routing, size_t n_routing, const void *data, size_t size)
{
    struct bri_wire_answer answer;

    (void)z;
    (void)routing;
    (void)n_routing;
    if (bri_wire_read_answer(data, size, &answer) < 0 || answer.status == BROKER_CORRUPT) {
        world.outcome.is_sound = false;
        return;
    }
    if (answer.id != world.id)
        return;
    world.outcome.n_answers++;
    world.outcome.status = answer.status;
}

void zmqd_peer_send(struct zmqd *z, struct zmqd_peer *peer, const void *data, size_t size)
{
    (void)peer;
    zmqd_send(z, NULL, 0, data, size);
}

/* ---- requests ---- */

/* On a worker, whose stack the message lies on: the request may wait here. */
static void take(struct zmqd *z, struct zmqd_job *job)
{
    const struct input *input = (const struct input *)job;
    struct zmqd_incoming from = {.z = z, .name = SENDER};

    must(zmq_msg_init_size(&from.routing, 1) == 0 &&
             zmq_msg_init_size(&from.message, input->size) == 0,
        "no memory");
    memset(zmq_msg_data(&from.routing), 'p', 1);
    if (input->size > 0)
        memcpy(zmq_msg_data(&from.message), input->data, input->size);
    zmqd_request_take(&from);
    (void)zmq_msg_close(&from.message);
    (void)zmq_msg_close(&from.routing);
}

static bool is_waiting(uint64_t id)
{
    for (const struct zmqd_session *s = world.z.first_session; s != NULL; s = s->next)
        if (zmqd_pending_find(s, id) != NULL)
            return true;
    return false;
}

static void carry_out(const void *data, size_t size, uint64_t id, struct world_outcome *out)
{
    struct input input = {.job.run = take, .data = data, .size = size};
    const struct zmqd_session *s = world.peer->session;

    world.id = id;
    world.outcome =
        (struct world_outcome){.is_sound = true, .is_old = s != NULL && id <= s->last_id};
    zmqd_job_add(&world.z, &input.job);
    zmqd_work(&world.z, 0);
    world.outcome.is_waiting = is_waiting(id);
    *out = world.outcome;
}

static void say_hello(void)
{
    struct world_outcome outcome;

    carry_out(HELLO, sizeof(HELLO) - 1, 1, &outcome);
    must(outcome.n_answers == 1 && outcome.status == 0 && world.peer->session != NULL, "no hello");
}

/* What some types cannot be without. */
static broker_value options_of(const char *type, broker_buffer *buffer)
{
    broker_value options = broker_nil();
    struct bri_pack p;

    bri_pack_start(&p, buffer);
    if (strcmp(type, "barrier") == 0) {
        bri_pack_map(&p, 1);
        bri_pack_entry(&p, "parties", broker_int(2));
    } else if (strcmp(type, "array") == 0) {
        bri_pack_map(&p, 1);
        bri_pack_entry(&p, "length", broker_int(4));
    } else if (strcmp(type, "queue") == 0) {
        bri_pack_map(&p, 2);
        bri_pack_entry(&p, "joinable", broker_bool(true));
        bri_pack_entry(&p, "max_items", broker_int(4));
    } else {
        return options;
    }
    must(bri_pack_end(&p, &options) == 0, "no memory");
    return options;
}

static void open_object(const char *type, unsigned number)
{
    broker_buffer options = BROKER_BUFFER_INIT, message = BROKER_BUFFER_INIT;
    struct bri_wire_request request = {.id = world_next_id(), .n_args = 1};
    struct world_outcome outcome;
    char op[40], name[40];

    (void)snprintf(op, sizeof(op), "%s.open", type);
    (void)snprintf(name, sizeof(name), "%s%u", type, number);
    request.op = op;
    request.op_size = (uint32_t)strlen(op);
    request.object = broker_str(name);
    request.args[0] = options_of(type, &options);
    must(bri_wire_write_request(&message, &request) == 0, "no memory");
    carry_out(message.data, message.size, request.id, &outcome);
    if (outcome.status < 0)
        (void)fprintf(stderr, "dispatch_world: %s: %s\n", op, broker_error_name(outcome.status));
    must(outcome.n_answers == 1 && outcome.status >= 0, "an object cannot be opened");
    broker_buffer_free(&options);
    broker_buffer_free(&message);
}

static void open_objects(void)
{
    for (uint32_t type = 1; bri_type_name(type) != NULL; type++)
        for (unsigned i = 0; i < 2 && type != BRI_TYPE_BROKER; i++)
            open_object(bri_type_name(type), i);
}

uint64_t world_next_id(void)
{
    return world.peer->session->last_id + 1;
}

/* Ids are not to run out. */
static bool is_worn_out(const struct zmqd_session *s)
{
    return s == NULL || s->last_id > UINT64_MAX / 2;
}

void world_take(const void *data, size_t size, uint64_t id, struct world_outcome *out)
{
    carry_out(data, size, id, out);
    if (!is_worn_out(world.peer->session))
        return;
    if (world.peer->session != NULL)
        zmqd_session_end(world.peer->session, true);
    zmqd_work(&world.z, 0);
    if (world.z.n_sessions >= world.z.settings.max_sessions) {
        must(world_end(), "sessions do not end");
        world_start();
    } else {
        say_hello();
    }
}

/* ---- beginning and end ---- */

void world_start(void)
{
    static const struct zmqd_settings settings = {.attach = "/nowhere",
        .max_message = 65536,
        .max_sessions = 4,
        .max_pending = 8,
        .max_waiting = 64,
        .session_memory = 1 << 20,
        .timeout_ns = BRI_SECOND,
        .max_timeout_ns = BRI_SECOND};
    struct zmqd *z = &world.z;

    if (z->event == NULL) {
        must(sd_event_new(&z->event) >= 0 && zmqd_requests_start() == 0, "no memory");
        z->park = zmqd_park_new(z->event, zmqd_worker_resume);
        world.peer = calloc(1, sizeof(*world.peer));
        must(z->park != NULL && world.peer != NULL, "no memory");
        z->settings = settings;
        z->last_job = &z->first_job;
    }
    must(zmqd_sessions_start(z), "no timer");
    world.arena = shm_arena_new(N_PAGES, 8);
    shm_arena_set_secret(world.arena, 1);
    say_hello();
    open_objects();
}

static void see_problem(void *arg, const char *object, const char *problem)
{
    (void)arg;
    (void)fprintf(stderr, "dispatch_world: %s: %s\n", object, problem);
    world.n_problems++;
}

/* As before the loop sleeps, so that words that nobody waits for go. */
bool world_end(void)
{
    struct bri_audit audit = {.report = see_problem, .quiet_arena = true};
    struct zmqd *z = &world.z;
    bool ok;

    world.id = UINT64_MAX;
    for (struct zmqd_session *s = z->first_session, *next; s != NULL; s = next) {
        next = s->next;
        zmqd_session_end(s, true);
    }
    zmqd_work(z, 0);
    ok = z->n_sessions == 0 && z->n_workers == z->n_idle;
    (void)zmqd_park_settle(z->park);
    ok = ok && bri_audit_arena(world.arena, &audit) == 0 && audit.n_problems == 0;
    zmqd_sessions_free(z);
    z->arenas = NULL;
    shm_arena_free(world.arena);
    return ok;
}
