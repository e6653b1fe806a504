/*
 * collect.c - see collect.h
 *
 * A collection marks all that can be reached and then destroys the anonymous objects without a
 * mark. What is known of its progress is one word of the arena, and a mark in each slot: both are
 * only ever moved on by compare-and-swap, and every step does again what is not yet marked as done.
 * So anybody can carry out the next step, several at once too, and who dies in one leaves nothing
 * behind.
 *
 * Marks are white (not of this collection), grey (reached) and black (reached, and all that is
 * stored in it was looked at). The collector passes over all sessions and slots, looks at what is
 * stored in the grey ones and in named ones, and makes grey what it meets there. Meanwhile, whoever
 * stores a reference or attaches makes its object grey, in the same section: bri_collect_keep(). So
 * a black object never refers to a white one, but for the moments between two instructions of a
 * section. What these leave is caught like this: who makes something grey first sets DIRTY, and is
 * inside a section from before that until it is done. A pass goes by every guard, and waits for it
 * if it is held. Two passes in a row that meet neither grey nor DIRTY: then all who set DIRTY
 * before the first were done before the second, which has seen what they did; nobody set it since;
 * and the step from there to sweeping is one compare-and-swap that fails if somebody sets it now.
 * From then on what is white is gone: bri_collect_keep() says so, before it is destroyed.
 *
 * An object is looked at in pieces, under its guard; how far is said by its slot's `scan`, which
 * the object's own changes move along. An object made during a collection begins black.
 */
#include "core/collect.h"

#include <broker/errors.h>

#include "core/attachment.h"
#include "core/bury.h"
#include "core/lock.h"
#include "core/pages.h"
#include "core/registry.h"
#include "core/session.h"
#include "core/type.h"

#define BUDGET 1024    /* of a step: a slot is 1, a value is 1 and some for its bytes */
#define ASSISTANCE 256 /* of who makes an object: some times what collecting it costs */
#define FEW 1024u      /* objects, which are no reason to help */
#define COST_SECTION 4
#define COST_DESTROY 64
#define FREE_PAGES_A_SLOT 8u
#define GUARD_PATIENCE (-2 * BRI_MILLISECOND)
#define CLEAN_PASSES 2u

/* ---- the words ---- */

/* The collection: | epoch 14 | phase 2 | clean passes 2 | dirty 1 | ... | cursor 32 | */
enum phase {
    IDLE = 0,
    TRACE = 1,
    SWEEP = 2,
};

#define EPOCHS (1u << 14)
#define DIRTY (UINT64_C(1) << 45)

struct state {
    uint32_t epoch;
    enum phase phase;
    uint32_t clean;
    bool dirty;
    uint32_t cursor; /* sessions, then pages */
};

static struct state unpack(uint64_t word)
{
    return (struct state){.epoch = (uint32_t)(word >> 50),
        .phase = (enum phase)(word >> 48 & 3),
        .clean = (uint32_t)(word >> 46 & 3),
        .dirty = (word & DIRTY) != 0,
        .cursor = (uint32_t)word};
}

static uint64_t pack(struct state s)
{
    return (uint64_t)s.epoch << 50 | (uint64_t)s.phase << 48 | (uint64_t)s.clean << 46 |
           (s.dirty ? DIRTY : 0) | s.cursor;
}

/* A mark: | generation 48 | epoch 14 | colour 2 |, white if either is another one's. */
enum colour {
    WHITE = 0,
    GREY = 1,
    BLACK = 2,
};

static uint64_t mark_of(uint64_t generation, uint32_t epoch, enum colour colour)
{
    return generation << 16 | (uint64_t)epoch << 2 | (uint64_t)colour;
}

static enum colour colour_of(uint64_t mark, uint32_t epoch)
{
    return (mark >> 2 & (EPOCHS - 1)) == epoch ? (enum colour)(mark & 3) : WHITE;
}

static struct state load_state(const struct bri_arena *a)
{
    return unpack(atomic_load(&a->shm->collection));
}

static bool set_dirty(struct bri_arena *a, uint64_t seen)
{
    return (seen & DIRTY) != 0 ||
           atomic_compare_exchange_strong(&a->shm->collection, &seen, seen | DIRTY);
}

/* ---- keeping ---- */

struct bri_ref bri_ref_of(const struct bri_object *o)
{
    uint64_t arena = (uint64_t)o->arena->id[0] << 8 | o->arena->id[1];

