/*
 * waits.h - rounds in which a process dies that others wait for, wait with, or are woken by
 *
 * A round has objects of its own, two survivors that wait for them, a victim, and a waker if the
 * victim is not the waker itself. When the victim is dead, both survivors must come to an end: by
 * themselves if what the victim has done or left behind is enough for that, else after the round
 * was completed by the caller. Then the account of the object must be exact.
 */
#ifndef STRESS_WAITS_H
#define STRESS_WAITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <broker.h>

#include "crash/tracer.h"

enum death { HOLDER, WAITER, WAKER, N_DEATHS };

enum actor { SURVIVOR, OTHER_SURVIVOR, VICTIM, SURVIVING_WAKER, N_ACTORS };
#define N_SURVIVORS 2u
#define N_OBJECTS 2u
#define N_ITEMS 8u

/* What an actor may do. */
enum gate { STAY, BEGIN, WAKE, LEAVE };

/* What the processes of a round have in common. */
struct round_shm {
    struct actor_shm {
        _Atomic uint32_t gate;                            /* enum gate */
        _Atomic bool is_ready, holds, has_begun, is_done; /* how far it is */
        _Atomic int64_t done_ns;
        uint32_t session;
        int result;     /* what the wait gave, and ... */
        uint64_t index; /* ... where it stood, if there is such a thing */
    } actors[N_ACTORS];
    _Atomic uint32_t n_inside;         /* survivors that have it now */
    _Atomic uint32_t n_notices;        /* OWNER_DIED, by whoever lives */
    _Atomic uint32_t n_taken[N_ITEMS]; /* times an item came out and was finished, by survivors */
    _Atomic uint32_t n_held[N_ITEMS];  /* by the victim: it has had it, finished or not */
};

/* All rounds of one broker. */
struct waits {
    broker *broker;
    _Atomic uint32_t *moved; /* shared: moves whenever an actor has come further */
    _Atomic bool *failed;    /* shared: an actor has said that something is wrong */
    bool with_daemon;
    uint64_t seed; /* for the reports */
};

/* The instructions of a type's wake, of all rounds; shared. */
#define STEPS_MAX 16384u
struct waits_steps {
    _Atomic uint64_t n_tries;
    _Atomic uint32_t n;            /* of the last wake that was seen to its end */
    _Atomic bool tried[STEPS_MAX]; /* somebody was killed after so many */
};

struct round {
    const struct waits_type *type;
    struct waits *waits;
    struct round_shm *shm;
    enum death death;
    bool is_stepped;   /* WAKER: killed after so many instructions, not after some time */
    bool is_stopped;   /* WAITER: before anything is there to be taken, so it takes nothing */
    bool await_asleep; /* nobody is killed before all who wait are asleep */
    bool victim_first; /* WAITER: waits before the survivors do */
    uint64_t choice;   /* for what the type itself may do in several ways */
    uint64_t random;   /* of the moments */
    char name[48], decoy_name[48];
    void *object, *decoy; /* handles of the caller, inherited by all processes of the round */
    uint64_t seen;        /* version, at the start */
    unsigned due;         /* what the type's due() said */
    pid_t pids[N_ACTORS]; /* 0: there is none, or it is gone */
    pid_t victim;
    struct tracer tracer;
    struct waits_steps *steps;
    int64_t killed_ns, waited_ns;
};

/* A kind of thing to wait for. Functions that run in actors end them when something fails. */
struct waits_type {
    const char *name;
    unsigned deaths;    /* bits: 1 << enum death; which there are */
    bool waiters_first; /* who holds can do so only when the survivors wait */
    bool waker_waits;   /* the waker comes to its end with the others only */
    const char *line;   /* field of the statistic that says how many stand in line; NULL: nothing
                           is lost if nobody does yet */

    void (*open)(struct round *r);
    void (*close)(struct round *r);
    /* In the holder or the waker: what it does first. May be NULL. */
    void (*hold)(struct round *r);
    /* In a survivor or the victim: waits, and goes through with what it waited for. */
    void (*wait)(struct round *r, enum actor who);
    /* In the waker. */
    void (*wake)(struct round *r, enum actor who);
    /* How many survivors come to their end by what was done till now, or left behind. The victim
     * was seen to by now, or somebody should have by himself. */
    unsigned (*due)(struct round *r);
    /* Lets the others come to their end. NULL if all always do. */
    void (*complete)(struct round *r);
    /* The exact account, when all have come to their end and the dead have been seen to. */
    void (*check)(struct round *r);
};

extern const struct waits_type waits_lock, waits_rlock, waits_any;
extern const struct waits_type waits_semaphore, waits_signals, waits_event, waits_change;
extern const struct waits_type waits_condition, waits_barrier;
extern const struct waits_type waits_get, waits_lease, waits_put, waits_join;
extern const struct waits_type waits_receive, waits_send;

/* ---- for the types ---- */

/* Says what is wrong in which round, and ends this process. */
_Noreturn void waits_fail(const struct round *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Gives @result, which must be 0 or a notice; notices are counted. */
int waits_must(struct round *r, int result, const char *what);
#define MUST(r, expression) waits_must((r), (expression), #expression)
#define REQUIRE(r, condition) ((condition) ? (void)0 : waits_fail((r), "not so: %s", #condition))

/* A number of the object's statistic. */
uint64_t waits_stat(const struct round *r, const char *field);

/* A survivor has what it waited for, as one of @limit at a time at most; till waits_let_go(). */
void waits_have(struct round *r, enum actor who, uint32_t limit);
void waits_let_go(struct round *r, enum actor who);

/* ---- a round, in the order of its life ---- */

/* Opens the objects and starts the processes, which attach. */
void round_begin(struct round *r);
/* Everybody holds, or waits. */
void round_arrange(struct round *r);
/* The victim dies; or, with a waker that survives, somewhere about its waking. */
void round_kill(struct round *r);
/* Whether the victim's session has been seen to. */
bool round_is_reaped(const struct round *r);
bool round_is_done(const struct round *r);
/* Waits until those have come to an end who can by themselves, takes their time, lets the others
 * come to theirs, and ends the processes. */
void round_finish(struct round *r);
/* Checks the account and lets go of the objects. */
void round_end(struct round *r);

/* Waits until it is so for the round; fails when it is not for long. */
void round_await(struct round *r, bool (*is_so)(const struct round *r), const char *what);

/* For the caller's own steps: these must not take long. */
#define WAITS_SOON (20 * BROKER_SECOND)

#endif
