/*
 * link.h - a session with a broker behind ZeroMQ: requests and their answers, over as many
 * connections as it takes
 *
 * Any number of threads ask at a time. They drive the socket themselves: one of those who wait
 * receives for all of them and hands that on when it has its own answer, so that a thread alone
 * never waits for another one. A thread of the link's own says that we are still there when nobody
 * else says anything.
 *
 * A connection that is lost is made again, and the session goes on with all that it holds. If that
 * does not come about in time, or the broker has ended it, the link has ended too: changes that had
 * no answer yet give UNKNOWN, everything else LOST.
 */
#ifndef BRI_ENGINE_LINK_H
#define BRI_ENGINE_LINK_H

#include <stdatomic.h>

#include "client/address.h"
#include "engine/hello.h"
#include "engine/zmq.h"

struct bri_link;

/* A request under way. Whoever asks fills in the first part; the rest is the link's. */
struct bri_exchange {
    broker_buffer request; /* written, with BRI_WIRE_FIXED_ID; the asker's to free */
    bool changes;          /* that its answer was lost is UNKNOWN */
    bool is_small;         /* answered at once and needed to go on: has places of its own */
    bool may_abandon;      /* nobody needs the answer after `overdue_ns` */
    int64_t overdue_ns;    /* when the answer should have come; BRI_NEVER */

    int failure; /* 0: there is an answer, whatever its status */
    struct bri_wire_answer answer;
    zmq_msg_t message; /* what the answer points into, if there is one */

    uint64_t id;
    _Atomic uint32_t word; /* enum bri_exchange_state; whoever waits sleeps on it */
    bool was_sent;
    bool is_detached; /* nobody waits: freed when it is answered */
    bool is_waiting;  /* somebody sleeps */
    struct bri_exchange *next, *previous;
};

/*
 * Begins a session with the broker at an ipc or tcp address, which takes at most 5 s: NODAEMON
 * then. What hello is refused with, PROTO, SYSTEM, ADDRESS, each with a sentence.
 */
int bri_link_open(const struct bri_address *address, struct bri_link **out_link);

/*
 * Around everything that a thread does for an operation: BUSY when it is in one already, as in a
 * signal handler that came in the middle of it, which would wait for itself.
 */
int bri_link_enter(void);
void bri_link_leave(void);

/*
 * Sends a request and waits for its answer: 0 with one, which bri_link_done() ends. LOST and
 * UNKNOWN, see above; PROTO when the broker sent what is no message; TIMEDOUT if it was time before
 * it could be sent; TOOBIG, LIMIT. An answer that is overdue is asked for by cancelling the
 * request, and waited for still.
 */
int bri_link_ask(struct bri_link *l, struct bri_exchange *x);
void bri_link_done(struct bri_link *l, struct bri_exchange *x);

/* The bytes that an answer points into: how many. */
size_t bri_link_message(struct bri_link *l, struct bri_exchange *x, const void **out_data);

const struct bri_agreed *bri_link_agreed(const struct bri_link *l);
bool bri_link_has_ended(struct bri_link *l);

/* Ends the session and waits, a moment at most, until the broker has done so. */
void bri_link_close(struct bri_link *l);

/* In a child after fork: the link is the parent's. It is left as it is. */
void bri_link_forget(struct bri_link *l);

#endif