    return (struct bri_ref){
        .slot = o->id, .identity = arena << BRI_GENERATION_BITS | o->generation};
}

/* A slot that was one ever, with something alive in it; NULL if there is none. */
static struct bri_slot_shm *live_slot(const struct bri_arena *a, uint32_t slot)
{
    struct bri_slot_shm *s = bri_slot_at(a, slot);

    if (s == NULL || bri_tag_kind(bri_page_tag(a, slot / BRI_SLOTS_PER_PAGE)) != BRI_PAGE_SLOTS ||
        atomic_load(&s->status) != BRI_SLOT_LIVE)
        return NULL;
    return s;
}

void bri_collect_born(const struct bri_object *o)
{
    bool anonymous = atomic_load(&o->slot->anonymous) != 0;

    /* One with a name gets no mark until references are stored in it. */
    atomic_store(&o->slot->mark,
        mark_of(o->generation, load_state(o->arena).epoch, anonymous ? BLACK : WHITE));
}

bool bri_collect_is_sweeping(const struct bri_arena *a, uint64_t sweep)
{
    struct state state = load_state(a), seen = unpack(sweep);

    return state.phase == SWEEP && state.epoch == seen.epoch;
}

bool bri_collect_is_anonymous(const struct bri_arena *a, uint32_t slot)
{
    const struct bri_slot_shm *s = live_slot(a, slot);

    return s != NULL && atomic_load_explicit(&s->anonymous, memory_order_relaxed) != 0;
}

/*
 * The mark is loaded before the state: if the state was an old one by the time that the mark is
 * set, then nobody has set it since, and it is as if we had been here when the state was loaded.
 */
static int make_grey(struct bri_arena *a, struct bri_slot_shm *s, uint64_t generation)
{
    for (;;) {
        uint64_t mark = atomic_load(&s->mark), word = atomic_load(&a->shm->collection);
        struct state state = unpack(word);

        if (mark >> 16 != generation)
            return BROKER_GONE;
        if (state.phase == IDLE || colour_of(mark, state.epoch) != WHITE)
            return 0;
        if (state.phase == SWEEP)
            return BROKER_GONE;
        if (set_dirty(a, word) &&
            atomic_compare_exchange_strong(&s->mark, &mark, mark_of(generation, state.epoch, GREY)))
            return BRI_COLLECT_MORE;
    }
}

int bri_collect_keep(struct bri_arena *a, uint32_t slot, uint64_t generation)
{
    struct bri_slot_shm *s = live_slot(a, slot);
    int r;

    if (s == NULL || atomic_load(&s->generation) != generation)
        return BROKER_GONE;
    if (atomic_load_explicit(&s->anonymous, memory_order_relaxed) == 0)
        return 0;
    atomic_thread_fence(memory_order_seq_cst); /* the guard is held before the state is loaded */
    r = make_grey(a, s, generation);
    return r > 0 ? 0 : r;
}

bool bri_ref_is_of(const struct bri_arena *a, struct bri_ref ref)
{
    return ref.identity >> BRI_GENERATION_BITS == ((uint64_t)a->id[0] << 8 | a->id[1]);
}

int bri_collect_keep_ref(struct bri_arena *a, struct bri_ref ref)
{
    return bri_ref_is_of(a, ref) ? bri_collect_keep(a, ref.slot, bri_ref_generation(ref))
                                 : BROKER_INVALID;
}

void bri_collect_has_refs(struct bri_txn *t)
{
    uint32_t chores = atomic_load_explicit(&t->o->slot->chores, memory_order_relaxed);

    if ((chores & BRI_CHORE_REFS) == 0)
        bri_set_atomic32(t, &t->o->slot->chores, chores | BRI_CHORE_REFS);
}

void bri_collect_reach(struct bri_collect_look *look, struct bri_ref ref)
{
    struct bri_collector *c = look->collector;
    struct bri_slot_shm *s = live_slot(look->arena, ref.slot);

    if (s == NULL || !bri_ref_is_of(look->arena, ref) || atomic_load(&s->anonymous) == 0)
        return;
    if (make_grey(look->arena, s, bri_ref_generation(ref)) > 0 && c->n < BRI_COLLECT_STACK)
        c->stack[c->n++] = ref.slot; /* else a pass finds it */
}

/* ---- one object, one session ---- */

