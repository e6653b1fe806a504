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

#include "core/attachment.h"
#include "core/audit.h"
#include "core/collect.h"
#include "core/listing.h"
#include "core/lock.h"

const char *const oracle_names[N_ORACLES] = {
    "state", "reader", "audit", "work", "crash", "kernel", "watch"};

void judge_init(struct judge *j, uint8_t *seen)
{
    memset(j, 0, sizeof(*j));
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

/* ---- what clients and the daemon do after a death ---- */

/* Whoever comes next locks a guard. The registry first: it knows the others. */
static bool recover_guards(struct judge *j, struct bri_arena *a)
{
    struct subject subjects[MAX_SUBJECTS];
    unsigned n = picture_subjects(a, subjects);

    for (unsigned i = 0; i < n; i++) {
        struct bri_object o;
        struct bri_txn t;
        int r;

        do {
            r = bri_object_bind(a, subjects[i].slot, &o);
            if (r == 0)
                r = bri_begin(&t, &o, BRI_PATIENCE);
        } while (r == BROKER_GONE); /* it was bound to what has been undone now */
        if (r < 0) {
            (void)judge_fault(j, ORACLE_WORK, "slot %u cannot be locked: %s", subjects[i].slot,
                broker_error_name(r));
            return false;
        }
        bri_abort(&t);
    }
    return true;
}

static bool check_sights(struct judge *j, struct bri_arena *a)
{
    struct subject subjects[MAX_SUBJECTS];
    unsigned n = picture_subjects(a, subjects);

    for (unsigned i = 0; i < n; i++)
        if (!check_sight(j, a, &subjects[i]))
            return false;
    return true;
}

static void note_problem(void *arg, const char *object, const char *problem)
{
    struct judge *j = arg;

    (void)judge_fault(j, ORACLE_AUDIT, "%s: %s", object, problem);
}

static bool audit(struct judge *j, struct bri_arena *a, struct bri_audit *out)
{
    int r;

    *out = (struct bri_audit){.report = note_problem, .arg = j, .quiet_arena = true};
    r = bri_audit_arena(a, out);
    if (r < 0)
        (void)judge_fault(j, ORACLE_WORK, "the audit cannot be done: %s", broker_error_name(r));
    return r == 0 && out->n_problems == 0;
}

static void work(struct judge *j, struct world *w, uint32_t dead, struct text *out)
{
    struct actor *peer = &w->actors[PEER];
    int r;

    peer->answer = 0;
    peer->out = NULL;
    r = j->operation->run(peer);
    text_add(out, "again: %s %d, %lld", r < 0 ? broker_error_name(r) : "done", r,
        (long long)peer->answer);
    if (r >= 0 && peer->out != NULL)
        text_value(out, peer->out->data, peer->out->size);
    text_add(out, "\n");
    picture_arena(out, w->arena, dead);
    crash_go_on((j->operation->flags & CRASH_LEAVES) != 0 ? &w->actors[OTHER] : peer, out);
}

/* Everything goes: then only the registry's own pages are left. */
static bool tear_down(struct judge *j, struct world *w)
{
    static struct bri_listing entries[MAX_SUBJECTS];
    struct bri_audit result;
    uint32_t cursor = 0;
    uint64_t n_freed;
    int n = bri_registry_list(w->arena, &cursor, entries, MAX_SUBJECTS), r = 0;

    for (int i = 0; i < n && r == 0; i++)
        r = bri_registry_destroy(w->arena, entries[i].name);
    for (uint32_t i = 0; i < w->arena->n_sessions && r == 0; i++)
        r = bri_session_reap(w->arena, i, true, BRI_PATIENCE);
    if (r == 0)
        r = bri_collect(w->arena, &n_freed);
    if (r < 0) {
        (void)judge_fault(j, ORACLE_WORK, "the arena cannot be emptied: %s", broker_error_name(r));
        return false;
    }
    if (!audit(j, w->arena, &result))
        return false;
    if (result.n_objects == 0 && atomic_load(&w->arena->shm->spinners) == 0)
        return true;
    (void)judge_fault(j, ORACLE_WORK,
        "%llu objects and %u spinning threads are left in the empty arena",
        (unsigned long long)result.n_objects, atomic_load(&w->arena->shm->spinners));
    return false;
}

/* The daemon gives back what the dead had. */
static bool reap(struct judge *j, struct world *w)
{
    int r = bri_session_reap(w->arena, VICTIM, true, BRI_PATIENCE);

    if (r == 0 && j->operation->finish != NULL)
        r = j->operation->finish(&w->actors[PEER]);
    if (r < 0)
        (void)judge_fault(
            j, ORACLE_WORK, "what the dead had cannot be given back: %s", broker_error_name(r));
    return r >= 0;
}

/* Brings a world in which the victim died to rest, and writes down what can be seen of it on the
 * way. */
static bool settle(struct judge *j, struct world *w, enum order order, struct text *out)
{
    struct bri_audit result;

    text_clear(out);
    if (order == WORK_FIRST) {
        if (!recover_guards(j, w->arena) || !check_sights(j, w->arena))
            return false;
        work(j, w, VICTIM, out);
    }
    if (!reap(j, w) || !audit(j, w->arena, &result))
        return false;
    if (order == REAP_FIRST && !check_sights(j, w->arena)) /* the audit has been at every guard */
        return false;
    picture_arena(out, w->arena, NOBODY);
    if (order == REAP_FIRST)
        work(j, w, NOBODY, out);
    picture_arena(out, w->arena, NOBODY);
    picture_reserved(out, w->arena);
    return audit(j, w->arena, &result) && tear_down(j, w);
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

static void set_crash_handler(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    must(sigaction(SIGSEGV, &action, NULL) != 0 || sigaction(SIGBUS, &action, NULL) != 0
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

static bool settle_or_crash(struct judge *j, struct world *w, enum order order, struct text *out)
{
    volatile bool settled = false;

    if (sigsetjmp(crashed, 1) == 0) {
        set_crash_handler(on_crash);
        settled = settle(j, w, order, out);
    } else {
        leave_guard();
        (void)judge_fault(j, ORACLE_CRASH, "somebody who comes later crashes");
    }
    set_crash_handler(SIG_DFL);
    return settled;
}

enum outcome judge_world(struct judge *j, struct world *w, enum order order)
{
    j->fits = 0;
    return settle_or_crash(j, w, order, &j->transcript) ? verdict(j, order) : BAD;
}

enum outcome judge_image(struct judge *j, const uint8_t *image, const struct world_pages *pages,
    const struct tracer_death *death, enum order order)
{
    world_copy_pages(pages, image, world_bytes(&j->copy));
    world_copy_actors(&j->copy, j->live);
    tracer_apply(death, world_bytes(&j->copy));
    return judge_world(j, &j->copy, order);
}

/* ---- references ---- */

/* Fills the reference of one outcome from an image in which the victim has died already. */
static bool refer(struct judge *j, uint8_t *image, enum outcome outcome)
{
    struct bri_arena at = *j->live->arena;
    struct world_pages pages;

    at.pages = (struct bri_page_shm *)(image + bri_off(&at, at.pages));
    at.base = image;
    world_pages(&at, true, &pages);
    for (int order = 0; order < N_ORDERS; order++) {
        world_copy_pages(&pages, image, world_bytes(&j->copy));
        world_copy_actors(&j->copy, j->live);
        if (outcome == MIDDLE)
            j->operation->middle(&j->copy.actors[VICTIM]);
        if (!settle_or_crash(j, &j->copy, (enum order)order, &j->references[outcome][order]))
            return false;
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
