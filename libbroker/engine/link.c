/*
 * link.c - see link.h
 *
 * All of a link is under its mutex but the sleeping. The leader, the one thread that polls, is the
 * only one to open and close sockets. Others send, and receive what has come after that, since
 * sending may take the notice of it away from the descriptor. A process killed in here leaves a
 * session, which ends when the broker has not heard of it for long enough.
 */
#include "engine/link.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker.h>

#include "client/handle.h"
#include "core/clock.h"
#include "core/errno.h"
#include "core/lock.h"
#include "engine/socket.h"
#include "value/value.h"

#define OPEN_PATIENCE_NS (5 * BRI_SECOND)
#define GREET_PATIENCE_NS (2 * BRI_SECOND)
#define CLOSE_PATIENCE_NS (2 * BRI_SECOND)
#define LAST_TRY_NS BRI_SECOND /* to go on with a session whose time may be over */
#define RETRY_FIRST_NS (20 * BRI_MILLISECOND)
#define RETRY_LAST_NS BRI_SECOND
#define HELLO_ID 1u    /* of every hello, below those of all requests */
#define SMALL_PLACES 4 /* of max_pending, kept for what is_small */

enum state {
    DOWN,     /* no connection: the next try is at retry_at_ns */
    GREETING, /* hello is under way */
    UP,
    ENDED, /* with end_code */
};

enum bri_exchange_state {
    WAITING,
    CALLED, /* nobody receives: do it */
    DONE,
};

struct bri_link {
    pthread_mutex_t mutex;        /* of all that follows and is not const */
    struct bri_address address;   /* [const] */
    struct bri_endpoint endpoint; /* [const] */
    struct bri_socket socket;
    int wake_fd; /* [const] what the leader is called by */
    enum state state;
    int end_code;
    const char *end_text; /* more about it, NULL if there is nothing */
    bool has_session;
    struct bri_agreed agreed; /* [const] once it has a session */
    uint64_t last_id;
    struct bri_exchange *first, *last; /* without an answer, by id */
    uint64_t n_pending;
    struct bri_exchange *leader; /* what the leader waits for; NULL: there is none */
    bool is_polling;             /* the leader is, without the mutex */
    bool is_broken;              /* the connection is of no use: for the leader */
    int64_t retry_at_ns, retry_pause_ns;
    int64_t greet_until_ns;
    int64_t give_up_ns; /* while not UP */
    int64_t heard_ns, sent_ns;
    pthread_t keeper; /* the thread that pings */
    pthread_cond_t keeper_called;
    bool has_keeper, must_end;
    struct bri_link *next_forgotten;
};

static __thread bool inside;

static int64_t third(const struct bri_link *l)
{
    return l->agreed.timeout_ns / 3;
}

/* ---- requests and answers ---- */

static bool is_done(struct bri_exchange *x)
{
    return atomic_load_explicit(&x->word, memory_order_acquire) == DONE;
}

static void wake_leader(struct bri_link *l)
{
    if (l->is_polling)
        (void)eventfd_write(l->wake_fd, 1);
}

static void unlink_exchange(struct bri_link *l, struct bri_exchange *x)
{
    *(x->previous != NULL ? &x->previous->next : &l->first) = x->next;
    *(x->next != NULL ? &x->next->previous : &l->last) = x->previous;
    l->n_pending--;
}

/* It is the asker's again, who may be gone before this returns: hence the copies. */
static void finish(struct bri_link *l, struct bri_exchange *x, int failure)
{
    bool is_leader = x == l->leader, is_waiting = x->is_waiting;

    unlink_exchange(l, x);
    x->failure = failure;
    if (x->is_detached) {
        bri_link_done(l, x);
        broker_buffer_free(&x->request);
        free(x);
        return;
    }
    atomic_store_explicit(&x->word, DONE, memory_order_release);
    if (is_leader)
        wake_leader(l);
    else if (is_waiting)
        bri_futex_wake_private(&x->word, 1);
}

static void send_one(struct bri_link *l, struct bri_exchange *x)
{
    x->was_sent = true;
    l->sent_ns = bri_now();
    if (!bri_socket_send(&l->socket, x->request.data, x->request.size)) {
        l->is_broken = true;
        wake_leader(l);
    }
}