/* In its section: whether the slot is to be looked at from the start. */
static void start_scan(struct bri_txn *t, uint32_t epoch, uint64_t start)
{
    struct bri_slot_shm *s = t->o->slot;

    if (s->scan_epoch == epoch + 1) /* 0 is none */
        return;
    bri_set32(t, &s->scan_epoch, epoch + 1);
    bri_set64(t, &s->scan, start);
}

static int end_scan(struct bri_txn *t, uint64_t scan)
{
    struct bri_slot_shm *s = t->o->slot;

    bri_set64(t, &s->scan, scan);
    bri_set64(t, &s->n_silent, s->n_silent + 1);
    t->silent = true;
    return bri_end(t, 0);
}

/* Nothing that is gone, or damaged, has to be looked at. */
static int no_matter(int r)
{
    return r == BROKER_GONE || r == BROKER_CORRUPT ? 0 : r;
}

/* One piece of a grey object. BRI_COLLECT_MORE if that was not all. */
static int look_at(struct bri_arena *a, struct bri_collector *c, uint32_t slot, int64_t *budget)
{
    struct bri_collect_look look = {.arena = a, .collector = c};
    const struct bri_type_ops *ops;
    struct bri_object o;
    struct state state;
    struct bri_txn t;
    uint64_t mark;
    int r = bri_object_bind(a, slot, &o);

    *budget -= COST_SECTION;
    ops = r == 0 ? bri_type_ops(o.type) : NULL;
    if (r == 0)
        r = bri_begin(&t, &o, GUARD_PATIENCE);
    if (r < 0)
        return no_matter(r);
    state = load_state(a);
    mark = atomic_load(&o.slot->mark);
    if (state.phase != TRACE || colour_of(mark, state.epoch) != GREY) {
        bri_abort(&t); /* others were here */
        return 0;
    }
    start_scan(&t, state.epoch, 0);
    look.scan = o.slot->scan;
    look.budget = *budget;
    while (look.scan != BRI_SCAN_END && look.budget > 0 && t.failed == 0) {
        if (t.has_refs && ops != NULL && ops->refs != NULL)
            ops->refs(&o, &look);
        else
            look.scan = BRI_SCAN_END;
    }
    *budget = look.budget;
    if (look.scan == BRI_SCAN_END && t.failed == 0)
        (void)atomic_compare_exchange_strong(
            &o.slot->mark, &mark, mark_of(o.generation, state.epoch, BLACK));
    r = end_scan(&t, look.scan);
    return r == 0 && look.scan != BRI_SCAN_END ? BRI_COLLECT_MORE : no_matter(r);
}

static int look_at_attachments(struct bri_arena *a, struct bri_collector *c,
    const struct bri_object *session, int64_t *budget, uint64_t *scan)
{
    while (*scan != BRI_SCAN_END && *scan != 0 && *budget > 0) {
        const struct bri_attachment_shm *att = bri_attachment_at(session, *scan);
        struct bri_slot_shm *s = att != NULL ? live_slot(a, att->object) : NULL;

        if (s != NULL && atomic_load(&s->anonymous) != 0 && make_grey(a, s, att->generation) > 0 &&
            c->n < BRI_COLLECT_STACK)
            c->stack[c->n++] = att->object;
        *scan = att != NULL ? att->next_off : 0;
        (*budget)--;
    }
    if (*scan == 0)
        *scan = BRI_SCAN_END;
    return *scan == BRI_SCAN_END ? 0 : BRI_COLLECT_MORE;
}

/* Some attachments of one session, which are roots. */
static int look_at_session(
    struct bri_arena *a, struct bri_collector *c, uint32_t number, int64_t *budget)
{
    struct bri_object session;
    struct state state;
    struct bri_txn t;
    uint64_t scan;
    int more, r = bri_session_object(a, number, &session);

    *budget -= 1;
    /* Whatever state it is in: who attaches in it now is waited for. */
    if (r == 0 && session.root == NULL && atomic_load(&session.slot->word) == 0)
        return 0;
    *budget -= COST_SECTION;
    if (r == 0)
        r = bri_begin(&t, &session, GUARD_PATIENCE);
    if (r < 0)
        return no_matter(r);
    state = load_state(a);
    if (session.root == NULL || state.phase != TRACE ||
        (session.slot->scan_epoch == state.epoch + 1 && session.slot->scan == BRI_SCAN_END)) {
        bri_abort(&t);
        return 0;
    }
    start_scan(&t, state.epoch, bri_session_state(&session)->first_attachment);
    scan = session.slot->scan;
    more = look_at_attachments(a, c, &session, budget, &scan);
    r = end_scan(&t, scan);
    return r < 0 ? no_matter(r) : more;
}

