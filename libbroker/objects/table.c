/*
 * table.c - see table.h
 *
 * A crash anywhere is undone by the journal of the section that calls us. Fresh segments and
 * entries are filled before they are linked. Optimistic readers may walk through what is being
 * changed: every reference is checked, every walk ends, and what they found counts only if the
 * object's sequence did not move.
 */
#include "objects/table.h"

#include <broker/errors.h>

#include "core/audit.h"
#include "core/hash.h"
#include "core/heap.h"
#include "core/pages.h"

#define FANOUT 1024u /* references in a page */
#define MAX_HEIGHT 3u
#define LINE_PAIR 128u
#define MAX_CHAIN 65536u       /* entries in one bucket; the walk's bound */
#define GIVEN_OTHER (1u << 31) /* in key_size: the key as given follows the value */
#define OVERWRITE_MAX 512u     /* bytes that go through the journal rather than into a new block */
#define GROW_BELOW                                                                                 \
    2u /* buckets an entry: few keys share one, and a lookup seldom meets another entry */
#define SHRINK_ABOVE 8u /* buckets an entry */
#define MERGES_AT_ONCE 10

struct entry_shm {
    uint32_t hash;       /* [const] */
    uint32_t chain;      /* [guard] next entry of the bucket, in units */
    uint32_t prev, next; /* [guard] order, in units */
    uint32_t key_size;   /* [const] with GIVEN_OTHER */
    uint32_t value_size; /* [guard] */
    uint8_t bytes[];     /* key, value, and if GIVEN_OTHER a uint32_t length and the key as given */
};

size_t bri_entry_size(const struct bri_table_key *key, size_t value_size)
{
    size_t given = key->given_size != 0 ? sizeof(uint32_t) + key->given_size : 0;
    size_t size = sizeof(struct entry_shm) + key->size + value_size + given;

    /* Two cache lines and no more, for what would else lie across three. */
    return size > LINE_PAIR - 32 && size < LINE_PAIR ? LINE_PAIR : size;
}

uint8_t *bri_entry_fill(void *memory, const struct bri_table_key *key, size_t value_size)
{
    struct entry_shm *e = memory;
    uint8_t *given = e->bytes + key->size + value_size;
    uint32_t n = (uint32_t)key->given_size;

    e->hash = key->hash;
    e->key_size = (uint32_t)key->size | (n != 0 ? GIVEN_OTHER : 0);
    e->value_size = (uint32_t)value_size;
    memcpy(e->bytes, key->data, key->size);
    if (n != 0) {
        memcpy(given, &n, sizeof(n));
        memcpy(given + sizeof(n), key->given, n);
    }
    return e->bytes + key->size;
}

static inline uint32_t load32(const uint32_t *p)
{
    return *(const volatile uint32_t *)p;
}

static struct entry_shm *head_at(const struct bri_object *o, uint32_t unit)
{
    return bri_at(o->arena, bri_unit_off(unit), sizeof(struct entry_shm), 8);
}

static int given_of(const struct bri_object *o, uint64_t off, struct bri_entry *e)
{
    const uint8_t *p = bri_at(o->arena, off, sizeof(uint32_t), 1);
    uint32_t n;

    if (p == NULL)
        return BROKER_CORRUPT;
    memcpy(&n, p, sizeof(n));
    e->given = bri_at(o->arena, off + sizeof(n), n, 1);
    e->given_size = n;
    return e->given != NULL ? 0 : BROKER_CORRUPT;
}

