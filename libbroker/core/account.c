/*
 * account.c - see account.h
 */
#include "core/account.h"

#include <stdlib.h>

#include <broker/errors.h>

#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"

#define MAX_ACCOUNTS 1000000u /* in one chain; the walk's bound */

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

int bri_account_find(const struct bri_object *registry, uint32_t uid, uint64_t **out_link,
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

int bri_account_open(struct bri_txn *t, uint32_t uid, struct bri_account_shm **out_account)
{
    uint64_t *link, off;
    int r = bri_account_find(t->o, uid, &link, out_account);

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
void bri_account_take_off(struct bri_txn *t, uint32_t uid, uint64_t n_objects, uint64_t n_pages)
{
    struct bri_account_shm *account;
    uint64_t *link;

    if (bri_account_find(t->o, uid, &link, &account) < 0)
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

    for (uint32_t page = a->first_page; page < bri_slots_end(a); page++) {
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

void bri_account_audit(const struct bri_object *registry, struct bri_audit *audit)
{
    struct book book = {0};

    if (read_accounts(registry, audit, &book)) {
        add_objects(registry, audit, &book);
        for (uint32_t i = 0; i < book.n; i++)
            compare(registry, audit, &book.lines[i]);
    }
    free(book.lines);
}
