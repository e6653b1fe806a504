/*
 * judge.c - see judge.h
 */
#include "judge.h"

#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "settle.h"

#define SIZE ((size_t)WORLD_PAGES * BRI_PAGE_SIZE)

const char *const oracle_names[N_ORACLES] = {
    "state", "reader", "audit", "work", "crash", "kernel", "watch"};

void judge_init(struct judge *j, uint8_t *seen, struct wakes *wakes)
{
    memset(j, 0, sizeof(*j));
    j->wakes = wakes;
    j->awake = malloc(SIZE);
    j->spare = malloc(SIZE);
    must(j->awake == NULL || j->spare == NULL ? BROKER_NOMEM : 0, "malloc");
    world_new_copy(&j->copy);
    memcpy(seen, world_bytes(&j->copy), BRI_PAGE_SIZE);
    MUST(bri_arena_view(seen, j->copy.arena->size, &j->readers.arena));
    j->readers.arena->read_only = true;
}

void judge_fini(struct judge *j)
{
    for (int i = 0; i < N_OUTCOMES - 1; i++)
        for (int k = 0; k < N_ORDERS; k++)
            text_free(&j->references[i][k]);
    text_free(&j->transcript);
    text_free(&j->scratch);
    free(j->awake);
    free(j->spare);
    bri_arena_unmap(j->readers.arena);
    world_free_copy(&j->copy);
}

enum outcome judge_fault(struct judge *j, enum oracle oracle, const char *format, ...)
{
    va_list args;
    int n = snprintf(j->message, sizeof(j->message), "%s: ", oracle_names[oracle]);

    va_start(args, format);
    (void)vsnprintf(j->message + n, sizeof(j->message) - (size_t)n, format, args);
    va_end(args);
    j->n_bad[oracle]++;
    return BAD;
}

/* ---- readers ---- */

/* The last time that this subject was seen; NULL if it was not. */
static const struct sight *last_sight(const struct judge *j, const struct subject *subject)
{
    for (unsigned i = j->n_sights; i-- > 0;)
        if (j->sights[i].subject.slot == subject->slot &&
            j->sights[i].subject.generation == subject->generation)
            return &j->sights[i];
    return NULL;
}

/* What readers see of the subject, if its sequence says that they may; false if not. */
static bool see(
    struct judge *j, struct bri_arena *a, const struct subject *subject, struct sight *out)
{
    const struct bri_slot_shm *slot = bri_slot_at(a, subject->slot);

    if (slot == NULL || atomic_load(&slot->generation) != subject->generation)
        return false;
    out->subject = *subject;
    out->seq = atomic_load(&slot->seq);
    if ((out->seq & 1) != 0)
        return false;
    text_clear(&j->scratch);
    picture_reader(&j->scratch, a, subject);
    out->seen = text_hash(j->scratch.data, j->scratch.size);
    return true;
}

void judge_forget(struct judge *j)
{
    j->n_sights = 0;
    j->n_subjects = 0;
}

bool judge_look(struct judge *j)
{
    struct bri_arena *a = j->readers.arena;
    struct sight now;

    if ((atomic_load(&bri_slot_at(a, a->first_slot)->seq) & 1) == 0)
        j->n_subjects = picture_subjects(a, j->subjects);
    for (unsigned i = 0; i < j->n_subjects; i++) {
        const struct sight *last = last_sight(j, &j->subjects[i]);

        if (!see(j, a, &j->subjects[i], &now))
            continue;
        if (last != NULL && last->seq == now.seq) {
            if (last->seen == now.seen)
                continue;
            (void)judge_fault(j, ORACLE_READER,
                "slot %u changes while its sequence stays at %llu: %.*s", now.subject.slot,
                (unsigned long long)now.seq, (int)j->scratch.size, j->scratch.data);
            return false;
        }
        must(j->n_sights == MAX_SIGHTS ? BROKER_TOOBIG : 0,
            "more sights than the harness has room for");
        j->sights[j->n_sights++] = now;
    }
    return true;
}

/*
 * Recovered now, before anything else happened: is it the last that readers saw, or something new?
 * Something that they saw before that, they would see undone.
 */
static bool check_sight(struct judge *j, struct bri_arena *a, const struct subject *subject)
{
    const struct sight *last = last_sight(j, subject);
    struct sight now;

    if (last == NULL)
        return true;
    if (!see(j, a, subject, &now)) {
        (void)judge_fault(
            j, ORACLE_READER, "slot %u has an odd sequence after its recovery", subject->slot);
        return false;
    }
    for (const struct sight *s = j->sights; s <= last; s++) {
        if (s->subject.slot != subject->slot || s->subject.generation != subject->generation)
            continue;
        if (s->seq == now.seq ? s->seen == now.seen : s->seen != now.seen || now.seen == last->seen)
            continue;
        (void)judge_fault(j, ORACLE_READER,
            "slot %u: what readers saw at sequence %llu is %s: %.*s", subject->slot,
            (unsigned long long)s->seq, s->seq == now.seq ? "another state now" : "back again",
            (int)j->scratch.size, j->scratch.data);
        return false;
    }
    return true;
}

