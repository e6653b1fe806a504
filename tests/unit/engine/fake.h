/*
 * fake.h - a broker behind ZeroMQ that answers what the test tells it to
 *
 * It is driven by the test's own thread, so what is asked of it is asked in others (calling()).
 * hello, ping and the end of a session it answers by itself while it waits for something else, as
 * `terms` say. What fails in here fails the test.
 */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <broker.h>

#include "wire/wire.h"

/* What the fake agrees to in its answers to hello. */
struct terms {
    int status; /* refuses if it is not 0 */
    const char *text;
    int64_t timeout_ns;
    int64_t max_message, max_pending;
    uint8_t session, arena; /* all bytes of the keys */
    bool no_resume;         /* says that it is another session */
    const char *missing;    /* this field is not in the answer; NULL: all are */
    bool silent;            /* pings get no answer */
};

struct fake {
    void *context, *router;
    char dir[40], address[80];
    struct terms terms;
    unsigned n_hellos, n_pings, n_ends;
    bool resumed;    /* the last hello wanted to go on with a session */
    char hello[512]; /* options of the last hello, as text */
};

/* A request that came. What it points to lives until the next one of this struct. */
struct asked {
    struct bri_wire_request request;
    char op[40];
    uint8_t peer[64];
    size_t peer_size;
    uint8_t bytes[4096];
    size_t size;
};

/* The one of this test: made before it and removed after it. */
extern struct fake fake;
void fake_start(void);
void fake_stop(void);

/* Opens it and serves that. */
broker *fake_open(void);
int fake_open_gives(broker **out_broker);

/* Closes, and serves that. */
void fake_close(broker *b);

/* A dict that is open under this handle number. */
broker_dict *fake_dict(broker *b, const char *name, uint32_t number);
broker_queue *fake_queue(broker *b, const char *name, uint32_t number);
broker_lock *fake_lock(broker *b, const char *name, uint32_t number);

/* The next request, which must be this operation. */
void fake_expect(struct asked *a, const char *op);

/* Serves pings and hellos until @enough says so. */
void fake_serve_until(bool (*enough)(void *arg), void *arg);

/* Answers a request: with this status and sentence; with these results. */
void fake_refuse(const struct asked *a, int status, const char *text);
void fake_answer(const struct asked *a, const broker_value *results, uint32_t n);
void fake_give(const struct asked *a, broker_value result);
void fake_send(const struct asked *a, const void *bytes, size_t size);

/* All connections break; nobody can connect until fake_up(). */
void fake_down(void);
void fake_up(void);

/* A call in a thread of its own, while the fake is driven. */
struct calling {
    pthread_t thread;
    int (*run)(struct calling *c);
    void *object;
    int64_t number;
    int result;
    broker_value value;
    char text[64], error[512];
    _Atomic bool is_over;
};
void call(struct calling *c, int (*run)(struct calling *c), void *object, int64_t number);
int called(struct calling *c);
bool is_over(void *calling); /* for fake_serve_until() */

#endif