static void append(struct bri_link *l, struct bri_exchange *x)
{
    x->id = ++l->last_id;
    bri_wire_set_id(x->request.data, x->id);
    x->next = NULL;
    x->previous = l->last;
    *(l->last != NULL ? &l->last->next : &l->first) = x;
    l->last = x;
    l->n_pending++;
    if (l->state == UP)
        send_one(l, x);
}

/* The session is over. What has no answer gets none any more. */
static void end(struct bri_link *l, int code, const char *text)
{
    l->state = ENDED;
    l->end_code = code;
    l->end_text = text;
    while (l->first != NULL)
        finish(l, l->first, l->first->changes && l->first->was_sent ? BROKER_UNKNOWN : code);
    (void)pthread_cond_signal(&l->keeper_called);
    wake_leader(l);
}

/* ---- hello ---- */

static void take_hello(struct bri_link *l, const struct bri_wire_answer *answer)
{
    struct bri_agreed agreed;
    bool resumes = l->has_session;

    if (answer->status < 0 && resumes)
        return end(l, BROKER_LOST, "the broker has ended the session");
    if (answer->status < 0) {
        (void)bri_fail_text(answer->status, "the broker at %s says: %.*s", l->endpoint.name,
            (int)answer->text.size, (const char *)answer->text.data);
        return end(l, answer->status, NULL);
    }
    if (bri_hello_read(answer, &agreed) < 0)
        return end(l, BROKER_PROTO, "its answer to hello is none");
    if (resumes &&
        (!agreed.resumed || memcmp(agreed.session, l->agreed.session, sizeof(agreed.session)) != 0))
        return end(l, BROKER_LOST, "the broker has begun another session");
    l->agreed = agreed;
    l->has_session = true;
    l->state = UP;
    l->retry_pause_ns = RETRY_FIRST_NS;
    for (struct bri_exchange *x = l->first; x != NULL; x = x->next)
        send_one(l, x);
}

/* Ids of answers that nobody waits for any more are no mistake. */
static void take_answer(
    struct bri_link *l, const struct bri_wire_answer *answer, zmq_msg_t *message)
{
    const struct bri_zmq *zmq = l->socket.zmq;
    const void *from = zmq->msg_data(message);
    struct bri_exchange *x = l->first;

    while (x != NULL && x->id != answer->id)
        x = x->next;
    if (x == NULL)
        return;
    x->answer = *answer;
    (void)zmq->msg_init(&x->message);
    (void)zmq->msg_move(&x->message, message);
    bri_wire_move_answer(&x->answer, from, zmq->msg_data(&x->message)); /* short ones lie in it */
    finish(l, x, 0);
    if (answer->status == BROKER_LOST)
        end(l, BROKER_LOST, "the broker has ended the session");
}

static void take_message(struct bri_link *l, zmq_msg_t *message)
{
    const struct bri_zmq *zmq = l->socket.zmq;
    struct bri_wire_answer answer;

    if (zmq->msg_more(message) != 0 ||
        bri_wire_read_answer(zmq->msg_data(message), zmq->msg_size(message), &answer) < 0)
        return end(l, BROKER_PROTO, "what answers there is no broker");
    l->heard_ns = bri_now();
    if (answer.id == 0)
        return end(l, answer.status == BROKER_VERSION ? BROKER_VERSION : BROKER_PROTO,
            "the broker does not understand the requests");
    if (l->state == UP)
        take_answer(l, &answer, message);
    else if (l->state == GREETING && answer.id == HELLO_ID)
        take_hello(l, &answer);
}

/*
 * All that has come: after everything that touches the socket, before the mutex is given away. Then
 * the descriptor tells of what comes later.
 */
static void receive_all(struct bri_link *l)
{
    zmq_msg_t message;

    while (l->state != ENDED && bri_socket_receive(&l->socket, &message)) {
        take_message(l, &message);
        (void)l->socket.zmq->msg_close(&message);
    }
}

/* ---- connections: the leader's ---- */

