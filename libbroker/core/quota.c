/*
 * quota.c - see quota.h
 */
#include "core/quota.h"

#include <broker/errors.h>

#include "core/account.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/registry.h"
#include "core/session.h"
#include "core/spin.h"

#define FIRST_GRANT 16u   /* pages, where there is a limit */
#define FREE_GRANT 16384u /* and where there is none: few objects ever ask again */
#define TAKE_AT_ONCE 24u  /* grants, in one section: the journal in the root page is enough */
#define SHRINK_TRIES 64u  /* with so many pauses in between: some ten microseconds in all */
#define SHRINK_PAUSES 4
#define LIMITS_PATIENCE (10 * BRI_MILLISECOND)
#define WALK_AT_ONCE 4096u /* pages, in one section */

static __thread struct bri_refusal refusal;

int bri_refuse(enum bri_limit limit, uint32_t who, uint64_t allowed, uint64_t used)
{
    refusal = (struct bri_refusal){.limit = limit, .who = who, .allowed = allowed, .used = used};
    return BROKER_QUOTA;
}

enum bri_limit bri_refused(void)
{
    return refusal.limit;
}

struct bri_refusal bri_refusal_take(void)
{
    struct bri_refusal taken = refusal;

    refusal = (struct bri_refusal){.limit = BRI_LIMIT_NONE};
    return taken;
}

static uint64_t page_limit(const struct bri_arena *a)
{
    return atomic_load_explicit(&a->shm->max_user_pages, memory_order_relaxed);
}

static int refuse_pages(const struct bri_arena *a, uint32_t uid, uint64_t used)
{
    return bri_refuse(
        BRI_LIMIT_USER_BYTES, uid, page_limit(a) << BRI_PAGE_SHIFT, used << BRI_PAGE_SHIFT);
}

/* ---- accounts ---- */

/*
 * How much to grant to one who needs @needed more pages and would then have @n_pages, while its
 * user has @used: more than it needs, so that it does not soon ask again. 0 if that would be too
 * much.
 */
static uint64_t measure(const struct bri_arena *a, uint64_t needed, uint64_t n_pages, uint64_t used)
{
    uint64_t limit = page_limit(a), more, left;

    if (limit == 0) {
        more = n_pages > FREE_GRANT ? n_pages : FREE_GRANT;
    } else {
        if (used >= limit || needed > limit - used)
            return 0;
        left = (limit - used - needed) / 2; /* others grow too */
        more = n_pages == 1 ? FIRST_GRANT - 1 : 3 * n_pages;
        more = more < left ? more : left;
    }
    if (n_pages + more > a->n_pages)
        more = n_pages < a->n_pages ? a->n_pages - n_pages : 0;
    return needed + more;
}

int bri_account_add(struct bri_txn *t, uint32_t uid, bool has_heap, uint32_t *out_granted)
{
    struct bri_arena *a = t->o->arena;
    uint64_t limit = atomic_load_explicit(&a->shm->max_user_objects, memory_order_relaxed);
    struct bri_account_shm *account;
    uint64_t pages = 0;
    int r = bri_account_open(t, uid, &account);

    if (r < 0)
        return r;
    if (limit != 0 && account->n_objects >= limit)
        return bri_refuse(BRI_LIMIT_USER_OBJECTS, uid, limit, account->n_objects);
    if (has_heap) {
        pages = measure(a, 1, 1, account->n_pages);
        if (pages == 0)
            return refuse_pages(a, uid, account->n_pages);
    }
    bri_set64(t, &account->n_objects, account->n_objects + 1);
    if (pages != 0)
        bri_set64(t, &account->n_pages, account->n_pages + pages);
    *out_granted = (uint32_t)pages;
    return 0;
}

void bri_account_unname(struct bri_txn *t, const struct bri_slot_shm *s)
{
    bri_account_take_off(t, s->creator_uid, 1, 0);
}

