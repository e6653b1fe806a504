/*
 * request.c - see request.h
 *
 * What must not be done twice is decided here: an id that is not greater than all before it is that
 * of a request which came before, or was lost with a connection. If it is still under way its
 * answer will come; if it was a change its answer was kept, or was let go of, and then nobody knows
 * any more; anything else is just done.
 */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "log.h"
#include "send.h"
#include "walk.h"

#define WAIT_ANY_MAX 127

struct action;

/* A request that is being carried out. */
struct doing {
    struct zmqd_session *session;
    const struct action *action;
    const struct bri_wire_request *request;
    struct zmqd_worker *worker;
    struct bri_wire_answer *out; /* results */
};

/* What a request can ask for. */
struct action {
    struct zmqd_node node; /* first: by name */
    const char *name;
    size_t name_size;
    enum bri_op op; /* of `operate` and `open_object` */
    bool blocks, changes;
    bool is_aside; /* one needs it most when nothing else gets through; see struct zmqd_pending */
    int (*run)(struct doing *d);
};

enum { N_OWN_ACTIONS = 5 };

static struct {
    struct zmqd_map by_name;
    struct action all[BRI_N_OPS + N_OWN_ACTIONS];
    size_t n;
} actions;

/* ---- answers ---- */

struct bri_wire_answer zmqd_failure(uint64_t id, int status, const char *text)
{
    return (struct bri_wire_answer){
        .id = id, .status = status, .text = broker_str(text != NULL ? text : "")};
}

static struct bri_wire_answer plain_failure(uint64_t id, int status)
{
    return zmqd_failure(id, status, broker_error_text(status));
}

/* Into the server's own buffer; what does not fit the wire is a failure, too. */
static bool write_answer(struct zmqd *z, const struct bri_wire_answer *answer)
{
    struct bri_wire_answer failure;
    int r;

    z->answer.size = 0;
    r = bri_wire_write_answer(&z->answer, answer);
    if (r == 0)
        return true;
    failure = plain_failure(answer->id, r);
    z->answer.size = 0;
    return bri_wire_write_answer(&z->answer, &failure) == 0;
}

void zmqd_answer(struct zmqd_incoming *to, const struct bri_wire_answer *answer)
{
    if (write_answer(to->z, answer))
        zmqd_send(to->z, zmq_msg_data(&to->routing), zmq_msg_size(&to->routing), to->z->answer.data,
            to->z->answer.size);
}

static void answer_session(
    struct zmqd_session *s, const struct bri_wire_answer *answer, bool is_to_keep)
{
    struct zmqd *z = s->z;
    size_t max = z->settings.session_memory - s->pending_bytes;

    if (!write_answer(z, answer))
        return;
    if (is_to_keep)
        zmqd_record_keep(&s->records, (uint32_t)(2 * z->settings.max_pending), max,
            &(struct zmqd_record){answer->id, z->answer.size, z->answer.data});
    if (s->peer != NULL)
        zmqd_peer_send(z, s->peer, z->answer.data, z->answer.size);
}

void zmqd_answer_lost(struct zmqd_session *s, uint64_t id)
{
    struct bri_wire_answer answer = plain_failure(id, BROKER_LOST);

    answer_session(s, &answer, false);
}

/* ---- what can be asked for ---- */

static int call(struct doing *d, struct bri_handle *h)
{
    struct bri_call c = {.broker = d->session->broker,
        .handle = h,
        .op = d->action->op,
        .args = d->request->args,
        .n_args = d->request->n_args,
        .buffer = zmqd_operation_results(d->worker)};
    int r = bri_dispatch(&c);

    if (r >= 0) {
        memcpy(d->out->results, c.results, c.n_results * sizeof(c.results[0]));
        d->out->n_results = c.n_results;
    }
    return r;
}

/* An operation of the schema on an object. One that was opened by name may be gone, and another of
 * this name be there. */
