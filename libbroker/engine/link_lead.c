/*
 * link_lead.c - how threads share a connection; see link_state.h
 *
 * All of a link is under its mutex but the sleeping. The leader, the one thread that polls, is the
 * only one to open and close sockets. Others send, and receive what has come after that, since
 * sending may take the notice of it away from the descriptor.
 */
#include "engine/link_state.h"

#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker.h>

#include "client/handle.h"
#include "core/lock.h"
#include "value/value.h"

#define GREET_PATIENCE_NS (2 * BRI_SECOND)
#define LAST_TRY_NS BRI_SECOND /* to go on with a session whose time may be over */
#define RETRY_LAST_NS BRI_SECOND
#define HELLO_ID 1u /* of every hello, below those of all requests */

/* ---- requests and answers ---- */

static bool is_done(struct bri_exchange *x)
{
    return atomic_load_explicit(&x->word, memory_order_acquire) == BRI_EXCHANGE_DONE;
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
    atomic_store_explicit(&x->word, BRI_EXCHANGE_DONE, memory_order_release);
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

void bri_link_append(struct bri_link *l, struct bri_exchange *x)
{
    x->id = ++l->last_id;
    bri_wire_set_id(x->request.data, x->id);
    x->next = NULL;
    x->previous = l->last;
    *(l->last != NULL ? &l->last->next : &l->first) = x;
    l->last = x;
    l->n_pending++;
    if (l->state == BRI_LINK_UP)
        send_one(l, x);
}

/* The session is over. What has no answer gets none any more. */
void bri_link_fail(struct bri_link *l, int code, const char *text)
{
    l->state = BRI_LINK_ENDED;
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
        return bri_link_fail(l, BROKER_LOST, "the broker has ended the session");
    if (answer->status < 0) {
        (void)bri_fail_text(answer->status, "the broker at %s says: %.*s", l->endpoint.name,
            (int)answer->text.size, (const char *)answer->text.data);
        return bri_link_fail(l, answer->status, NULL);
    }
    if (bri_hello_read(answer, &agreed) < 0)
        return bri_link_fail(l, BROKER_PROTO, "its answer to hello is none");
    if (resumes &&
        (!agreed.resumed || memcmp(agreed.session, l->agreed.session, sizeof(agreed.session)) != 0))
        return bri_link_fail(l, BROKER_LOST, "the broker has begun another session");
    l->agreed = agreed;
    l->has_session = true;
    l->state = BRI_LINK_UP;
    l->retry_pause_ns = BRI_LINK_RETRY_NS;
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
        bri_link_fail(l, BROKER_LOST, "the broker has ended the session");
}

static void take_message(struct bri_link *l, zmq_msg_t *message)
{
    const struct bri_zmq *zmq = l->socket.zmq;
    struct bri_wire_answer answer;

    if (zmq->msg_more(message) != 0 ||
        bri_wire_read_answer(zmq->msg_data(message), zmq->msg_size(message), &answer) < 0)
        return bri_link_fail(l, BROKER_PROTO, "what answers there is no broker");
    l->heard_ns = bri_now();
    if (answer.id == 0)
        return bri_link_fail(l, answer.status == BROKER_VERSION ? BROKER_VERSION : BROKER_PROTO,
            "the broker does not understand the requests");
    if (l->state == BRI_LINK_UP)
        take_answer(l, &answer, message);
    else if (l->state == BRI_LINK_GREETING && answer.id == HELLO_ID)
        take_hello(l, &answer);
}

/*
 * All that has come: after everything that touches the socket, before the mutex is given away. Then
 * the descriptor tells of what comes later.
 */
void bri_link_receive(struct bri_link *l)
{
    zmq_msg_t message;

    while (l->state != BRI_LINK_ENDED && bri_socket_receive(&l->socket, &message)) {
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
    if (l->state == BRI_LINK_UP) {
        l->retry_pause_ns = BRI_LINK_RETRY_NS;
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
    l->state = BRI_LINK_DOWN;
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
            return bri_link_fail(l, BROKER_LOST, "the broker refuses this client now");
        (void)bri_fail_text(
            BROKER_ACCESS, "the broker at %s refuses this user or key", l->endpoint.name);
        return bri_link_fail(l, BROKER_ACCESS, NULL);
    case BRI_SOCKET_DOWN:
        bri_link_receive(l); /* what came before */
        if (l->state != BRI_LINK_ENDED)
            disconnect(l);
    }
}

static void connect_again(struct bri_link *l)
{
    int r = bri_socket_open(&l->socket, &l->endpoint);

    l->state = BRI_LINK_GREETING;
    l->greet_until_ns = bri_now() + GREET_PATIENCE_NS;
    if (r == 0)
        r = greet(l);
    if (r < 0)
        return disconnect(l);
    bri_link_receive(l); /* until that was tried once, the descriptor is silent */
    look_at_connection(l);
}

static void give_up(struct bri_link *l)
{
    if (l->has_session)
        return bri_link_fail(l, BROKER_LOST, "the broker could not be reached in time");
    (void)bri_fail_text(BROKER_NODAEMON, "no broker answers at %s within %d s", l->endpoint.name,
        (int)(bri_link_patience(l) / BRI_SECOND));
    bri_link_fail(l, BROKER_NODAEMON, NULL);
}

/* What it is time for. Gives when the next thing is due. */
int64_t bri_link_tend(struct bri_link *l)
{
    int64_t now = bri_now(), silent_ns = l->heard_ns + 2 * bri_link_third(l);

    if (l->state == BRI_LINK_UP && (l->is_broken || now >= silent_ns))
        disconnect(l);
    if (l->state == BRI_LINK_GREETING && (l->is_broken || now >= l->greet_until_ns))
        disconnect(l);
    if ((l->state == BRI_LINK_DOWN || l->state == BRI_LINK_GREETING) && now >= l->give_up_ns)
        give_up(l);
    if (l->state == BRI_LINK_DOWN && now >= l->retry_at_ns)
        connect_again(l);
    switch (l->state) {
    case BRI_LINK_UP:
        return l->heard_ns + 2 * bri_link_third(l);
    case BRI_LINK_DOWN:
        return l->retry_at_ns < l->give_up_ns ? l->retry_at_ns : l->give_up_ns;
    case BRI_LINK_GREETING:
        return l->greet_until_ns < l->give_up_ns ? l->greet_until_ns : l->give_up_ns;
    case BRI_LINK_ENDED:
        break;
    }
    return BRI_NEVER;
}

/* ---- waiting ---- */

void bri_link_sleep(struct bri_link *l, int64_t until_ns)
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
    if (n > 0 && p[2].revents != 0 && l->state != BRI_LINK_ENDED)
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
        bri_link_append(l, x);
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
    bri_link_receive(l);
}

static void lead(struct bri_link *l, struct bri_exchange *x)
{
    int64_t until;

    l->leader = x;
    for (;;) {
        until = bri_link_tend(l);
        look_at_time(l, x);
        if (is_done(x))
            break;
        bri_link_sleep(l, until < x->overdue_ns ? until : x->overdue_ns);
        bri_link_receive(l);
    }
    l->leader = NULL;
}

/* Whoever leaves sees to it that somebody receives, if anybody waits. */
void bri_link_pass_on(struct bri_link *l)
{
    struct bri_exchange *x = l->first;

    if (l->leader != NULL)
        return;
    while (x != NULL && !x->is_waiting)
        x = x->next;
    if (x == NULL)
        return;
    atomic_store(&x->word, BRI_EXCHANGE_CALLED);
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
    atomic_store(&x->word, BRI_EXCHANGE_WAITING);
    x->is_waiting = true;
    (void)pthread_mutex_unlock(&l->mutex);
    sleep_on(&x->word, BRI_EXCHANGE_WAITING, x->overdue_ns);
    (void)pthread_mutex_lock(&l->mutex);
    x->is_waiting = false;
    look_at_time(l, x);
}

void bri_link_await(struct bri_link *l, struct bri_exchange *x)
{
    while (!is_done(x)) {
        if (l->leader == NULL)
            lead(l, x);
        else
            follow(l, x);
    }
    bri_link_pass_on(l);
}