static inline int entry_at(const struct bri_object *o, uint32_t unit, struct bri_entry *out_entry)
{
    const struct entry_shm *s = head_at(o, unit);
    uint32_t key_size, value_size;
    size_t key_bytes;

    if (__builtin_expect(s == NULL, 0))
        return BROKER_CORRUPT;
    key_size = load32(&s->key_size);
    value_size = load32(&s->value_size);
    key_bytes = key_size & ~GIVEN_OTHER;
    out_entry->off = bri_unit_off(unit);
    if (__builtin_expect(
            bri_at(o->arena, out_entry->off, sizeof(*s) + key_bytes + value_size, 1) == NULL, 0))
        return BROKER_CORRUPT;
    out_entry->hash = load32(&s->hash);
    out_entry->prev = load32(&s->prev);
    out_entry->next = load32(&s->next);
    out_entry->key = out_entry->given = s->bytes;
    out_entry->key_size = out_entry->given_size = key_bytes;
    out_entry->value = s->bytes + key_bytes;
    out_entry->value_size = value_size;
    if (__builtin_expect((key_size & GIVEN_OTHER) != 0, 0))
        return given_of(o, out_entry->off + sizeof(*s) + key_bytes + value_size, out_entry);
    return 0;
}

int bri_entry_at(const struct bri_object *o, uint32_t unit, struct bri_entry *out_entry)
{
    return entry_at(o, unit, out_entry);
}

/* ---- buckets ---- */

static unsigned levels(uint64_t n_buckets)
{
    return n_buckets <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(n_buckets - 1);
}

static uint64_t bucket_of(uint32_t hash, uint64_t n_buckets)
{
    uint64_t mask = n_buckets <= 1 ? 0 : UINT64_MAX >> __builtin_clzll(n_buckets - 1);
    uint64_t b = hash & mask;

    return b < n_buckets ? b : hash & (mask >> 1);
}

/* The reference for bucket @b; NULL if the tree does not lead there. Only pages inside the arena
 * are looked at. */
static inline uint32_t *bucket_at(
    const struct bri_object *o, const struct bri_table_shm *table, uint64_t b)
{
    uint32_t page = load32(&table->top), height = load32(&table->height);
    uint32_t *refs;

    if (height == 0 || height > MAX_HEIGHT || b >> (10 * height) != 0)
        return NULL;
    while (--height > 0) {
        refs = bri_page_at(o->arena, page);
        if (refs == NULL)
            return NULL;
        page = load32(&refs[b >> (10 * height) & (FANOUT - 1)]);
    }
    refs = bri_page_at(o->arena, page);
    return refs != NULL ? &refs[b & (FANOUT - 1)] : NULL;
}

static const uint32_t *bucket_for(
    const struct bri_object *o, const struct bri_table_shm *table, uint32_t hash)
{
    uint64_t n_buckets = *(const volatile uint64_t *)&table->n_buckets;

    return n_buckets > 0 ? bucket_at(o, table, bucket_of(hash, n_buckets)) : NULL;
}

void bri_table_fetch_bucket(
    const struct bri_object *o, const struct bri_table_shm *table, uint32_t hash)
{
    __builtin_prefetch(bucket_for(o, table, hash));
}

