/*
 * link_state.h - what a link is, for the files that make it up
 */
#ifndef BRI_LINK_STATE_H
#define BRI_LINK_STATE_H

#include <pthread.h>

#include "client/address.h"
#include "core/clock.h"
#include "engine/link.h"
#include "engine/socket.h"

#define BRI_LINK_OPEN_NS (5 * BRI_SECOND)
#define BRI_LINK_RETRY_NS (20 * BRI_MILLISECOND)

enum bri_link_state {
    BRI_LINK_DOWN,     /* no connection: the next try is at retry_at_ns */
    BRI_LINK_GREETING, /* hello is under way */
    BRI_LINK_UP,
    BRI_LINK_ENDED, /* with end_code */
};

enum bri_exchange_state {
    BRI_EXCHANGE_WAITING,
    BRI_EXCHANGE_CALLED, /* nobody receives: do it */
    BRI_EXCHANGE_DONE,
};

struct bri_link {
    pthread_mutex_t mutex;        /* of all that follows and is not const */
    struct bri_address address;   /* [const] */
    struct bri_endpoint endpoint; /* [const] */
    struct bri_socket socket;
    int wake_fd; /* [const] what the leader is called by */
    enum bri_link_state state;
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
    int64_t give_up_ns; /* while not BRI_LINK_UP */
    int64_t heard_ns, sent_ns;
    pthread_t keeper; /* the thread that pings */
    pthread_cond_t keeper_called;
    bool has_keeper, must_end;
    struct bri_link *next_forgotten;
};

static inline int64_t bri_link_third(const struct bri_link *l)
{
    return l->agreed.timeout_ns / 3;
}

/* For a first connection. ZeroMQ does not tell whether anybody is there, so it is not long. */
static inline int64_t bri_link_patience(const struct bri_link *l)
{
    return l->address.wait_ns != 0 ? l->address.wait_ns : BRI_LINK_OPEN_NS;
}

/* All with the mutex. */

/* Puts a request behind the others, and sends it if there is a connection. */
void bri_link_append(struct bri_link *l, struct bri_exchange *x);

/* Receives what has come. */
void bri_link_receive(struct bri_link *l);

/* Sleeps until @x has its answer, or has the others sleep and receives for all. */
void bri_link_await(struct bri_link *l, struct bri_exchange *x);

/* What the leader does: tends the connection, and says until when to sleep; sleeps until something
 * comes; and has another lead. */
int64_t bri_link_tend(struct bri_link *l);
void bri_link_sleep(struct bri_link *l, int64_t until_ns);
void bri_link_pass_on(struct bri_link *l);

/* The session is over: every request ends with @code, and those to come. */
void bri_link_fail(struct bri_link *l, int code, const char *text);

#endif