static void disconnect(struct bri_link *l)
{
    int64_t now = bri_now();

    bri_socket_close(&l->socket);
    l->is_broken = false;
    if (l->state == UP) {
        l->retry_pause_ns = RETRY_FIRST_NS;
        l->retry_at_ns = now;
        l->give_up_ns = l->heard_ns + l->agreed.timeout_ns;
        if (l->give_up_ns < now + LAST_TRY_NS)
            l->give_up_ns = now + LAST_TRY_NS;
    } else {
        l->retry_at_ns = now + l->retry_pause_ns;
        l->retry_pause_ns *= 2;
        if (l->retry_pause_ns > RETRY_LAST_NS)
            l->retry_pause_ns = RETRY_LAST_NS;
    }
    l->state = DOWN;
}

static int greet(struct bri_link *l)
{
    struct bri_hello hello = {.arena = l->address.arena,
        .read_only = l->address.read_only,
        .resume = l->has_session ? l->agreed.session : NULL};
    broker_buffer request = BROKER_BUFFER_INIT;
    int r = bri_hello_write(&request, HELLO_ID, &hello);

    if (r == 0 && !bri_socket_send(&l->socket, request.data, request.size))
        r = BROKER_SYSTEM;
    broker_buffer_free(&request);
    return r;
}

static void look_at_connection(struct bri_link *l)
{
    switch (bri_socket_look(&l->socket)) {
    case BRI_SOCKET_QUIET:
        return;
    case BRI_SOCKET_REFUSED:
        if (l->has_session)
            return end(l, BROKER_LOST, "the broker refuses this client now");
        (void)bri_fail_text(
            BROKER_ACCESS, "the broker at %s refuses this user or key", l->endpoint.name);
        return end(l, BROKER_ACCESS, NULL);
    case BRI_SOCKET_DOWN:
        receive_all(l); /* what came before */
        if (l->state != ENDED)
            disconnect(l);
    }
}

static void connect_again(struct bri_link *l)
{
    int r = bri_socket_open(&l->socket, &l->endpoint);

    l->state = GREETING;
    l->greet_until_ns = bri_now() + GREET_PATIENCE_NS;
    if (r == 0)
        r = greet(l);
    if (r < 0)
        return disconnect(l);
    receive_all(l); /* until that was tried once, the descriptor is silent */
    look_at_connection(l);
}

static void give_up(struct bri_link *l)
{
    if (l->has_session)
        return end(l, BROKER_LOST, "the broker could not be reached in time");
    (void)bri_fail_text(BROKER_NODAEMON, "no broker answers at %s within %d s", l->endpoint.name,
        (int)(OPEN_PATIENCE_NS / BRI_SECOND));
    end(l, BROKER_NODAEMON, NULL);
}

/* What it is time for. Gives when the next thing is due. */
static int64_t tend(struct bri_link *l)
{
    int64_t now = bri_now(), silent_ns = l->heard_ns + 2 * third(l);

    if (l->state == UP && (l->is_broken || now >= silent_ns))
        disconnect(l);
    if (l->state == GREETING && (l->is_broken || now >= l->greet_until_ns))
        disconnect(l);
    if ((l->state == DOWN || l->state == GREETING) && now >= l->give_up_ns)
        give_up(l);
    if (l->state == DOWN && now >= l->retry_at_ns)
        connect_again(l);
    switch (l->state) {
    case UP:
        return l->heard_ns + 2 * third(l);
    case DOWN:
        return l->retry_at_ns < l->give_up_ns ? l->retry_at_ns : l->give_up_ns;
    case GREETING:
        return l->greet_until_ns < l->give_up_ns ? l->greet_until_ns : l->give_up_ns;
    case ENDED:
        break;
    }
    return BRI_NEVER;
}

/* ---- waiting ---- */

