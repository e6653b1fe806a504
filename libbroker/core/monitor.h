/*
 * monitor.h - operations as they happen: who wants to see them, and where they are written down
 *
 * Whoever monitors renews a lease in the arena's header; while it lasts, programs write their
 * operations into a ring of the arena's, where all who can read it may look. The lease needs nobody
 * to take it back: who monitored and was killed renews it no more, and the daemon or the first
 * program that notices clears the word. Every renewal moves it, which gives the programs a clock of
 * BRI_MONITOR_TICK_NS for the price of one load.
 */
#ifndef BRI_MONITOR_H
#define BRI_MONITOR_H

#include "core/guard.h"

#define BRI_MONITOR_TICK_NS (10 * BRI_MILLISECOND) /* how often to renew */
#define BRI_MONITOR_LEASE_NS (2 * BRI_SECOND)
#define BRI_MONITOR_REST_NS (BRI_SECOND / 5) /* of it, after one who monitored is done */

/* Whose an operation is. It is in each record: short-lived programs are gone when it is read. */
struct bri_record_who {
    uint32_t session, pid, uid;
    uint32_t ops;  /* print of the numbers that its program gives to operations */
    char comm[16]; /* NUL-terminated */
};

/* What became of one operation. */
struct bri_record {
    int64_t end_ns; /* CLOCK_MONOTONIC */
    int64_t duration_ns;
    uint32_t object;     /* slot; 0: of no object */
    uint32_t generation; /* its low half */
    uint32_t op;
    int result; /* what the operation returned, from -128 to 127 */
    struct bri_record_who who;
};

/* Of the thread, for the operation that it is in. */
struct bri_monitor_thread {
    int64_t since_ns;     /* when it began, or began to wait; 0: not known, or there is none */
    uint64_t spent;       /* what the word is while nothing is to be done: 0, or `tick` */
    uint64_t tick;        /* the last one */
    uint32_t budget;      /* how many more may be timed in it */
    uint32_t n_counted;   /* were counted in it and not timed */
    bool is_counted;      /* the one that it is in was */
    uint64_t n_left_out;  /* were not timed, as far as is known, and nobody has been told */
    int64_t count_cpu_ns; /* the thread's time when it began to count in this tick */
    int64_t spent_cpu_ns; /* and when it ceased to; 0: it has not */
};

extern __thread struct bri_monitor_thread bri_monitor_thread
    __attribute__((tls_model("initial-exec")));

/* Around a wait that begins @now_ns: whoever waits is told of, however much else there is. Another
 * operation may run on this thread meanwhile. */
static inline int64_t bri_monitor_pause(int64_t now_ns)
{
    int64_t since_ns = bri_monitor_thread.since_ns;

    bri_monitor_thread.since_ns = 0;
    return since_ns != 0 ? since_ns : now_ns;
}

static inline void bri_monitor_resume(int64_t since_ns)
{
    bri_monitor_thread.since_ns = since_ns;
}

/* ---- the lease ---- */

/*
 * Has everybody write down what they do, from now on for BRI_MONITOR_LEASE_NS. Makes the ring if
 * there is none, waiting at most @patience_ns as in bri_lock(): NOMEM, and what bri_begin() says.
 */
int bri_monitor_renew(struct bri_arena *a, int64_t patience_ns);

/* For who is done with it: the lease ends soon, unless others renew it. */
void bri_monitor_end(struct bri_arena *a);

/* False if nobody monitors; a lease that is over, or that nobody can have asked for, is cleared. */
bool bri_monitor_check(struct bri_arena *a, int64_t now_ns);

/* ---- writing ---- */

/* The ring; NULL if there is none. */
struct bri_ring_shm *bri_monitor_ring(const struct bri_arena *a);

/* Writes a record; the oldest one goes. Killed anywhere in it, a place is lost until the ring has
 * come round to it. */
void bri_monitor_write(struct bri_ring_shm *ring, const struct bri_record *record);

/* Counts @n operations that are not in the ring. */
static inline void bri_monitor_leave_out(struct bri_ring_shm *ring, uint64_t n)
{
    atomic_fetch_add_explicit(&ring->n_left_out, n, memory_order_relaxed);
}

/* ---- reading ---- */

/* How far a reader has come. Zeros: it has seen nothing. */
struct bri_monitor_place {
    uint64_t next;
    uint64_t n_left_out;
    uint64_t waited; /* for what was begun before that number, and was not there */
};

/* What one look gave. */
struct bri_monitor_look {
    uint32_t n;        /* records */
    uint64_t n_missed; /* operations that are not among them: left out, or overwritten */
};

/*
 * Copies up to @max records that came since the last look, in the order in which they were written.
 * Needs no right to write; whatever lies in the arena, it looks at each place of the ring once.
 */
struct bri_monitor_look bri_monitor_read(const struct bri_arena *a, struct bri_monitor_place *place,
    struct bri_record *records, uint32_t max);

/* Passes over all that is there now. */
void bri_monitor_skip(const struct bri_arena *a, struct bri_monitor_place *place);

#endif