/* Makes sure that nobody is in a section of the slot that began before. */
static int pass_guard(struct bri_arena *a, uint32_t slot)
{
    struct bri_slot_shm *s = bri_slot_at(a, slot);
    struct bri_object o = {.arena = a, .slot = s, .id = slot, .burying = true};
    struct bri_txn t;
    int r;

    if (atomic_load(&s->word) == 0)
        return 0;
    (void)bri_lock_bury(&s->word);
    bri_settle(a, slot);
    o.generation = atomic_load(&s->generation);
    r = bri_begin(&t, &o, GUARD_PATIENCE);
    if (r == 0)
        bri_abort(&t);
    return no_matter(r);
}

/* ---- passes ---- */

static int trace_slot(
    struct bri_arena *a, struct bri_collector *c, uint32_t slot, uint32_t epoch, int64_t *budget)
{
    struct bri_slot_shm *s = live_slot(a, slot);
    uint64_t mark, word;
    bool has_refs;
    int r = s != NULL ? pass_guard(a, slot) : 0;

    if (s == NULL || r < 0)
        return r;
    has_refs = (atomic_load(&s->chores) & BRI_CHORE_REFS) != 0;
    mark = atomic_load(&s->mark);
    if (atomic_load(&s->anonymous) == 0) {
        if (!has_refs || colour_of(mark, epoch) == BLACK)
            return 0;
        r = make_grey(a, s, mark >> 16); /* what has a name is a root */
        return r < 0 ? 0 : look_at(a, c, slot, budget);
    }
    if (colour_of(mark, epoch) != GREY)
        return 0;
    word = atomic_load(&a->shm->collection);
    (void)set_dirty(a, word);
    return look_at(a, c, slot, budget);
}

static int sweep_slot(
    struct bri_arena *a, struct bri_collector *c, uint32_t slot, uint64_t word, int64_t *budget)
{
    struct bri_slot_shm *s = live_slot(a, slot);
    uint32_t epoch = unpack(word).epoch;
    uint64_t mark;
    int r;

    if (s == NULL || atomic_load(&s->anonymous) == 0)
        return 0;
    mark = atomic_load(&s->mark);
    if (colour_of(mark, epoch) != WHITE)
        return 0;
    r = bri_registry_end_anonymous(a, slot, mark, word);
    *budget -= COST_DESTROY;
    if (r == 0) {
        bri_bury_slot(a, slot);
        c->n_freed++;
    }
    return r == BROKER_NOTFOUND ? 0 : r;
}

/* The slots of one page, or one session. */
static int visit(struct bri_arena *a, struct bri_collector *c, uint64_t word, int64_t *budget)
{
    struct state state = unpack(word);
    uint32_t page = state.cursor - a->n_sessions + a->first_page;
    int r = 0;

    if (state.cursor < a->n_sessions)
        return state.phase == TRACE ? look_at_session(a, c, state.cursor, budget) : 0;
    if (bri_tag_kind(bri_page_tag(a, page)) != BRI_PAGE_SLOTS)
        return 0;
    for (uint32_t i = 0; i < BRI_SLOTS_PER_PAGE && r == 0; i++) {
        uint32_t slot = page * BRI_SLOTS_PER_PAGE + i;

        *budget -= 1;
        r = state.phase == TRACE ? trace_slot(a, c, slot, state.epoch, budget)
                                 : sweep_slot(a, c, slot, word, budget);
    }
    return r;
}

/* Where the collection goes on after a place that is done. */
static struct state after(const struct bri_arena *a, struct state s)
{
    uint32_t committed = atomic_load(&a->shm->committed);

    s.cursor++;
    if (s.cursor < a->n_sessions + (committed > a->first_page ? committed - a->first_page : 0))
        return s;
    s.cursor = 0;
    if (s.phase == SWEEP) {
        s.phase = IDLE;
    } else if (s.dirty) {
        s.clean = 0;
    } else if (++s.clean == CLEAN_PASSES) {
        s.phase = SWEEP;
    }
    s.dirty = false;
    return s;
}

static uint64_t n_anonymous(const struct bri_arena *a)
{
    const struct bri_slot_shm *registry = bri_slot_at(a, a->first_slot);
    const struct bri_registry_shm *reg = (const struct bri_registry_shm *)registry->state;

    return *(const volatile uint64_t *)&reg->n_anonymous;
}