static int operate(struct doing *d)
{
    struct zmqd_objects *objects = &d->session->objects;
    broker_value name = d->request->object;
    uint32_t type = bri_op_info[d->action->op].type;
    struct zmqd_object *o;
    int r = BROKER_GONE;

    for (unsigned i = 0; i < 2 && r == BROKER_GONE; i++) {
        r = zmqd_object_use(objects, d->session->broker, name, type, &o);
        if (r < 0)
            return r;
        r = call(d, o->handle);
        if (r == BROKER_GONE && o->number == 0)
            zmqd_object_forget(objects, o);
        else
            i++;
        zmqd_object_unuse(o);
    }
    return r;
}

/* Of the arena itself. */
static int operate_broker(struct doing *d)
{
    if (d->request->object.type != BROKER_NIL)
        return bri_fail_text(BROKER_INVALID, "the operation is of no object");
    return call(d, NULL);
}

static int open_object(struct doing *d)
{
    broker_value given[2] = {d->request->object, broker_nil()};
    struct zmqd_object *o;
    int r;

    if (d->request->n_args > 1)
        return bri_fail_text(BROKER_INVALID, "there are too many arguments");
    if (d->request->n_args == 1)
        given[1] = d->request->args[0];
    r = zmqd_object_open(
        &d->session->objects, d->session->broker, bri_op_info[d->action->op].type, given, &o);
    if (r < 0)
        return r;
    d->out->n_results = 2;
    d->out->results[0] = broker_int(o->number);
    d->out->results[1] = broker_ref(o->handle);
    return r;
}

static int close_object(struct doing *d)
{
    int r = d->request->n_args == 0 ? zmqd_object_close(&d->session->objects, d->request->object)
                                    : BROKER_INVALID;

    return r < 0 ? bri_fail_text(r, "no object is open under this number") : 0;
}

static int wait_for_objects(
    struct doing *d, const broker_value *numbers, uint32_t n, int64_t timeout_ns)
{
    struct zmqd_object *used[WAIT_ANY_MAX];
    void *handles[WAIT_ANY_MAX];
    size_t index = 0;
    uint32_t i;
    int r = 0;

    for (i = 0; i < n; i++) {
        r = zmqd_object_use(&d->session->objects, d->session->broker, numbers[i], 0, &used[i]);
        if (r < 0)
            break;
        handles[i] = used[i]->handle;
    }
    if (r == 0)
        r = broker_wait_any(handles, n, timeout_ns, &index);
    while (i-- > 0)
        zmqd_object_unuse(used[i]);
    d->out->n_results = 1;
    d->out->results[0] = broker_int((int64_t)index);
    return r;
}

static int wait_any(struct doing *d)
{
    const struct bri_wire_request *q = d->request;
    broker_value numbers[WAIT_ANY_MAX];
    int64_t timeout_ns = BROKER_FOREVER;
    struct zmqd_walk walk;
    uint32_t n = 0;

    if (q->object.type != BROKER_NIL || q->n_args < 1 || q->n_args > 2 ||
        !zmqd_walk_begin(&walk, q->args[0], BRI_KIND_ARRAY))
        return bri_fail_text(BROKER_INVALID, "object.wait_any takes an array and a timeout");
    if (q->n_args == 2 && q->args[1].type != BROKER_NIL) {
        if (!zmqd_is_unsigned(q->args[1]) || q->args[1].u > INT64_MAX)
            return bri_fail_text(BROKER_INVALID, "a timeout is a number of nanoseconds");
        timeout_ns = q->args[1].i;
    }
    while (n < WAIT_ANY_MAX && zmqd_walk_next(&walk, &numbers[n]))
        if (!zmqd_is_unsigned(numbers[n++]))
            return bri_fail_text(BROKER_INVALID, "object.wait_any takes numbers of objects");
    if (n == 0 || walk.left > 0)
        return bri_fail_text(BROKER_INVALID, "object.wait_any takes 1 to %d objects", WAIT_ANY_MAX);
    return wait_for_objects(d, numbers, n, timeout_ns);
}

static int ping(struct doing *d)
{
    (void)d;
    return 0;
}