static void sleep_until(struct bri_link *l, int64_t until_ns)
{
    struct pollfd p[3] = {{.fd = l->wake_fd, .events = POLLIN},
        {.fd = l->socket.dealer != NULL ? l->socket.fd : -1, .events = POLLIN},
        {.fd = l->socket.dealer != NULL ? l->socket.monitor_fd : -1, .events = POLLIN}};
    int64_t left = until_ns == BRI_NEVER ? BRI_SECOND : until_ns - bri_now();
    struct timespec ts = {.tv_sec = left / BRI_SECOND, .tv_nsec = left % BRI_SECOND};
    eventfd_t ignored;
    int n;

    if (left <= 0)
        return;
    l->is_polling = true;
    (void)pthread_mutex_unlock(&l->mutex);
    n = ppoll(p, 3, &ts, NULL);
    (void)pthread_mutex_lock(&l->mutex);
    l->is_polling = false;
    if (n > 0 && p[0].revents != 0)
        (void)eventfd_read(l->wake_fd, &ignored);
    if (n > 0 && p[2].revents != 0 && l->state != ENDED)
        look_at_connection(l);
}

static void cancel(struct bri_link *l, uint64_t id)
{
    static const char op[] = "session.cancel";
    struct bri_exchange *x = calloc(1, sizeof(*x));
    struct bri_wire_request request = {.id = BRI_WIRE_FIXED_ID,
        .op = op,
        .op_size = sizeof(op) - 1,
        .object = broker_nil(),
        .args = {broker_uint(id)},
        .n_args = 1};

    if (x == NULL)
        return;
    x->is_detached = true;
    x->overdue_ns = BRI_NEVER;
    if (bri_wire_write_request(&x->request, &request) == 0) {
        append(l, x);
        return;
    }
    broker_buffer_free(&x->request);
    free(x);
}

/* What was never sent can be taken back; what was sent has an answer that must be known. */
static void look_at_time(struct bri_link *l, struct bri_exchange *x)
{
    if (is_done(x) || bri_now() < x->overdue_ns)
        return;
    x->overdue_ns = BRI_NEVER;
    if (!x->was_sent || x->may_abandon)
        finish(l, x, BROKER_TIMEDOUT);
    else
        cancel(l, x->id);
    receive_all(l);
}

static void lead(struct bri_link *l, struct bri_exchange *x)
{
    int64_t until;

    l->leader = x;
    for (;;) {
        until = tend(l);
        look_at_time(l, x);
        if (is_done(x))
            break;
        sleep_until(l, until < x->overdue_ns ? until : x->overdue_ns);
        receive_all(l);
    }
    l->leader = NULL;
}

/* Whoever leaves sees to it that somebody receives, if anybody waits. */
static void pass_on(struct bri_link *l)
{
    struct bri_exchange *x = l->first;

    if (l->leader != NULL)
        return;
    while (x != NULL && !x->is_waiting)
        x = x->next;
    if (x == NULL)
        return;
    atomic_store(&x->word, CALLED);
    bri_futex_wake_private(&x->word, 1);
}