void bri_account_bury(struct bri_txn *t, struct bri_slot_shm *s)
{
    uint32_t granted = atomic_load(&s->granted_pages);

    if (granted == 0)
        return;
    bri_account_take_off(t, s->creator_uid, 0, granted);
    bri_set_atomic32(t, &s->granted_pages, 0);
}

/* ---- granting ---- */

/* In a section of the registry. */
static int grant_more(struct bri_txn *t, const struct bri_object *o, uint64_t n_pages)
{
    uint64_t granted = atomic_load(&o->slot->granted_pages), more;
    struct bri_account_shm *account;
    uint64_t *link;

    /* Of a named object nobody but the registry changes this word of the slot. */
    if (atomic_load(&o->slot->status) != BRI_SLOT_LIVE ||
        atomic_load(&o->slot->generation) != o->generation)
        return BROKER_GONE;
    if (granted >= n_pages)
        return 0;
    if (bri_account_find(t->o, o->slot->creator_uid, &link, &account) < 0)
        return BRI_DAMAGED(t);
    more = measure(t->o->arena, n_pages - granted, n_pages, account->n_pages);
    if (more == 0)
        return refuse_pages(t->o->arena, account->uid, account->n_pages);
    bri_set64(t, &account->n_pages, account->n_pages + more);
    bri_set_atomic32(t, &o->slot->granted_pages, (uint32_t)(granted + more));
    return 0;
}

int bri_grant(const struct bri_object *o, uint64_t n_pages)
{
    struct bri_arena *a = o->arena;
    struct bri_object registry;
    bool reclaimed = false;
    struct bri_txn t;
    uint32_t uid;
    int r = bri_registry_bind(a, &registry);

    if (r == 0 && n_pages >= a->n_pages)
        r = BROKER_NOMEM;
    while (r == 0 || r == BRI_AGAIN) {
        r = bri_begin(&t, &registry, BRI_PATIENCE);
        if (r < 0)
            return r;
        r = bri_end(&t, grant_more(&t, o, n_pages));
        if (r == 0)
            return BRI_AGAIN;
        if (r == BROKER_QUOTA && !reclaimed) {
            reclaimed = true;
            uid = o->slot->creator_uid;
            r = bri_reclaim_grants(a, &uid, BRI_PATIENCE) ? BRI_AGAIN : r;
        }
    }
    return r;
}

/* ---- taking back ---- */

/* The pages that the object in @s has; false while it changes. */
static bool pages_in_use(
    const struct bri_arena *a, const struct bri_slot_shm *s, uint64_t *out_seq, uint64_t *out_n)
{
    uint32_t root = atomic_load_explicit(&s->root_page, memory_order_relaxed);
    const struct bri_root_shm *r = bri_page_at(a, root);

    *out_seq = atomic_load_explicit(&s->seq, memory_order_acquire);
    if (root == 0 || r == NULL || (*out_seq & 1) != 0)
        return false;
    *out_n = *(const volatile uint64_t *)&r->heap.n_pages;
    return true;
}

/*
 * Against one who claims meanwhile, under the object's own guard: he changes the sequence, and then
 * looks at what is granted; here it is the other way round. So at least one of the two sees the
 * other. False if he was there.
 */
static bool try_to_shrink(struct bri_txn *t, struct bri_slot_shm *s, uint64_t *out_got)
{
    uint32_t granted = atomic_load(&s->granted_pages);
    uint64_t n_pages, seq;

    if (!pages_in_use(t->o->arena, s, &seq, &n_pages))
        return false;
    *out_got = n_pages < granted ? granted - n_pages : 0;
    if (*out_got == 0)
        return true;
    bri_set_atomic32(t, &s->granted_pages, (uint32_t)n_pages);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&s->seq, memory_order_relaxed) == seq)
        return true;
    bri_set_atomic32(t, &s->granted_pages, granted);
    return false;
}