static int cancel(struct doing *d)
{
    const struct bri_wire_request *q = d->request;
    struct zmqd_pending *p;

    if (q->n_args != 1 || !zmqd_is_unsigned(q->args[0]))
        return bri_fail_text(BROKER_INVALID, "session.cancel takes the id of a request");
    p = q->args[0].u != q->id ? zmqd_pending_find(d->session, q->args[0].u) : NULL;
    if (p != NULL)
        zmqd_order(d->session->z, p->worker, BRI_TIME_IS_UP);
    d->out->n_results = 1;
    d->out->results[0] = broker_bool(p != NULL);
    return 0;
}

/* Ends when it has been answered. */
static int say_goodbye(struct doing *d)
{
    (void)d;
    return 0;
}

static int add_action(const struct action *action)
{
    struct action *a = &actions.all[actions.n++];

    *a = *action;
    a->name_size = strlen(a->name);
    return zmqd_map_add(&actions.by_name, &a->node, zmqd_hash(a->name, a->name_size));
}

static bool is_open(enum bri_op op)
{
    const char *dot = strchr(bri_op_info[op].name, '.');

    return dot != NULL && strcmp(dot, ".open") == 0;
}

static struct action action_of(enum bri_op op)
{
    const struct bri_op_info *info = &bri_op_info[op];

    if (is_open(op))
        return (struct action){.name = info->name, .op = op, .changes = true, .run = open_object};
    return (struct action){.name = info->name,
        .op = op,
        .blocks = info->blocks,
        .changes = info->changes,
        .run = info->type == BRI_TYPE_BROKER ? operate_broker : operate};
}

int zmqd_requests_start(void)
{
    static const struct action own[N_OWN_ACTIONS] = {
        {.name = "session.ping", .is_aside = true, .run = ping},
        {.name = "session.cancel", .is_aside = true, .run = cancel},
        {.name = "session.end", .is_aside = true, .run = say_goodbye},
        {.name = "object.close", .is_aside = true, .changes = true, .run = close_object},
        {.name = "object.wait_any", .blocks = true, .run = wait_any},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_OWN_ACTIONS; i++)
        r = add_action(&own[i]);
    for (enum bri_op op = 0; r == 0 && op < BRI_N_OPS; op++) {
        struct action action = action_of(op);

        r = add_action(&action);
    }
    return r;
}

void zmqd_requests_free(void)
{
    zmqd_map_clear(&actions.by_name);
}

static const struct action *find_action(const char *name, uint32_t size)
{
    struct zmqd_node *node = zmqd_map_first(&actions.by_name, zmqd_hash(name, size));

    for (; node != NULL; node = zmqd_map_next(node)) {
        const struct action *a = (const struct action *)node;

        if (a->name_size == size && memcmp(a->name, name, size) == 0)
            return a;
    }
    return NULL;
}

/* ---- requests of a session ---- */

/* One that is not new: true if there is nothing to be done any more. */
static bool was_done(
    struct zmqd_session *s, const struct bri_wire_request *q, const struct action *action)
{
    const struct zmqd_record *record;
    struct bri_wire_answer answer;

    if (zmqd_pending_find(s, q->id) != NULL)
        return true;
    if (!action->changes)
        return false;
    record = zmqd_record_find(&s->records, q->id);
    if (record == NULL && q->id > s->records.floor)
        return false; /* it never came */
    if (record == NULL) {
        answer = plain_failure(q->id, BROKER_UNKNOWN);
        answer_session(s, &answer, false);
    } else if (s->peer != NULL) {
        zmqd_peer_send(s->z, s->peer, record->bytes, record->size);
    }
    return true;
}

/* Its session may be about to end when it is done: then that has been its answer. */
static void carry_out(struct doing *d, struct zmqd_pending *p)
{
    struct zmqd_session *s = d->session;
    struct bri_wire_answer answer = {.id = d->request->id};
    int r;

    d->out = &answer;
    d->worker = p->worker = zmqd_operation_begin(d->request->thread);
    r = d->action->run(d);
    answer.status = r;
    if (r < 0) {
        answer.n_results = 0;
        answer.text = broker_str(broker_last_error());
    }
    if (!p->is_answered)
        answer_session(s, &answer, d->action->changes);
    zmqd_operation_end(d->worker);
}

