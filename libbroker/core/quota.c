/*
 * quota.c - see quota.h
 */
#include "core/quota.h"

#include <stdlib.h>

#include <broker/errors.h>

#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/session.h"
#include "core/spin.h"

#define MAX_ACCOUNTS 1000000u /* in one chain; the walk's bound */
#define FIRST_GRANT 16u       /* pages, where there is a limit */
#define FREE_GRANT 16384u     /* and where there is none: few objects ever ask again */
#define TAKE_AT_ONCE 24u      /* grants, in one section: the journal in the root page is enough */
#define SHRINK_TRIES 64u      /* with so many pauses in between: some ten microseconds in all */
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

static int bind_registry(struct bri_arena *a, struct bri_object *out)
{
    int r = bri_object_bind(a, a->first_slot, out);

    return r < 0 || out->root != NULL ? r : BROKER_CORRUPT;
}

/* No slots lie behind. */
static uint32_t slots_end(const struct bri_arena *a)
{
    uint32_t n = atomic_load_explicit(&a->shm->committed, memory_order_relaxed);

    return n < a->first_page ? a->first_page : n < a->n_pages ? n : a->n_pages;
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

static uint64_t *chain_of(const struct bri_object *registry, uint32_t uid)
{
    struct bri_accounts_shm *all = (struct bri_accounts_shm *)registry->root->state;

    return &all->heads[uid % BRI_ACCOUNT_CHAINS];
}

static struct bri_account_shm *account_at(const struct bri_object *registry, uint64_t off)
{
    if (bri_block_capacity(registry, off) < sizeof(struct bri_account_shm))
        return NULL;
    return BRI_AT(registry->arena, off, struct bri_account_shm);
}

/* The account of @uid, and where the link to it is; NOTFOUND, CORRUPT. */
static int find_account(const struct bri_object *registry, uint32_t uid, uint64_t **out_link,
    struct bri_account_shm **out_account)
{
    uint64_t *link = chain_of(registry, uid);

    for (uint32_t left = MAX_ACCOUNTS; *link != 0 && left > 0; left--) {
        struct bri_account_shm *account = account_at(registry, *link);

        if (account == NULL)
            return BROKER_CORRUPT;
        if (account->uid == uid) {
            *out_link = link;
            *out_account = account;
            return 0;
        }
        link = &account->next_off;
    }
    return *link == 0 ? BROKER_NOTFOUND : BROKER_CORRUPT;
}

/* The account of @uid, which is made if there is none. */
static int open_account(struct bri_txn *t, uint32_t uid, struct bri_account_shm **out_account)
{
    uint64_t *link, off;
    int r = find_account(t->o, uid, &link, out_account);

    if (r != BROKER_NOTFOUND)
        return r == BROKER_CORRUPT ? BRI_DAMAGED(t) : r;
    off = bri_alloc(t, sizeof(**out_account));
    if (off == 0)
        return t->failed;
    link = chain_of(t->o, uid);
    *out_account = BRI_AT(t->o->arena, off, struct bri_account_shm);
    **out_account = (struct bri_account_shm){.next_off = *link, .uid = uid};
    bri_set64(t, link, off);
    return 0;
}

/* An account that is missing or says too little is the audit's to report: nobody is refused a
 * removal for it. */
static void take_off(struct bri_txn *t, uint32_t uid, uint64_t n_objects, uint64_t n_pages)
{
    struct bri_account_shm *account;
    uint64_t *link;

    if (find_account(t->o, uid, &link, &account) < 0)
        return;
    n_objects = account->n_objects >= n_objects ? account->n_objects - n_objects : 0;
    n_pages = account->n_pages >= n_pages ? account->n_pages - n_pages : 0;
    if ((n_objects | n_pages) != 0) {
        bri_set64(t, &account->n_objects, n_objects);
        bri_set64(t, &account->n_pages, n_pages);
        return;
    }
    bri_free(t, *link);
    bri_set64(t, link, account->next_off);
}

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
    int r = open_account(t, uid, &account);

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
    take_off(t, s->creator_uid, 1, 0);
}