/* Sections are short, and nobody waits for the registry in one: so it can be waited for. */
static void shrink_grant(struct bri_txn *t, struct bri_slot_shm *s)
{
    struct bri_account_shm *account;
    uint64_t *link, got = 0;
    bool done = false;

    if (atomic_load(&s->granted_pages) == 0 ||
        bri_account_find(t->o, s->creator_uid, &link, &account) < 0)
        return;
    for (unsigned i = 0; i < SHRINK_TRIES && !done; i++) {
        done = try_to_shrink(t, s, &got);
        if (!done)
            bri_pause(SHRINK_PAUSES);
    }
    if (done && got != 0)
        bri_set64(t, &account->n_pages, account->n_pages >= got ? account->n_pages - got : 0);
}

/* The objects of one page of slots; how many of them are the user's. */
static uint32_t shrink_page(struct bri_txn *t, const uint32_t *uid, uint32_t page)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < BRI_SLOTS_PER_PAGE; i++) {
        struct bri_slot_shm *s = bri_slot_at(t->o->arena, page * BRI_SLOTS_PER_PAGE + i);

        if (s == NULL || atomic_load(&s->status) != BRI_SLOT_LIVE ||
            (uid != NULL && s->creator_uid != *uid))
            continue;
        shrink_grant(t, s);
        n++;
    }
    return n;
}

/* A part of all objects, from *@page on; true if there was anything to take back. */
static bool shrink_some(struct bri_txn *t, const uint32_t *uid, uint32_t *page)
{
    struct bri_arena *a = t->o->arena;
    uint32_t end = bri_slots_end(a), n = 0;

    if (end - *page > WALK_AT_ONCE)
        end = *page + WALK_AT_ONCE;
    for (; *page < end && n < TAKE_AT_ONCE; (*page)++)
        if (bri_tag_kind(bri_page_tag(a, *page)) == BRI_PAGE_SLOTS)
            n += shrink_page(t, uid, *page);
    return t->n > 0;
}

bool bri_reclaim_grants(struct bri_arena *a, const uint32_t *uid, int64_t deadline_ns)
{
    struct bri_object registry;
    uint32_t page = a->first_page, from;
    bool some, any = false;
    struct bri_txn t;
    int r = bri_registry_bind(a, &registry);

    while (r == 0 && page < bri_slots_end(a)) {
        r = bri_begin(&t, &registry, deadline_ns);
        if (r < 0)
            break;
        from = page;
        some = shrink_some(&t, uid, &page);
        r = bri_end(&t, 0);
        any |= r == 0 && some;
        if (r == BRI_AGAIN) {
            page = from;
            r = 0;
        }
    }
    return any;
}

void bri_set_limits(struct bri_arena *a, const struct bri_limits *limits)
{
    uint64_t bytes = limits->user_bytes;

    atomic_store(&a->shm->max_user_pages, bytes / BRI_PAGE_SIZE + (bytes % BRI_PAGE_SIZE != 0));
    atomic_store(&a->shm->max_user_objects, limits->user_objects);
    atomic_store(&a->shm->max_user_sessions, limits->user_sessions);
    atomic_store(&a->shm->max_session_objects, limits->session_objects);
    if (bytes != 0)
        (void)bri_reclaim_grants(a, NULL, -LIMITS_PATIENCE);
}

/* ---- sessions ---- */

int bri_quota_check_sessions(struct bri_arena *a, uint32_t uid)
{
    uint32_t limit = atomic_load(&a->shm->max_user_sessions), n = 0;
    struct bri_session_info info;

    for (uint32_t i = 0; i < a->n_sessions && limit != 0; i++)
        n += bri_session_info(a, i, &info) == 0 && info.status != BRI_SESSION_FREE &&
             info.uid == uid;
    return limit != 0 && n >= limit ? bri_refuse(BRI_LIMIT_USER_SESSIONS, uid, limit, n) : 0;
}