void bri_table_fetch_entry(
    const struct bri_object *o, const struct bri_table_shm *table, uint32_t hash)
{
    const uint32_t *link = bucket_for(o, table, hash);
    const struct entry_shm *s = link != NULL ? head_at(o, load32(link)) : NULL;

    if (s == NULL)
        return;
    __builtin_prefetch(s);
    __builtin_prefetch((const uint8_t *)s + 64);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

/* Most keys are short, and a call for each costs more than comparing them. */
static inline bool same_key(const struct bri_entry *e, const struct bri_table_key *key)
{
    size_t n = key->size;

    if (e->key_size != n)
        return false;
    if (n < 8 || n > 32)
        return memcmp(e->key, key->data, n) == 0;
    for (size_t i = 0; i + 8 < n; i += 8)
        if (load64(e->key + i) != load64(key->data + i))
            return false;
    return load64(e->key + n - 8) == load64(key->data + n - 8);
}

int bri_table_find(const struct bri_object *o, const struct bri_table_shm *table,
    const struct bri_table_key *key, struct bri_entry *out_entry)
{
    uint64_t n_buckets = *(const volatile uint64_t *)&table->n_buckets;
    const uint32_t *link;
    const struct entry_shm *s;
    uint32_t unit;

    if (n_buckets == 0)
        return BROKER_NOTFOUND;
    link = bucket_at(o, table, bucket_of(key->hash, n_buckets));
    if (link == NULL)
        return BROKER_CORRUPT;
    for (uint32_t left = MAX_CHAIN; left > 0; left--) {
        unit = load32(link);
        if (unit == 0)
            return BROKER_NOTFOUND;
        s = head_at(o, unit);
        if (s == NULL)
            return BROKER_CORRUPT;
        __builtin_prefetch(
            (const uint8_t *)s + 64); /* most of the value, on the way with the head */
        if (load32(&s->hash) == key->hash) {
            if (entry_at(o, unit, out_entry) < 0)
                return BROKER_CORRUPT;
            if (same_key(out_entry, key))
                return 0;
        }
        link = &s->chain;
    }
    return BROKER_CORRUPT;
}

/* What is changed must be the object's own: a damaged reference to another's tree ends here. */
static inline bool owns_buckets(const struct bri_object *o, const struct bri_table_shm *table)
{
    return bri_tag_owner(bri_page_tag(o->arena, table->top)) == o->id;
}

/* The reference that leads to the entry at @unit in its bucket; NULL, and damaged, if none does. */
static uint32_t *link_to(
    struct bri_txn *t, const struct bri_table_shm *table, uint32_t unit, uint32_t hash)
{
    uint32_t *link = owns_buckets(t->o, table)
                         ? bucket_at(t->o, table, bucket_of(hash, table->n_buckets))
                         : NULL;
    struct entry_shm *s;

    for (uint32_t left = MAX_CHAIN; link != NULL && left > 0; left--) {
        if (*link == unit)
            return link;
        s = *link != 0 ? head_at(t->o, *link) : NULL;
        link = s != NULL ? &s->chain : NULL;
    }
    (void)BRI_DAMAGED(t);
    return NULL;
}

static uint32_t new_refs(struct bri_txn *t)
{
    uint32_t page = bri_alloc_pages(t, 1, BRI_PAGE_RUN);

    if (page != 0)
        memset(bri_page_at(t->o->arena, page), 0, BRI_PAGE_SIZE);
    return page;
}

/* Makes sure that the tree leads to the segment of bucket @b, the first of a new one. False: the
 * section failed. */
static bool add_segment(struct bri_txn *t, struct bri_table_shm *table, uint64_t b)
{
    uint32_t page, height = table->height;
    uint32_t *refs;

    if (height > MAX_HEIGHT || (height == MAX_HEIGHT && b >> (10 * height) != 0))
        return t->failed = BROKER_LIMIT, false;
    if (height == 0 || b >> (10 * height) != 0) { /* one level more */
        page = new_refs(t);
        if (page == 0)
            return false;
        if (height > 0)
            *(uint32_t *)bri_page_at(t->o->arena, page) = table->top;
        bri_set64(t, (uint64_t *)&table->top, (uint64_t)(++height) << 32 | page);
    }
    page = table->top;
    while (--height > 0 && t->failed == 0) {
        refs = bri_page_at(t->o->arena, page);
        if (refs == NULL)
            return (void)BRI_DAMAGED(t), false;
        refs += b >> (10 * height) & (FANOUT - 1);
        if (*refs == 0)
            bri_set32(t, refs, new_refs(t));
        page = *refs;
    }
    return t->failed == 0;
}

/* Spreads one bucket over itself and a new one. */
static void split(struct bri_txn *t, struct bri_table_shm *table)
{
    uint64_t fresh = table->n_buckets;
    uint64_t half = UINT64_C(1) << (levels(fresh + 1) - 1);
    uint32_t *keep, *move;
    uint32_t unit, left = MAX_CHAIN;

    if (fresh % FANOUT == 0 && !add_segment(t, table, fresh))
        return;
    keep = bucket_at(t->o, table, fresh - half);
    move = bucket_at(t->o, table, fresh);
    if (keep == NULL || move == NULL) {
        (void)BRI_DAMAGED(t);
        return;
    }
    for (unit = *keep; unit != 0 && left > 0 && t->failed == 0; left--) {
        struct entry_shm *s = head_at(t->o, unit);
        uint32_t **link;

        if (s == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        link = (s->hash & half) != 0 ? &move : &keep;
        if (**link != unit)
            bri_set32(t, *link, unit);
        *link = &s->chain;
        unit = s->chain;
    }
    if (*keep != 0)
        bri_set32(t, keep, 0);
    if (*move != 0)
        bri_set32(t, move, 0);
    bri_set64(t, &table->n_buckets, fresh + 1);
}

/* Hangs the last bucket's chain behind that of the bucket it was split from. */
static void merge(struct bri_txn *t, struct bri_table_shm *table)
{
    uint64_t last = table->n_buckets - 1;
    uint64_t half = UINT64_C(1) << (levels(last + 1) - 1);
    uint32_t *from = bucket_at(t->o, table, last), *to = bucket_at(t->o, table, last - half);
    uint32_t left = MAX_CHAIN;

    while (to != NULL && *to != 0 && left-- > 0) {
        struct entry_shm *s = head_at(t->o, *to);

        to = s != NULL ? &s->chain : NULL;
    }
    if (from == NULL || to == NULL || *to != 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    if (*from != 0) {
        bri_set32(t, to, *from);
        bri_set32(t, from, 0);
    }
    bri_set64(t, &table->n_buckets, last);
}

/* ---- entries ---- */

/* Has the neighbours of @e lead to others. Those that do not lead to it now are another's. */
static void set_order(struct bri_txn *t, struct bri_table_shm *table, const struct bri_entry *e,
    uint32_t to_next, uint32_t to_prev)
{
    uint32_t was = (uint32_t)(e->off >> BRI_UNIT_SHIFT);
    struct entry_shm *p = e->prev != 0 ? head_at(t->o, e->prev) : NULL;
    struct entry_shm *n = e->next != 0 ? head_at(t->o, e->next) : NULL;

    if ((p != NULL ? p->next != was : e->prev != 0) ||
        (n != NULL ? n->prev != was : e->next != 0)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set32(t, p != NULL ? &p->next : &table->first, to_next);
    bri_set32(t, n != NULL ? &n->prev : &table->last, to_prev);
}

static void count(struct bri_txn *t, struct bri_table_shm *table, int64_t entries, int64_t bytes)
{
    bri_set64(t, &table->n_changes, table->n_changes + 1);
    if (entries != 0)
        bri_set64(t, &table->n_entries, table->n_entries + (uint64_t)entries);
    if (bytes != 0)
        bri_set64(t, &table->n_bytes, table->n_bytes + (uint64_t)bytes);
}

static int64_t bytes_of(const struct bri_entry *e)
{
    return (int64_t)(e->given_size + e->value_size);
}

void bri_table_insert(struct bri_txn *t, struct bri_table_shm *table, uint64_t off)
{
    uint32_t unit = (uint32_t)(off >> BRI_UNIT_SHIFT);
    struct entry_shm *s = head_at(t->o, unit);
    struct bri_entry e;
    uint32_t *bucket;

    if (table->n_buckets == 0) {
        if (!add_segment(t, table, 0))
            return;
        bri_set64(t, &table->n_buckets, FANOUT); /* the page is there anyway */
    }
    for (unsigned i = 0; i < GROW_BELOW && t->failed == 0; i++)
        if (table->n_entries >= table->n_buckets / GROW_BELOW)
            split(t, table);
    if (t->failed != 0 || bri_entry_at(t->o, unit, &e) < 0)
        return;
    bucket = bucket_at(t->o, table, bucket_of(e.hash, table->n_buckets));
    if (bucket == NULL || !owns_buckets(t->o, table)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    s->chain = *bucket;
    s->prev = table->last;
    s->next = 0;
    bri_set32(t, bucket, unit);
    set_order(t, table, &(struct bri_entry){.prev = table->last}, unit, unit);
    count(t, table, 1, bytes_of(&e));
}

void bri_table_replace(
    struct bri_txn *t, struct bri_table_shm *table, const struct bri_entry *old, uint64_t off)
{
    uint32_t unit = (uint32_t)(off >> BRI_UNIT_SHIFT);
    struct entry_shm *s = head_at(t->o, unit);
    struct entry_shm *was = head_at(t->o, (uint32_t)(old->off >> BRI_UNIT_SHIFT));
    uint32_t *link = link_to(t, table, (uint32_t)(old->off >> BRI_UNIT_SHIFT), old->hash);
    struct bri_entry e;

    if (link == NULL || s == NULL || was == NULL || bri_entry_at(t->o, unit, &e) < 0)
        return;
    s->chain = was->chain;
    s->prev = old->prev;
    s->next = old->next;
    bri_set32(t, link, unit);
    set_order(t, table, old, unit, unit);
    count(t, table, 0, bytes_of(&e) - bytes_of(old));
    bri_free(t, old->off);
}

bool bri_table_overwrite(struct bri_txn *t, struct bri_table_shm *table, const struct bri_entry *e,
    const void *value, size_t value_size)
{
    struct entry_shm *s = head_at(t->o, (uint32_t)(e->off >> BRI_UNIT_SHIFT));
    uint64_t needed = sizeof(*s) + e->key_size + value_size;

    if (e->given != e->key && value_size != e->value_size)
        return false; /* what follows the value would have to move */
    if (value_size > OVERWRITE_MAX ||
        (value_size > e->value_size && needed > bri_block_capacity(t->o, e->off)))
        return false;
    /* A much smaller value deserves a smaller block. */
    if (value_size < e->value_size &&
        bri_block_size(needed) < bri_block_size(needed - value_size + e->value_size))
        return false;
    if (!owns_buckets(t->o, table))
        return (void)BRI_DAMAGED(t), true;
    if (value_size != e->value_size)
        bri_set32(t, &s->value_size, (uint32_t)value_size);
    count(t, table, 0, (int64_t)value_size - (int64_t)e->value_size);
    bri_set_bytes(t, s->bytes + e->key_size, value, value_size);
    return true;
}

static void free_segment(struct bri_txn *t, struct bri_table_shm *table, uint64_t b)
{
    uint32_t page = table->top, height = table->height;
    uint32_t *refs = NULL;

    while (--height > 0) {
        refs = bri_page_at(t->o->arena, page);
        if (refs == NULL)
            return;
        refs += b >> (10 * height) & (FANOUT - 1);
        page = *refs;
    }
    if (refs == NULL)
        return; /* the only segment stays */
    bri_set32(t, refs, 0);
    bri_free(t, (uint64_t)page << BRI_PAGE_SHIFT);
}

void bri_table_remove(struct bri_txn *t, struct bri_table_shm *table, const struct bri_entry *e)
{
    uint32_t unit = (uint32_t)(e->off >> BRI_UNIT_SHIFT);
    uint32_t *link = link_to(t, table, unit, e->hash);
    struct entry_shm *s = head_at(t->o, unit);

    if (link == NULL || s == NULL)
        return;
    bri_set32(t, link, s->chain);
    set_order(t, table, e, e->next, e->prev);
    count(t, table, -1, -bytes_of(e));
    bri_free(t, e->off);
    for (unsigned i = 0; i < MERGES_AT_ONCE && t->failed == 0; i++) {
        if (table->n_buckets <= FANOUT || table->n_entries >= table->n_buckets / SHRINK_ABOVE)
            break;
        merge(t, table);
        if (table->n_buckets % FANOUT == 0)
            free_segment(t, table, table->n_buckets);
    }
}

void bri_table_clear(struct bri_txn *t, struct bri_table_shm *table)
{
    bri_heap_clear(t);
    bri_set64(t, (uint64_t *)&table->top, 0);
    bri_set64(t, &table->n_buckets, 0);
    bri_set64(t, &table->n_changes, table->n_changes + 1);
    bri_set64(t, &table->n_entries, 0);
    bri_set64(t, &table->n_bytes, 0);
    bri_set64(t, (uint64_t *)&table->first, 0);
}

/* ---- walking in hash order ---- */

static uint32_t reversed(uint32_t x)
{
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(x);
}

/*
 * All hashes of a bucket have their low bits in common; read backwards, those are the high bits,
 * and a bucket is an interval. Splitting and merging only cut intervals in two and join them.
 */
struct interval {
    uint64_t bucket, end;
};

static struct interval interval_of(uint64_t pos, uint64_t n_buckets)
{
    uint64_t b = bucket_of(reversed((uint32_t)pos), n_buckets);
    unsigned bits = levels(n_buckets);
    uint64_t half = bits > 0 ? UINT64_C(1) << (bits - 1) : 0;

    if (bits > 0 && b < half && b + half >= n_buckets)
        bits--;
    return (struct interval){b, ((pos >> (32 - bits)) + 1) << (32 - bits)};
}

int bri_table_scan(const struct bri_object *o, const struct bri_table_shm *table, uint64_t *pos,
    struct bri_entry *entries, int max)
{
    uint64_t n_buckets = *(const volatile uint64_t *)&table->n_buckets;
    const uint32_t *link;
    struct interval in;
    int n = 0;

    if (n_buckets == 0 || n_buckets > UINT32_MAX) {
        *pos = UINT64_C(1) << 32;
        return 0;
    }
    in = interval_of(*pos, n_buckets);
    link = bucket_at(o, table, in.bucket);
    for (uint32_t left = MAX_CHAIN; link != NULL && left > 0; left--) {
        uint32_t unit = load32(link);

        if (unit == 0) {
            *pos = in.end;
            return n;
        }
        if (n == max)
            return -1;
        if (bri_entry_at(o, unit, &entries[n]) < 0)
            return BROKER_CORRUPT;
        link = &head_at(o, unit)->chain;
        n += reversed(entries[n].hash) >= *pos;
    }
    return BROKER_CORRUPT;
}

void bri_table_walk(const struct bri_object *o, const struct bri_table_shm *table, uint64_t *pos,
    bri_entry_fn *fn, void *arg)
{
    uint64_t n_buckets = table->n_buckets, from = *pos;
    const uint32_t *link;
    struct interval in;
    struct bri_entry e;

    *pos = UINT64_MAX;
    if (n_buckets == 0 || n_buckets > UINT32_MAX || from >= UINT64_C(1) << 32)
        return;
    in = interval_of(from, n_buckets);
    link = bucket_at(o, table, in.bucket);
    for (uint32_t left = MAX_CHAIN; link != NULL && *link != 0 && left > 0; left--) {
        if (bri_entry_at(o, *link, &e) < 0)
            return;
        link = &head_at(o, *link)->chain;
        if (reversed(e.hash) >= from)
            fn(arg, &e);
    }
    if (in.end < UINT64_C(1) << 32)
        *pos = in.end;
}

/* ---- audit ---- */

/* A count that was damaged must not keep a walk going: there can't be more than fit. */
static uint64_t entries_at_most(const struct bri_object *o, const struct bri_table_shm *table)
{
    uint64_t room =
        ((uint64_t)o->arena->n_pages << BRI_PAGE_SHIFT) / (sizeof(struct entry_shm) + 1);

    return table->n_entries < room ? table->n_entries : room;
}

static void audit_order(
    const struct bri_object *o, const struct bri_table_shm *table, struct bri_audit *audit)
{
    uint64_t n = 0, bytes = 0, most = entries_at_most(o, table);
    uint32_t prev = 0;
    struct bri_entry e;

    for (uint32_t unit = table->first; unit != 0; unit = e.next, n++) {
        if (n > most || bri_entry_at(o, unit, &e) < 0) {
            bri_audit_fail(
                audit, o, "the order of entries is broken at number %llu", (unsigned long long)n);
            return;
        }
        if (bri_block_capacity(o, e.off) <
                (uint64_t)(e.given + e.given_size - (o->arena->base + e.off)) ||
            bri_block_capacity(o, e.off) <
                (uint64_t)(e.value + e.value_size - (o->arena->base + e.off)))
            bri_audit_fail(
                audit, o, "entry number %llu is not within a block", (unsigned long long)n);
        if (e.prev != prev)
            bri_audit_fail(
                audit, o, "entry number %llu has a wrong predecessor", (unsigned long long)n);
        bri_audit_block(audit, o, e.off);
        bytes += (uint64_t)bytes_of(&e);
        prev = unit;
    }
    if (n != table->n_entries || prev != table->last || bytes != table->n_bytes)
        bri_audit_fail(audit, o,
            "%llu entries of %llu bytes in order, but the counts say %llu of %llu",
            (unsigned long long)n, (unsigned long long)bytes, (unsigned long long)table->n_entries,
            (unsigned long long)table->n_bytes);
}

static void audit_chains(
    const struct bri_object *o, const struct bri_table_shm *table, struct bri_audit *audit)
{
    uint64_t n = 0, most = entries_at_most(o, table);
    struct bri_entry e;

    for (uint64_t b = 0; b < table->n_buckets; b++) {
        const uint32_t *link = bucket_at(o, table, b);

        for (; link != NULL && *link != 0 && n <= most; n++) {
            if (bri_entry_at(o, *link, &e) < 0)
                break;
            if (bucket_of(e.hash, table->n_buckets) != b || e.key_size == 0 ||
                e.hash != bri_hash_key(o->arena, e.key[0], e.key + 1, e.key_size - 1))
                bri_audit_fail(audit, o, "an entry of bucket %llu does not belong there",
                    (unsigned long long)b);
            link = &head_at(o, *link)->chain;
        }
        if (link == NULL || *link != 0) {
            bri_audit_fail(audit, o, "the chain of bucket %llu is broken", (unsigned long long)b);
            return;
        }
    }
    if (n != table->n_entries)
        bri_audit_fail(audit, o, "%llu entries in buckets, but the count says %llu",
            (unsigned long long)n, (unsigned long long)table->n_entries);
}

static void audit_pages(
    const struct bri_object *o, uint32_t page, uint32_t height, struct bri_audit *audit)
{
    const uint32_t *refs = bri_page_at(o->arena, page);

    if (page == 0)
        return;
    if (refs == NULL || bri_page_tag(o->arena, page) != bri_tag(o->id, BRI_PAGE_RUN, 1)) {
        bri_audit_fail(audit, o, "page %u of the bucket tree is not the object's", page);
        return;
    }
    bri_audit_block(audit, o, (uint64_t)page << BRI_PAGE_SHIFT);
    for (uint32_t i = 0; height > 1 && i < FANOUT; i++)
        audit_pages(o, refs[i], height - 1, audit);
}

void bri_table_audit(
    const struct bri_object *o, const struct bri_table_shm *table, struct bri_audit *audit)
{
    if (table->height > MAX_HEIGHT || (table->height == 0) != (table->top == 0)) {
        bri_audit_fail(audit, o, "the bucket tree has height %u", table->height);
        return;
    }
    audit_pages(o, table->top, table->height, audit);
    audit_order(o, table, audit);
    audit_chains(o, table, audit);
}