bool judge_check_sights(struct judge *j, struct bri_arena *a)
{
    struct subject subjects[MAX_SUBJECTS];
    unsigned n = picture_subjects(a, subjects);

    for (unsigned i = 0; i < n; i++)
        if (!check_sight(j, a, &subjects[i]))
            return false;
    return true;
}

/* ---- who sleeps ---- */

void judge_note_awake(struct judge *j, const struct world *live)
{
    world_pages(live->arena, true, &j->awake_pages);
    world_copy_pages(&j->awake_pages, world_bytes(live), j->awake);
}

/* Has the sleepers sleep in @w, whatever is in it now. */
static void fall_asleep(struct judge *j, struct world *w)
{
    world_copy_pages(&j->awake_pages, j->awake, world_bytes(w));
    sleepers_begin(w, j->operation);
}

/* ---- verdicts ---- */

static bool same_text(const struct text *a, const struct text *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* The first line in which two texts differ, of each. */
static void differing_lines(const struct text *a, const struct text *b, char *out, size_t size)
{
    size_t start = 0, i = 0;
    int na, nb;

    for (; i < a->size && i < b->size && a->data[i] == b->data[i]; i++)
        if (a->data[i] == '\n')
            start = i + 1;
    for (na = 0; start + (size_t)na < a->size && a->data[start + (size_t)na] != '\n';)
        na++;
    for (nb = 0; start + (size_t)nb < b->size && b->data[start + (size_t)nb] != '\n';)
        nb++;
    (void)snprintf(out, size, "\"%.*s\", not \"%.*s\"", na < 250 ? na : 250, a->data + start,
        nb < 250 ? nb : 250, b->data + start);
}

static enum outcome verdict(struct judge *j, enum order order)
{
    char before[600], after[600];

    for (unsigned i = 0; i < N_OUTCOMES - 1; i++)
        if (j->references[i][order].size != 0 &&
            same_text(&j->transcript, &j->references[i][order]))
            j->fits |= 1u << i;
    if (j->fits != 0)
        return (enum outcome)__builtin_ctz(j->fits);
    differing_lines(&j->transcript, &j->references[BEFORE][order], before, sizeof(before));
    differing_lines(&j->transcript, &j->references[AFTER][order], after, sizeof(after));
    return judge_fault(j, ORACLE_STATE, "neither before: %s; nor after: %s", before, after);
}

/*
 * The library must not crash over what it finds in an arena. If it does, that is a fault like
 * others, and we go on; the robust list still names the guard that it held then.
 */
static sigjmp_buf crashed;

static void on_crash(int signal_number)
{
    siglongjmp(crashed, signal_number);
}

static void catch_crashes(struct sigaction old[2])
{
    struct sigaction action = {.sa_handler = on_crash};

    must(sigaction(SIGSEGV, &action, &old[0]) != 0 || sigaction(SIGBUS, &action, &old[1]) != 0
             ? BROKER_SYSTEM
             : 0,
        "sigaction");
}

static void stop_catching(const struct sigaction old[2])
{
    must(sigaction(SIGSEGV, &old[0], NULL) != 0 || sigaction(SIGBUS, &old[1], NULL) != 0
             ? BROKER_SYSTEM
             : 0,
        "sigaction");
}

static void leave_guard(void)
{
    struct robust_list_head *head;
    size_t size;

    must(syscall(SYS_get_robust_list, 0, &head, &size) != 0 ? BROKER_SYSTEM : 0, "get_robust_list");
    head->list_op_pending = NULL;
}

/* ---- what was judged before ---- */

static enum outcome judge_repaired(struct judge *j, struct world *w, enum order order)
{
    return settle(j, w, order, &j->transcript) ? verdict(j, order) : BAD;
}

/* What was good once is good again, and need not be looked at: a repair makes the same of most
 * states. */
static enum outcome judge_or_know(struct judge *j, struct world *w, enum order order)
{
    uint64_t hash = known_hash(w);
    struct known_image *known = known_find(&j->known[order], hash);
    enum outcome outcome;

    if (known != NULL && known->hash == hash) {
        j->fits = known->fits;
        return (enum outcome)__builtin_ctz(j->fits);
    }
    outcome = judge_repaired(j, w, order);
    if (outcome != BAD && known != NULL)
        *known = (struct known_image){.hash = hash, .fits = j->fits};
    return outcome;
}

/* ---- verdicts of worlds ---- */

typedef enum outcome judge_fn(struct judge *j, struct world *w, enum order order);

static enum outcome judge_or_crash(
    struct judge *j, struct world *w, enum order order, judge_fn *judge)
{
    volatile enum outcome outcome = BAD;
    struct sigaction old[2];

    j->fits = 0;
    catch_crashes(old);
    if (sigsetjmp(crashed, 1) == 0) {
        outcome = settle_repair(j, w, order) ? judge(j, w, order) : BAD;
    } else {
        leave_guard();
        outcome = judge_fault(j, ORACLE_CRASH, "somebody who comes later crashes");
    }
    stop_catching(old);
    sleepers_end();
    return outcome;
}

enum outcome judge_world(struct judge *j, struct world *w, enum order order)
{
    if (j->operation->sleeper != NULL) {
        memcpy(j->spare, world_bytes(w), SIZE);
        fall_asleep(j, w);
        memcpy(world_bytes(w), j->spare, SIZE);
        sleepers_wake(w, j->wakes);
    }
    return judge_or_crash(j, w, order, judge_repaired);
}

/* The image, in which somebody died, becomes the copy. */
static void load_copy(struct judge *j, const uint8_t *image, const struct world_pages *pages,
    const struct wakes *wakes)
{
    world_copy_actors(&j->copy, j->live);
    if (j->operation->sleeper != NULL)
        fall_asleep(j, &j->copy);
    world_copy_pages(pages, image, world_bytes(&j->copy));
    sleepers_wake(&j->copy, wakes);
}

enum outcome judge_image(struct judge *j, const uint8_t *image, const struct world_pages *pages,
    const struct tracer_death *death, enum order order)
{
    load_copy(j, image, pages, j->wakes);
    tracer_apply(death, world_bytes(&j->copy));
    return judge_or_crash(
        j, &j->copy, order, j->operation->sleeper != NULL ? judge_repaired : judge_or_know);
}

/* ---- references ---- */

static enum outcome settle_reference(struct judge *j, struct world *w, enum order order)
{
    return settle(j, w, order, &j->transcript) ? BEFORE : BAD;
}

/* Whoever was to be woken goes on, although the waker was killed right after it. */
static bool check_woken(struct judge *j)
{
    const struct crash_operation *o = j->operation;
    unsigned n_asleep = sleepers_run();

    if (n_asleep == o->n_sleepers - o->n_woken)
        return true;
    (void)judge_fault(j, ORACLE_WORK, "%u of %u sleepers go on, not %u", o->n_sleepers - n_asleep,
        o->n_sleepers, o->n_woken);
    return false;
}

/* Fills the reference of one outcome from an image in which the victim has died already. */
static bool refer(struct judge *j, uint8_t *image, enum outcome outcome)
{
    static const struct wakes none;
    struct bri_arena at = *j->live->arena;
    struct world_pages pages;

    at.pages = (struct bri_page_shm *)(image + bri_off(&at, at.pages));
    at.base = image;
    world_pages(&at, true, &pages);
    for (int order = 0; order < N_ORDERS; order++) {
        load_copy(j, image, &pages, outcome == AFTER ? j->wakes : &none);
        if (outcome == AFTER && order == 0) {
            if (!check_woken(j))
                return false;
            load_copy(j, image, &pages, j->wakes);
        }
        if (outcome == MIDDLE)
            j->operation->middle(&j->copy.actors[VICTIM]);
        if (judge_or_crash(j, &j->copy, (enum order)order, settle_reference) == BAD)
            return false;
        text_clear(&j->references[outcome][order]);
        text_bytes(&j->references[outcome][order], j->transcript.data, j->transcript.size);
    }
    return true;
}

static bool same_references(const struct judge *j, enum order order)
{
    return same_text(&j->references[BEFORE][order], &j->references[AFTER][order]);
}

bool judge_begin(struct judge *j, const struct crash_operation *operation, const struct world *live,
    uint8_t *before, uint8_t *after)
{
    bool same, silent = (operation->flags & CRASH_INVISIBLE) != 0;

    j->operation = operation;
    j->live = live;
    judge_forget(j);
    for (int i = 0; i < N_ORDERS; i++)
        known_forget(&j->known[i]);
    memcpy(j->readers.arena->secret, live->arena->secret, sizeof(live->arena->secret));
    text_clear(&j->references[MIDDLE][REAP_FIRST]);
    text_clear(&j->references[MIDDLE][WORK_FIRST]);
    if (!refer(j, before, BEFORE) || !refer(j, after, AFTER))
        return false;
    if (operation->middle != NULL && !refer(j, before, MIDDLE))
        return false;
    same = same_references(j, REAP_FIRST);
    if (silent ? same : !same || !same_references(j, WORK_FIRST))
        return true;
    (void)judge_fault(
        j, ORACLE_STATE, same ? "nothing tells that it happened" : "it was said to leave no trace");
    return false;
}