void bri_account_bury(struct bri_txn *t, struct bri_slot_shm *s)
{
    uint32_t granted = atomic_load(&s->granted_pages);

    if (granted == 0)
        return;
    take_off(t, s->creator_uid, 0, granted);
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
    if (find_account(t->o, o->slot->creator_uid, &link, &account) < 0)
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
    int r = bind_registry(a, &registry);

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
        find_account(t->o, s->creator_uid, &link, &account) < 0)
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
    uint32_t end = slots_end(a), n = 0;

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
    int r = bind_registry(a, &registry);

    while (r == 0 && page < slots_end(a)) {
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

/* ---- audit ---- */

/* An account, and what its objects come to. */
struct line {
    uint32_t uid;
    uint64_t n_objects, n_pages;
    uint64_t objects, pages;
};

struct book {
    struct line *lines;
    uint32_t n, capacity;
};

static struct line *line_of(struct book *book, uint32_t uid)
{
    uint32_t low = 0, high = book->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (book->lines[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < book->n && book->lines[low].uid == uid ? &book->lines[low] : NULL;
}

static int compare_lines(const void *a, const void *b)
{
    uint32_t x = ((const struct line *)a)->uid, y = ((const struct line *)b)->uid;

    return (x > y) - (x < y);
}

static bool add_line(struct book *book, const struct bri_account_shm *account)
{
    if (book->n == book->capacity) {
        uint32_t capacity = book->capacity != 0 ? 2 * book->capacity : 64;
        struct line *lines = realloc(book->lines, capacity * sizeof(*lines));

        if (lines == NULL)
            return false;
        book->lines = lines;
        book->capacity = capacity;
    }
    book->lines[book->n++] = (struct line){
        .uid = account->uid, .n_objects = account->n_objects, .n_pages = account->n_pages};
    return true;
}

static bool read_accounts(
    const struct bri_object *registry, struct bri_audit *audit, struct book *book)
{
    const struct bri_account_shm *account;

    for (uint32_t i = 0; i < BRI_ACCOUNT_CHAINS; i++) {
        uint32_t left = MAX_ACCOUNTS;

        for (uint64_t off = *chain_of(registry, i); off != 0; off = account->next_off) {
            account = account_at(registry, off);
            if (account == NULL || account->uid % BRI_ACCOUNT_CHAINS != i || left-- == 0) {
                bri_audit_fail(audit, registry, "the accounts of users are damaged");
                return false;
            }
            bri_audit_block(audit, registry, off);
            if (!add_line(book, account)) {
                bri_audit_fail(audit, registry, "no memory to check the accounts of users");
                return false;
            }
        }
    }
    if (book->n > 0)
        qsort(book->lines, book->n, sizeof(*book->lines), compare_lines);
    return true;
}

static void add_object(const struct bri_object *registry, struct bri_audit *audit,
    struct book *book, const struct bri_slot_shm *s, bool lives)
{
    uint32_t granted = atomic_load(&s->granted_pages);
    struct line *line = line_of(book, s->creator_uid);

    if (line != NULL) {
        line->objects += lives;
        line->pages += granted;
    } else if (lives || granted != 0) {
        bri_audit_fail(audit, registry, "uid %u has objects, but no account", s->creator_uid);
    }
}

static void compare(
    const struct bri_object *registry, struct bri_audit *audit, const struct line *l)
{
    if (l->n_objects != l->objects || l->n_pages != l->pages)
        bri_audit_fail(audit, registry,
            "the account of uid %u says %llu objects and %llu pages, but it has %llu and %llu",
            l->uid, (unsigned long long)l->n_objects, (unsigned long long)l->n_pages,
            (unsigned long long)l->objects, (unsigned long long)l->pages);
}

static void add_objects(
    const struct bri_object *registry, struct bri_audit *audit, struct book *book)
{
    struct bri_arena *a = registry->arena;

    for (uint32_t page = a->first_page; page < slots_end(a); page++) {
        if (bri_tag_kind(bri_page_tag(a, page)) != BRI_PAGE_SLOTS)
            continue;
        for (uint32_t i = 0; i < BRI_SLOTS_PER_PAGE; i++) {
            const struct bri_slot_shm *s = bri_slot_at(a, page * BRI_SLOTS_PER_PAGE + i);

            if (s == NULL)
                return;
            add_object(registry, audit, book, s, atomic_load(&s->status) == BRI_SLOT_LIVE);
        }
    }
}

void bri_quota_audit(const struct bri_object *registry, struct bri_audit *audit)
{
    struct book book = {0};

    if (read_accounts(registry, audit, &book)) {
        add_objects(registry, audit, &book);
        for (uint32_t i = 0; i < book.n; i++)
            compare(registry, audit, &book.lines[i]);
    }
    free(book.lines);
}