static void note_survivors(struct bri_arena *a)
{
    uint64_t n = n_anonymous(a);

    atomic_store_explicit(&a->shm->collect_above,
        n < UINT32_MAX / 2 - FEW ? (uint32_t)n * 2 + FEW : UINT32_MAX, memory_order_relaxed);
}

/* Moves the collection on from @word, unless others have. If it only became dirty meanwhile, it is
 * still there. */
static void advance(struct bri_arena *a, uint64_t word)
{
    struct state next;
    uint64_t now = word;

    do {
        next = after(a, unpack(now));
        if (atomic_compare_exchange_strong(&a->shm->collection, &now, pack(next))) {
            if (next.phase == IDLE)
                note_survivors(a);
            return;
        }
    } while (now == (word | DIRTY));
}

static int carry_on(struct bri_arena *a, struct bri_collector *c, int64_t budget)
{
    uint32_t n_empty = 0;
    int r = 0;

    while (budget > 0 && r == 0) {
        uint64_t word = atomic_load(&a->shm->collection);
        enum phase phase = unpack(word).phase;

        if (phase == IDLE)
            return 0;
        if (phase == TRACE && c->n > 0) {
            r = look_at(a, c, c->stack[--c->n], &budget);
            continue;
        }
        r = visit(a, c, word, &budget);
        if (r == 0)
            advance(a, word);
        budget -= ++n_empty % FREE_PAGES_A_SLOT == 0;
    }
    return r < 0 ? r : BRI_COLLECT_MORE;
}

int bri_collect_step(struct bri_arena *a, struct bri_collector *c)
{
    return carry_on(a, c, BUDGET);
}

/* ---- whole collections ---- */

void bri_collect_want(struct bri_arena *a)
{
    if (n_anonymous(a) == 0 ||
        atomic_load_explicit(&a->shm->collect_wanted, memory_order_relaxed) != 0)
        return;
    atomic_store(&a->shm->collect_wanted, 1);
    bri_futex_wake(&a->shm->collect_wanted, 1);
}

void bri_collect_begin(struct bri_arena *a)
{
    uint64_t word = atomic_load(&a->shm->collection);
    struct state state = unpack(word);

    if (state.phase != IDLE)
        return;
    atomic_store(&a->shm->collect_wanted, 0);
    if (n_anonymous(a) == 0)
        return;
    state = (struct state){.epoch = (state.epoch + 1) % EPOCHS, .phase = TRACE};
    (void)atomic_compare_exchange_strong(&a->shm->collection, &word, pack(state));
}

int bri_collect(struct bri_arena *a, uint64_t *out_n_freed)
{
    int64_t deadline_ns = bri_now() - BRI_PATIENCE;
    struct bri_collector c = {0};
    int r = BRI_COLLECT_MORE;

    /* One that is under way may have passed by already what is garbage now. */
    for (unsigned i = 0; i < 2 && r >= 0; i++) {
        bool was_idle = load_state(a).phase == IDLE;

        if (was_idle && i == 0)
            continue;
        if (i > 0)
            bri_collect_begin(a);
        do
            r = bri_collect_step(a, &c);
        while (r == BRI_COLLECT_MORE || (r == BROKER_TIMEDOUT && bri_now() < deadline_ns));
    }
    if (r == 0)
        *out_n_freed = c.n_freed;
    return r;
}

void bri_collect_assist(struct bri_arena *a)
{
    uint32_t above = atomic_load_explicit(&a->shm->collect_above, memory_order_relaxed);
    uint64_t n = n_anonymous(a);
    struct bri_collector c = {0};

    if (above < FEW)
        above = FEW;
    /* What was begun is brought to an end, or it would go on just as fast as objects are made. */
    if (a->read_only || n <= above / 4 || (n <= above && load_state(a).phase == IDLE))
        return;
    bri_collect_begin(a);
    (void)carry_on(a, &c, ASSISTANCE); /* who is in the way is not waited for here */
}

bool bri_collect_for_memory(struct bri_arena *a, uint32_t n_pages)
{
    static __thread bool is_collecting;
    uint64_t n_freed;
    uint32_t page;
    int r;

    if (is_collecting || n_anonymous(a) == 0)
        return false;
    is_collecting = true; /* its own sections must not come here again */
    r = bri_collect(a, &n_freed);
    is_collecting = false;
    return r == 0 && (bri_pages_find(a, n_pages, &page) == 0 || bri_pages_grow(a, n_pages) == 0);
}
