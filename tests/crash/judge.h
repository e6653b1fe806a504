/*
 * judge.h - whether an arena in which somebody died is as it must be
 *
 * An image is recovered as clients and the daemon would do it, and everything that can be seen of
 * it on the way is written into a transcript: contents, holdings, what the killed operation gives
 * when it is repeated, what comes next. It must be, letter by letter, that of the start state or
 * that of the state after the operation: so the operation happened or it did not, for every program
 * and from then on.
 */
#ifndef TESTS_CRASH_JUDGE_H
#define TESTS_CRASH_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "cases.h"
#include "known.h"
#include "picture.h"
#include "sleepers.h"
#include "tracer.h"

/* What finds a fault. */
enum oracle {
    ORACLE_STATE,  /* neither before nor after */
    ORACLE_READER, /* a reader saw what was undone then, or two states under one sequence number */
    ORACLE_AUDIT,  /* the structure is damaged, or something is lost */
    ORACLE_WORK,   /* recovery, reaping or an audit could not be carried out */
    ORACLE_CRASH,  /* the library crashed in one of them */
    ORACLE_KERNEL, /* a real death left something else than the simulated one */
    ORACLE_WATCH,  /* stepping came to other states than watching */
    N_ORACLES,
};
extern const char *const oracle_names[N_ORACLES];

/*
 * When the peer works in the arena: after the daemon has reaped the dead session, or before. Where
 * somebody sleeps, the other order is that there is no daemon: who sleeps looks for himself.
 */
enum order { REAP_FIRST, WORK_FIRST, N_ORDERS };

enum outcome { BEFORE, AFTER, MIDDLE, BAD, N_OUTCOMES };

/* The even sequence numbers that a subject has shown while the victim worked, and what readers saw
 * under them. */
struct sight {
    struct subject subject;
    uint64_t seq, seen;
};
#define MAX_SIGHTS 4096

struct judge {
    const struct crash_operation *operation;
    const struct world *live;
    struct world copy;    /* in which images are recovered */
    struct world readers; /* the caller's image, as a client sees it that may only read */
    struct text references[N_OUTCOMES - 1][N_ORDERS]; /* empty: that outcome is not possible */
    uint8_t *awake;                 /* image of the live world before its sleepers slept, ... */
    struct world_pages awake_pages; /* ... those of its pages that count, ... */
    uint8_t *spare;                 /* and room for one more */
    struct wakes *wakes;            /* by the victim, so far */
    struct text transcript, scratch;
    unsigned fits; /* bits: the outcomes that the last transcript fits; before and after may look
                      the same */
    struct subject subjects[MAX_SUBJECTS];
    unsigned n_subjects;
    struct sight sights[MAX_SIGHTS];
    unsigned n_sights;
    struct known known[N_ORDERS]; /* of this case */
    uint64_t n_bad[N_ORACLES];
    char message[768]; /* of the last fault */
};

/* @seen is the image of the live world that its owner keeps up to date. Both live as long as the
 * judge. */
void judge_init(struct judge *j, uint8_t *seen, struct wakes *wakes);
void judge_fini(struct judge *j);

/* @live is as it is before its sleepers sleep. */
void judge_note_awake(struct judge *j, const struct world *live);

/*
 * Begins with another case. @before and @after are images of the live world in which the victim has
 * died at the start and at the end of its operation. False, and a message, if they are not sound
 * themselves, or cannot be told apart.
 */
bool judge_begin(struct judge *j, const struct crash_operation *operation, const struct world *live,
    uint8_t *before, uint8_t *after);

/* Forgets what readers saw: the victim starts anew. */
void judge_forget(struct judge *j);

/* A reader looks at the image. False: it sees something that it must not. */
bool judge_look(struct judge *j);

/*
 * Recovered now, before anything else happened: is each subject the last that readers saw, or
 * something new? Something that they saw before that, they would see undone.
 */
bool judge_check_sights(struct judge *j, struct bri_arena *a);

/*
 * Judges an image in which somebody dies, after readers have seen what judge_look() met. @pages are
 * those that count in it, @order says who comes first.
 */
enum outcome judge_image(struct judge *j, const uint8_t *image, const struct world_pages *pages,
    const struct tracer_death *death, enum order order);

/* The same for the live world, in which the victim really died, and from the start to the end; its
 * contents are spent then. */
enum outcome judge_world(struct judge *j, struct world *w, enum order order);

/* Notes a fault that the caller found. Gives BAD. */
enum outcome judge_fault(struct judge *j, enum oracle oracle, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