/* Until @word is not @seen, or it is time. */
static void sleep_on(_Atomic uint32_t *word, uint32_t seen, int64_t until_ns)
{
    struct timespec ts = {.tv_sec = until_ns / BRI_SECOND, .tv_nsec = until_ns % BRI_SECOND};

    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
        until_ns == BRI_NEVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Until it is done, the answer is overdue, or it is this thread's turn to receive. */
static void follow(struct bri_link *l, struct bri_exchange *x)
{
    atomic_store(&x->word, WAITING);
    x->is_waiting = true;
    (void)pthread_mutex_unlock(&l->mutex);
    sleep_on(&x->word, WAITING, x->overdue_ns);
    (void)pthread_mutex_lock(&l->mutex);
    x->is_waiting = false;
    look_at_time(l, x);
}

static void await(struct bri_link *l, struct bri_exchange *x)
{
    while (!is_done(x)) {
        if (l->leader == NULL)
            lead(l, x);
        else
            follow(l, x);
    }
    pass_on(l);
}

/* ---- asking ---- */

static int submit(struct bri_link *l, struct bri_exchange *x)
{
    uint64_t places = l->agreed.max_pending;

    if (l->state == ENDED)
        return bri_fail_detail(l->end_code, l->end_text);
    if (x->request.size > l->agreed.max_message)
        return bri_fail_detail(
            BROKER_TOOBIG, "the request is larger than the broker takes in one message");
    if (!x->is_small && places > 2 * SMALL_PLACES)
        places -= SMALL_PLACES;
    if (l->n_pending >= places)
        return bri_fail_detail(
            BROKER_LIMIT, "as many requests wait for their answers as the broker allows");
    append(l, x);
    if (l->state == UP)
        receive_all(l);
    return 0;
}

int bri_link_enter(void)
{
    if (inside)
        return BROKER_BUSY;
    inside = true;
    return 0;
}

void bri_link_leave(void)
{
    inside = false;
}

int bri_link_ask(struct bri_link *l, struct bri_exchange *x)
{
    int r;

    atomic_store(&x->word, WAITING);
    x->was_sent = x->is_waiting = x->is_detached = false;
    (void)pthread_mutex_lock(&l->mutex);
    r = submit(l, x);
    if (r == 0) {
        await(l, x);
        r = x->failure;
        if (r < 0 && l->state == ENDED)
            (void)bri_fail_detail(r, l->end_text);
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return r;
}

void bri_link_done(struct bri_link *l, struct bri_exchange *x)
{
    if (x->failure == 0)
        (void)l->socket.zmq->msg_close(&x->message);
}

size_t bri_link_message(struct bri_link *l, struct bri_exchange *x, const void **out_data)
{
    *out_data = l->socket.zmq->msg_data(&x->message);
    return l->socket.zmq->msg_size(&x->message);
}

const struct bri_agreed *bri_link_agreed(const struct bri_link *l)
{
    return &l->agreed;
}

bool bri_link_has_ended(struct bri_link *l)
{
    bool has_ended;

    (void)pthread_mutex_lock(&l->mutex);
    has_ended = l->state == ENDED;
    (void)pthread_mutex_unlock(&l->mutex);
    return has_ended;
}

/* ---- the thread that keeps the session ---- */

static int ask_plainly(struct bri_link *l, const char *op, int64_t overdue_ns)
{
    struct bri_exchange x = {
        .is_small = true, .may_abandon = overdue_ns != BRI_NEVER, .overdue_ns = overdue_ns};
    struct bri_wire_request request = {
        .id = BRI_WIRE_FIXED_ID, .op = op, .op_size = (uint32_t)strlen(op), .object = broker_nil()};
    int r = bri_wire_write_request(&x.request, &request);

    if (r == 0) {
        r = bri_link_ask(l, &x);
        if (r == 0)
            bri_link_done(l, &x);
    }
    broker_buffer_free(&x.request);
    return r;
}

static int64_t next_ping_ns(const struct bri_link *l)
{
    return (l->sent_ns < l->heard_ns ? l->sent_ns : l->heard_ns) + third(l);
}

static void *keep(void *arg)
{
    struct bri_link *l = arg;
    struct timespec ts;
    int64_t at;

    (void)pthread_mutex_lock(&l->mutex);
    while (!l->must_end && l->state != ENDED) {
        at = next_ping_ns(l);
        if (bri_now() >= at) {
            (void)pthread_mutex_unlock(&l->mutex);
            (void)ask_plainly(l, "session.ping", BRI_NEVER);
            (void)pthread_mutex_lock(&l->mutex);
        } else {
            ts = (struct timespec){.tv_sec = at / BRI_SECOND, .tv_nsec = at % BRI_SECOND};
            (void)pthread_cond_timedwait(&l->keeper_called, &l->mutex, &ts);
        }
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* Without the program's signals: they are for its own threads. */
static int start_keeper(struct bri_link *l)
{
    sigset_t every, before;
    int e;

    (void)sigfillset(&every);
    (void)pthread_sigmask(SIG_SETMASK, &every, &before);
    e = pthread_create(&l->keeper, NULL, keep, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    l->has_keeper = e == 0;
    return e == 0 ? 0 : bri_fail_text(bri_from_errno(e), "cannot start a thread: %s", strerror(e));
}

/* ---- beginning and ending ---- */

static int set_endpoint(const struct bri_address *address, struct bri_endpoint *out)
{
    struct bri_keys server;
    int r;

    out->has_keys = address->road == BRI_ROAD_TCP;
    (void)snprintf(out->name, sizeof(out->name), "%s%s", out->has_keys ? "tcp://" : "ipc://",
        out->has_keys ? address->host : address->path);
    if (!out->has_keys)
        return 0;
    r = bri_keys_read(address->server_key, &server);
    if (r == 0)
        r = bri_keys_read(address->own_key, &out->own);
    if (r == 0 && out->own.secret[0] == '\0')
        r = bri_fail_text(BROKER_ADDRESS, "there is no secret key in %s", address->own_key);
    if (r == 0)
        memcpy(out->server, server.public, sizeof(out->server));
    return r;
}

static void destroy(struct bri_link *l)
{
    bri_socket_close(&l->socket);
    if (l->socket.context != NULL)
        (void)l->socket.zmq->ctx_term(l->socket.context);
    if (l->wake_fd >= 0)
        (void)close(l->wake_fd);
    (void)pthread_cond_destroy(&l->keeper_called);
    (void)pthread_mutex_destroy(&l->mutex);
    explicit_bzero(l, sizeof(*l));
    free(l);
}

static int make(const struct bri_address *address, const struct bri_zmq *zmq, struct bri_link **out)
{
    struct bri_link *l = calloc(1, sizeof(*l));
    pthread_condattr_t monotonic;

    if (l == NULL)
        return bri_fail_text(BROKER_NOMEM, "no memory for a session");
    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->keeper_called, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    l->address = *address;
    l->socket.zmq = zmq;
    l->retry_pause_ns = RETRY_FIRST_NS;
    l->last_id = BRI_WIRE_FIXED_ID;
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->socket.context = zmq->ctx_new();
    if (l->wake_fd < 0 || l->socket.context == NULL) {
        int r = bri_from_errno(errno);

        destroy(l);
        return bri_fail_text(r, "cannot make a ZeroMQ context");
    }
    (void)zmq->ctx_set(l->socket.context, ZMQ_BLOCKY, 0);
    *out = l;
    return 0;
}

/* Until there is a session. Nobody else knows the link yet. */
static int begin(struct bri_link *l)
{
    int64_t until;

    l->give_up_ns = bri_now() + OPEN_PATIENCE_NS;
    (void)pthread_mutex_lock(&l->mutex);
    for (;;) {
        until = tend(l);
        if (l->state == UP || l->state == ENDED)
            break;
        sleep_until(l, until);
        receive_all(l);
    }
    (void)pthread_mutex_unlock(&l->mutex);
    if (l->state == UP)
        return 0;
    return l->end_text == NULL
               ? l->end_code
               : bri_fail_text(l->end_code, "the broker at %s: %s", l->endpoint.name, l->end_text);
}

int bri_link_open(const struct bri_address *address, struct bri_link **out_link)
{
    const struct bri_zmq *zmq;
    struct bri_link *l = NULL;
    int r = bri_zmq_load(&zmq);

    if (r == 0)
        r = make(address, zmq, &l);
    if (r < 0)
        return r;
    r = set_endpoint(address, &l->endpoint);
    if (r == 0)
        r = begin(l);
    if (r == 0)
        r = start_keeper(l);
    if (r < 0) {
        bri_link_close(l);
        return r;
    }
    *out_link = l;
    return 0;
}

void bri_link_close(struct bri_link *l)
{
    if (l == NULL)
        return;
    if (l->has_session)
        (void)ask_plainly(l, "session.end", bri_now() + CLOSE_PATIENCE_NS);
    (void)pthread_mutex_lock(&l->mutex);
    l->must_end = true;
    if (l->state != ENDED)
        end(l, BROKER_LOST, NULL);
    pass_on(l);
    (void)pthread_mutex_unlock(&l->mutex);
    if (l->has_keeper)
        (void)pthread_join(l->keeper, NULL);
    destroy(l);
}

/* Kept, so that nothing of it looks lost. */
void bri_link_forget(struct bri_link *l)
{
    static _Atomic(struct bri_link *) forgotten;

    if (l == NULL)
        return;
    (void)close(l->wake_fd);
    l->next_forgotten = atomic_load(&forgotten);
    while (!atomic_compare_exchange_weak(&forgotten, &l->next_forgotten, l))
        continue;
}
