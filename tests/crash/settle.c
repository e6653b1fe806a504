/*
 * settle.c - see settle.h
 */
#include "settle.h"

#include "core/attachment.h"
#include "core/audit.h"
#include "core/collect.h"
#include "core/listing.h"
#include "core/registry.h"
#include "core/session.h"

#define MAX_NEXT 4u

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

/* There is no daemon, and everybody can tell that the victim is dead. */
static void leave_alone(struct world *w)
{
    atomic_store(&w->arena->shm->daemon_pid, 0);
    bri_session_state(&w->actors[VICTIM].broker->session)->start_time = 1;
}

bool settle_repair(struct judge *j, struct world *w, enum order order)
{
    if (j->operation->sleeper != NULL && order != REAP_FIRST) {
        leave_alone(w);
        return true;
    }
    return (order == WORK_FIRST || reap(j, w)) && recover_guards(j, w->arena) &&
           judge_check_sights(j, w->arena);
}

static bool settle_alone(struct judge *j, struct world *w, enum order order, struct text *out)
{
    struct bri_audit result;

    text_clear(out);
    if (order == WORK_FIRST) {
        work(j, w, VICTIM, out);
        if (!reap(j, w))
            return false;
    }
    if (!audit(j, w->arena, &result))
        return false;
    picture_arena(out, w->arena, NOBODY);
    if (order == REAP_FIRST)
        work(j, w, NOBODY, out);
    picture_arena(out, w->arena, NOBODY);
    picture_reserved(out, w->arena);
    return audit(j, w->arena, &result) && tear_down(j, w);
}

/* ---- sleepers ---- */

/* By themselves if nobody reaps; else they were told. */
static bool wake_up(struct judge *j, struct world *w, enum order order, struct text *out)
{
    (void)sleepers_run();
    if (order == REAP_FIRST)
        return true;
    sleepers_wait();
    (void)sleepers_run();
    sleepers_show(out);
    return reap(j, w);
}

/* What survivors do lets all sleepers come to their end. */
static bool let_go_on(struct judge *j, struct world *w, struct text *out)
{
    struct actor *peer = &w->actors[PEER];
    unsigned n_left = sleepers_run();

    for (unsigned i = 0; i < MAX_NEXT && n_left > 0; i++) {
        int r = j->operation->next(peer);

        n_left = sleepers_run();
        text_add(out, "next: %s %d\n", r < 0 ? broker_error_name(r) : "done", r);
        sleepers_show(out);
    }
    if (n_left == 0)
        return true;
    (void)judge_fault(j, ORACLE_WORK, "who sleeps sleeps on: %.*s", (int)out->size, out->data);
    return false;
}

static bool settle_sleepers(struct judge *j, struct world *w, enum order order, struct text *out)
{
    struct bri_audit result;

    text_clear(out);
    if (!wake_up(j, w, order, out) || !audit(j, w->arena, &result))
        return false;
    sleepers_show(out);
    picture_arena(out, w->arena, NOBODY);
    if (!let_go_on(j, w, out))
        return false;
    picture_arena(out, w->arena, NOBODY);
    crash_go_on(&w->actors[PEER], out);
    picture_arena(out, w->arena, NOBODY);
    picture_reserved(out, w->arena);
    return audit(j, w->arena, &result) && tear_down(j, w);
}

bool settle(struct judge *j, struct world *w, enum order order, struct text *out)
{
    return j->operation->sleeper != NULL ? settle_sleepers(j, w, order, out)
                                         : settle_alone(j, w, order, out);
}