static void refuse(struct zmqd_session *s, const struct bri_wire_request *q,
    const struct action *action, int status, const char *text)
{
    struct bri_wire_answer answer = zmqd_failure(q->id, status, text);

    answer_session(s, &answer, action != NULL && action->changes);
}

static void serve(struct zmqd_session *s, const struct bri_wire_request *q, size_t size)
{
    struct doing d = {.session = s, .request = q, .action = find_action(q->op, q->op_size)};
    struct zmqd_pending pending = {.id = q->id, .size = size};

    if (q->id <= s->last_id && d.action != NULL && was_done(s, q, d.action))
        return;
    if (q->id > s->last_id)
        s->last_id = q->id;
    if (d.action == NULL) {
        refuse(s, q, NULL, BROKER_INVALID, "there is no such operation");
        return;
    }
    pending.is_aside = d.action->is_aside;
    if (zmqd_pending_add(s, &pending) < 0) {
        refuse(s, q, d.action, BROKER_LIMIT, "the session has too many unanswered requests");
    } else {
        if (d.action->blocks && zmqd_is_crowded(s->z))
            refuse(s, q, d.action, BROKER_LIMIT, "too many requests are waiting");
        else
            carry_out(&d, &pending);
        zmqd_pending_remove(s, &pending); /* the last one of a session that ends ends it */
        if (d.action->run == say_goodbye)
            zmqd_session_end(s, false);
    }
}

/* ---- messages ---- */

static bool is_hello(const struct bri_wire_request *q)
{
    static const char name[] = "session.hello";

    return q->op_size == sizeof(name) - 1 && memcmp(q->op, name, q->op_size) == 0;
}

void zmqd_request_take(struct zmqd_incoming *from)
{
    size_t size = zmq_msg_size(&from->message);
    struct zmqd_peer *peer = zmqd_peer_find(
        from->z, zmq_msg_data(&from->routing), zmq_msg_size(&from->routing), from->name);
    struct zmqd_session *s = peer != NULL ? peer->session : NULL;
    struct bri_wire_request q;
    struct bri_wire_answer answer;
    int r = bri_wire_read_request(zmq_msg_data(&from->message), size, &q);

    if (s != NULL)
        zmqd_session_heard(s);
    if (r < 0) {
        answer = plain_failure(q.id, r);
        zmqd_answer(from, &answer);
    } else if (is_hello(&q)) {
        zmqd_hello(from, &q);
    } else if (s != NULL) {
        serve(s, &q, size);
    } else if (peer != NULL && peer->is_lost) {
        answer = plain_failure(q.id, BROKER_LOST);
        zmqd_answer(from, &answer);
    } else {
        answer = zmqd_failure(q.id, BROKER_PROTO, "the first request is session.hello");
        zmqd_answer(from, &answer);
    }
}

/* One part. False if there is none. */
static bool receive(struct zmqd *z, zmq_msg_t *part)
{
    int r;

    (void)zmq_msg_init(part);
    do
        r = zmq_msg_recv(part, z->router, ZMQ_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        (void)zmq_msg_close(part);
    return r >= 0;
}

/* A message of several parts is taken whole, and ends its connection. True if it was one part. */
static bool is_single(struct zmqd *z, zmq_msg_t *first)
{
    bool more = zmq_msg_more(first) != 0;
    zmq_msg_t part;

    if (!more)
        return true;
    zmqd_drop(first);
    while (more && receive(z, &part)) {
        more = zmq_msg_more(&part) != 0;
        (void)zmq_msg_close(&part);
    }
    return false;
}

bool zmqd_request_next(struct zmqd *z)
{
    struct zmqd_incoming from = {.z = z};

    if (!receive(z, &from.routing)) {
        z->is_drained = true;
        z->budget = 0;
        return false;
    }
    z->is_drained = false;
    z->budget--;
    if (receive(z, &from.message)) {
        from.name = zmqd_sender(&from.message);
        if (is_single(z, &from.message) && from.name != NULL)
            zmqd_request_take(&from);
        (void)zmq_msg_close(&from.message);
    }
    (void)zmq_msg_close(&from.routing);
    return true;
}
