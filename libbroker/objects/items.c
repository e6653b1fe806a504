/*
 * items.c - see items.h
 */
#include "objects/items.h"

#include <broker/errors.h>

#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/session.h"

#define SEGMENT_PAGES 4u
#define SEGMENT_SIZE (SEGMENT_PAGES * BRI_PAGE_SIZE)
#define ITEM_ALIGN 16u
#define MAX_WALK 100000000u

struct segment_shm {
    uint32_t next;   /* [guard] the newer one, 0 at the end */
    uint32_t prev;   /* [guard] */
    uint32_t end;    /* [guard] where its items end; 0 while it is the last */
    uint32_t n_held; /* [guard] items in it that are leased or returned */
    uint64_t passed; /* [guard] the head has left it */
    uint64_t spare;
};

_Static_assert(
    sizeof(struct bri_items_shm) <= BRI_SLOT_STATE - 32, "room for the queue's own state");
_Static_assert(sizeof(struct bri_item_shm) == 48, "item size");

static struct segment_shm *segment_at(const struct bri_object *o, uint32_t page)
{
    if (bri_page_tag(o->arena, page) != bri_tag(o->id, BRI_PAGE_RUN, SEGMENT_PAGES))
        return NULL;
    return bri_at(o->arena, (uint64_t)page << BRI_PAGE_SHIFT, SEGMENT_SIZE, BRI_PAGE_SIZE);
}

static uint32_t item_space(uint32_t size, uint32_t body)
{
    uint32_t n = (uint32_t)sizeof(struct bri_item_shm) + (body != 0 ? 0 : size);

    return (n + ITEM_ALIGN - 1) / ITEM_ALIGN * ITEM_ALIGN;
}

/* The item at @off, with its bytes inside its segment or its body; NULL if there can't be one. */
static struct bri_item_shm *item_at(
    const struct bri_object *o, uint64_t off, const uint8_t **out_bytes, uint32_t *out_size)
{
    struct bri_item_shm *item = BRI_AT(o->arena, off, struct bri_item_shm);
    uint32_t size, body;

    if (item == NULL)
        return NULL;
    size = *(volatile uint32_t *)&item->size;
    body = *(volatile uint32_t *)&item->body;
    if (body != 0) {
        uint64_t tag = bri_page_tag(o->arena, body);

        if (bri_tag_kind(tag) != BRI_PAGE_RUN || bri_tag_owner(tag) != o->id)
            return NULL;
        *out_bytes = bri_at(o->arena, (uint64_t)body << BRI_PAGE_SHIFT, size, BRI_PAGE_SIZE);
    } else {
        *out_bytes =
            size <= BRI_ITEM_INLINE ? bri_at(o->arena, off + sizeof(*item), size, 1) : NULL;
    }
    *out_size = size;
    return *out_bytes != NULL ? item : NULL;
}

static struct bri_item_shm *item_of_unit(const struct bri_object *o, uint32_t unit)
{
    const uint8_t *bytes;
    uint32_t size;

    return unit != 0 ? item_at(o, (uint64_t)unit << BRI_UNIT_SHIFT, &bytes, &size) : NULL;
}

static uint32_t unit_of(const struct bri_object *o, const void *p)
{
    return (uint32_t)(bri_off(o->arena, p) >> BRI_UNIT_SHIFT);
}

static void set_place(struct bri_txn *t, struct bri_place_shm *place, struct bri_place_shm to)
{
    uint64_t word;

    memcpy(&word, &to, sizeof(word));
    bri_set64(t, (uint64_t *)place, word);
}

static bool same_place(struct bri_place_shm a, struct bri_place_shm b)
{
    return a.segment == b.segment && a.at == b.at;
}

/* ---- segments ---- */

/* A segment behind the last one. */
static uint32_t new_segment(struct bri_txn *t, struct bri_items_shm *q, uint32_t last, uint32_t end)
{
    uint32_t page = q->spare_segment;
    struct segment_shm *s, *before;

    if (page != 0)
        bri_set32(t, &q->spare_segment, 0);
    else
        page = bri_alloc_pages(t, SEGMENT_PAGES, BRI_PAGE_RUN);
    s = page != 0 ? segment_at(t->o, page) : NULL;
    if (s == NULL)
        return page != 0 ? ((void)BRI_DAMAGED(t), 0u) : 0u;
    *s = (struct segment_shm){.prev = last}; /* nobody knows it yet, not even as the spare one */
    if (last == 0) {
        bri_set32(t, &q->first_segment, page);
        return page;
    }
    before = segment_at(t->o, last);
    if (before == NULL)
        return (void)BRI_DAMAGED(t), 0;
    bri_set32(t, &before->next, page);
    bri_set32(t, &before->end, end);
    return page;
}

/* Out of the list, and kept as the spare one or freed. */
static void drop_segment(
    struct bri_txn *t, struct bri_items_shm *q, uint32_t page, struct segment_shm *s)
{
    struct segment_shm *next = s->next != 0 ? segment_at(t->o, s->next) : NULL;
    struct segment_shm *prev = s->prev != 0 ? segment_at(t->o, s->prev) : NULL;

    if (next == NULL || (s->prev != 0) != (prev != NULL)) {
        (void)BRI_DAMAGED(t); /* the last one is never dropped */
        return;
    }
    bri_set32(t, &next->prev, s->prev);
    bri_set32(t, prev != NULL ? &prev->next : &q->first_segment, s->next);
    if (q->spare_segment == 0)
        bri_set32(t, &q->spare_segment, page);
    else
        bri_free(t, (uint64_t)page << BRI_PAGE_SHIFT);
}

/* The segment that an item lies in. */
static uint32_t segment_of(const struct bri_object *o, const struct bri_item_shm *item)
{
    uint32_t page = (uint32_t)(bri_off(o->arena, item) >> BRI_PAGE_SHIFT);
    uint64_t tag = bri_page_tag(o->arena, page);

    return bri_tag_kind(tag) == BRI_PAGE_TAIL && bri_tag_aux(tag) < SEGMENT_PAGES
               ? page - bri_tag_aux(tag)
               : page;
}

static void hold(
    struct bri_txn *t, struct bri_items_shm *q, const struct bri_item_shm *item, int change)
{
    uint32_t page = segment_of(t->o, item);
    struct segment_shm *s = segment_at(t->o, page);

    if (s == NULL || (change < 0 && s->n_held == 0)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set32(t, &s->n_held, s->n_held + (uint32_t)change);
    if (s->n_held == 0 && s->passed != 0)
        drop_segment(t, q, page, s);
}

/* ---- putting ---- */

uint8_t *bri_items_add(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm *tail,
    uint32_t size, uint32_t body, uint64_t number)
{
    uint32_t space = item_space(size, body);
    struct bri_item_shm *item;
    struct segment_shm *s;

    if (tail->segment == 0 || tail->at > SEGMENT_SIZE - space) {
        uint32_t page = new_segment(t, q, tail->segment, tail->at);

        if (page == 0)
            return NULL;
        tail->segment = page;
        tail->at = sizeof(struct segment_shm);
    }
    s = segment_at(t->o, tail->segment);
    if (s == NULL || tail->at < sizeof(*s))
        return (void)BRI_DAMAGED(t), NULL;
    item = (struct bri_item_shm *)((uint8_t *)s + tail->at);
    *item = (struct bri_item_shm){.number = number,
        .size = size,
        .state = BRI_ITEM_READY,
        .body = body,
        .put_ns = bri_now_coarse()};
    tail->at += space;
    return (uint8_t *)(item + 1);
}

void bri_items_publish(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm tail,
    uint64_t n, uint64_t bytes)
{
    if (q->head.segment == 0)
        set_place(
            t, &q->head, (struct bri_place_shm){q->first_segment, sizeof(struct segment_shm)});
    set_place(t, &q->tail, tail);
    bri_set64(t, &q->n_put, q->n_put + n);
    bri_set64(t, &q->n_bytes, q->n_bytes + bytes);
}

/* ---- looking ---- */

void bri_items_look(const struct bri_items_shm *q, struct bri_items_cursor *c)
{
    *c = (struct bri_items_cursor){.place = q->head, .returned = q->returned};
}

/* From the end of a segment to the start of the next. */
static bool step_over(
    const struct bri_object *o, struct bri_place_shm *place, struct bri_place_shm tail)
{
    const struct segment_shm *s = segment_at(o, place->segment);

    if (s == NULL)
        return false;
    if (place->segment != tail.segment && place->at == s->end) {
        place->segment = s->next;
        place->at = sizeof(*s);
        s = segment_at(o, place->segment);
    }
    return s != NULL && place->at >= sizeof(*s) &&
           place->at <= SEGMENT_SIZE - sizeof(struct bri_item_shm);
}

int bri_items_next(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_items_cursor *c)
{
    uint64_t off;

    if (c->returned != 0) {
        off = (uint64_t)c->returned << BRI_UNIT_SHIFT;
    } else {
        if (same_place(c->place, q->tail))
            return BROKER_EMPTY;
        if (!step_over(o, &c->place, q->tail))
            return BROKER_CORRUPT;
        off = ((uint64_t)c->place.segment << BRI_PAGE_SHIFT) + c->place.at;
    }
    c->item = item_at(o, off, &c->bytes, &c->size);
    if (c->item == NULL || c->item->state != BRI_ITEM_READY)
        return BROKER_CORRUPT;
    if (c->returned != 0)
        c->returned = c->item->next;
    else
        c->place.at += item_space(c->size, c->item->body);
    return 0;
}

/* ---- leases ---- */

/* state, flags and deliveries are one 32-bit half of a word. */
static void set_state(struct bri_txn *t, struct bri_item_shm *item, unsigned state, unsigned flags,
    unsigned deliveries)
{
    uint32_t half = 0;
    uint8_t s = (uint8_t)state, f = (uint8_t)flags;
    uint16_t d = (uint16_t)(deliveries > UINT16_MAX ? UINT16_MAX : deliveries);

    memcpy((char *)&half, &s, 1);
    memcpy((char *)&half + 1, &f, 1);
    memcpy((char *)&half + 2, &d, 2);
    bri_set32(t, (uint32_t *)&item->state, half);
}

static void set_links(struct bri_txn *t, struct bri_item_shm *item, uint32_t next, uint32_t prev)
{
    uint64_t word = (uint64_t)prev << 32 | next;

    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "next is the low half");
    bri_set64(t, (uint64_t *)&item->next, word);
}

static void lease(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, uint8_t flags)
{
    struct bri_attachment_shm *att = t->o->att;
    uint32_t unit = unit_of(t->o, item), last = (uint32_t)(att->last_lease >> BRI_UNIT_SHIFT);
    struct bri_item_shm *before = item_of_unit(t->o, last);

    if ((last != 0) != (before != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    set_links(t, item, 0, last);
    if (before != NULL)
        bri_set32(t, &before->next, unit);
    else
        bri_set64(t, &att->first_lease, (uint64_t)unit << BRI_UNIT_SHIFT);
    bri_set64(t, &att->last_lease, (uint64_t)unit << BRI_UNIT_SHIFT);
    bri_set32(t, &att->n_leases, att->n_leases + 1);
    bri_set32(t, &item->holder, unit_of(t->o, att));
    set_state(t, item, BRI_ITEM_LEASED, item->flags | flags, item->deliveries + 1u);
    bri_set32(t, &q->n_leased, q->n_leased + 1);
}

static void unlease(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    struct bri_attachment_shm *att = t->o->att;
    struct bri_item_shm *next = item_of_unit(t->o, item->next),
                        *prev = item_of_unit(t->o, item->prev);
    uint64_t off = bri_off(t->o->arena, item);

    if (item->state != BRI_ITEM_LEASED || item->holder != unit_of(t->o, att) ||
        (item->next != 0) != (next != NULL) || (item->prev != 0) != (prev != NULL) ||
        (prev == NULL && att->first_lease != off) || (next == NULL && att->last_lease != off)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    if (next != NULL)
        bri_set32(t, &next->prev, item->prev);
    else
        bri_set64(t, &att->last_lease, (uint64_t)item->prev << BRI_UNIT_SHIFT);
    if (prev != NULL)
        bri_set32(t, &prev->next, item->next);
    else
        bri_set64(t, &att->first_lease, (uint64_t)item->next << BRI_UNIT_SHIFT);
    bri_set32(t, &att->n_leases, att->n_leases - 1);
    bri_set32(t, &q->n_leased, q->n_leased - 1);
}

/* Moves the head over items that were taken, out of segments that it leaves. */
static void move_head(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm to)
{
    uint32_t page = q->head.segment, left = MAX_WALK;

    set_place(t, &q->head, to);
    while (page != to.segment && t->failed == 0 && left-- > 0) {
        struct segment_shm *s = segment_at(t->o, page);
        uint32_t next;

        if (s == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        next = s->next;
        bri_set64(t, &s->passed, 1);
        if (s->n_held == 0)
            drop_segment(t, q, page, s);
        page = next;
    }
}

/* A returned item is taken for good. */
static void forget_returned(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    set_state(t, item, BRI_ITEM_DONE, item->flags, item->deliveries);
    hold(t, q, item, -1);
}

void bri_items_take(
    struct bri_txn *t, struct bri_items_shm *q, uint64_t n, bool lease_them, uint8_t flags)
{
    struct bri_items_cursor c;
    uint64_t bytes = 0;

    bri_items_look(q, &c);
    for (uint64_t i = 0; i < n && t->failed == 0; i++) {
        bool was_returned = c.returned != 0;

        if (bri_items_next(t->o, q, &c) < 0) {
            (void)BRI_DAMAGED(t);
            return;
        }
        bytes += c.size;
        if (lease_them || c.item->body != 0) {
            lease(t, q, c.item, flags);
            if (!was_returned)
                hold(t, q, c.item, 1);
        } else if (was_returned) {
            forget_returned(t, q, c.item);
        }
    }
    if (c.returned != q->returned)
        bri_set32(t, &q->returned, c.returned);
    if (!same_place(c.place, q->head))
        move_head(t, q, c.place);
    bri_set64(t, &q->n_taken, q->n_taken + n);
    bri_set64(t, &q->n_bytes, q->n_bytes - bytes);
}

struct bri_item_shm *bri_items_oldest(struct bri_txn *t)
{
    struct bri_item_shm *item =
        item_of_unit(t->o, (uint32_t)(t->o->att->first_lease >> BRI_UNIT_SHIFT));

    for (uint32_t left = MAX_WALK; item != NULL && left > 0; left--) {
        if ((item->flags & BRI_ITEM_COPYING) == 0)
            return item;
        item = item_of_unit(t->o, item->next);
    }
    return NULL;
}

struct bri_item_shm *bri_items_last_leased(struct bri_txn *t)
{
    uint64_t off = t->o->att->last_lease;
    struct bri_item_shm *item = item_of_unit(t->o, (uint32_t)(off >> BRI_UNIT_SHIFT));

    if (off != 0 && item == NULL)
        (void)BRI_DAMAGED(t);
    return item;
}

void bri_items_finish(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    unlease(t, q, item);
    if (t->failed != 0)
        return;
    set_state(t, item, BRI_ITEM_DONE, item->flags & ~BRI_ITEM_COPYING, item->deliveries);
    if (item->body != 0)
        bri_free(t, (uint64_t)item->body << BRI_PAGE_SHIFT);
    hold(t, q, item, -1);
}

void bri_items_return(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    uint32_t *link = &q->returned;
    uint32_t left = MAX_WALK;

    unlease(t, q, item);
    while (*link != 0 && t->failed == 0 && left-- > 0) {
        struct bri_item_shm *other = item_of_unit(t->o, *link);

        if (other == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        if (other->number > item->number)
            break;
        link = &other->next;
    }
    set_links(t, item, *link, 0);
    bri_set32(t, link, unit_of(t->o, item));
    bri_set32(t, &item->holder, 0);
    set_state(t, item, BRI_ITEM_READY, (item->flags | BRI_ITEM_REDELIVERED) & ~BRI_ITEM_COPYING,
        item->deliveries);
    bri_set64(t, &q->n_returned, q->n_returned + 1);
    bri_set64(t, &q->n_bytes, q->n_bytes + item->size);
}

/* ---- audit ---- */

/* What the walk through all segments has met. */
struct tally {
    uint64_t ready, leased, bytes, held, returned;
};

static void audit_item(const struct bri_object *o, const struct bri_item_shm *item,
    bool before_head, struct tally *sum, struct bri_audit *audit)
{
    bool held = item->state == BRI_ITEM_LEASED || (item->state == BRI_ITEM_READY && before_head);

    if (item->state != BRI_ITEM_READY && !before_head)
        bri_audit_fail(audit, o, "item %llu was taken, but the head is before it",
            (unsigned long long)item->number);
    sum->held += held;
    sum->leased += item->state == BRI_ITEM_LEASED;
    sum->returned +=
        item->state == BRI_ITEM_READY && before_head && (item->flags & BRI_ITEM_REDELIVERED) != 0;
    if (item->state == BRI_ITEM_READY) {
        sum->ready++;
        sum->bytes += item->size;
    }
    if (item->body != 0 && (!before_head || held))
        bri_audit_block(audit, o, (uint64_t)item->body << BRI_PAGE_SHIFT);
}

/* A plain get takes an item without marking it: before the head, READY without the flag is gone. */
static bool is_gone(const struct bri_item_shm *item, bool before_head)
{
    return before_head && item->state == BRI_ITEM_READY &&
           (item->flags & BRI_ITEM_REDELIVERED) == 0;
}

static bool audit_segment(const struct bri_object *o, const struct bri_items_shm *q, uint32_t page,
    bool before_head, struct tally *sum, struct bri_audit *audit)
{
    const struct segment_shm *s = segment_at(o, page);
    uint32_t end = page == q->tail.segment ? q->tail.at : s->end, at = sizeof(*s), size;
    uint64_t held = sum->held;
    const uint8_t *bytes;

    if (end < at || end > SEGMENT_SIZE)
        return false;
    while (at < end) {
        const struct bri_item_shm *item =
            item_at(o, ((uint64_t)page << BRI_PAGE_SHIFT) + at, &bytes, &size);
        bool passed = before_head || (page == q->head.segment && at < q->head.at);

        if (item == NULL) {
            /* The body of an item that is done may belong to anybody by now. */
            item = (const struct bri_item_shm *)((const uint8_t *)s + at);
            if (item->body == 0 || item->state != BRI_ITEM_DONE)
                return false;
            size = 0;
        }
        if (!is_gone(item, passed) && item->state != BRI_ITEM_DONE)
            audit_item(o, item, passed, sum, audit);
        at += item_space(item->size, item->body);
    }
    if (sum->held - held != s->n_held)
        bri_audit_fail(audit, o, "segment %u says that %u of its items are held, but %llu are",
            page, s->n_held, (unsigned long long)(sum->held - held));
    return at == end;
}

static void audit_returned(const struct bri_object *o, const struct bri_items_shm *q,
    const struct tally *sum, struct bri_audit *audit)
{
    uint64_t n = 0, number = 0;

    for (uint32_t unit = q->returned; unit != 0 && n <= sum->returned; n++) {
        const struct bri_item_shm *item = item_of_unit(o, unit);

        if (item == NULL || item->state != BRI_ITEM_READY || (n > 0 && item->number <= number)) {
            bri_audit_fail(audit, o, "the list of returned items is broken at number %llu",
                (unsigned long long)n);
            return;
        }
        number = item->number;
        unit = item->next;
    }
    if (n != sum->returned)
        bri_audit_fail(audit, o, "%llu items in the list of returned ones, not %llu",
            (unsigned long long)n, (unsigned long long)sum->returned);
}

static void audit_leases(
    const struct bri_object *o, const struct tally *sum, struct bri_audit *audit)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < o->arena->n_sessions; i++) {
        struct bri_object session;
        const struct bri_attachment_shm *att;
        uint64_t off;

        if (bri_session_object(o->arena, i, &session) < 0 || session.root == NULL)
            continue;
        for (off = bri_session_state(&session)->first_attachment; off != 0; off = att->next_off) {
            uint32_t k = 0, unit;

            att = bri_attachment_at(&session, off);
            if (att == NULL)
                break;
            if (att->object != o->id || att->generation != o->generation)
                continue;
            for (unit = (uint32_t)(att->first_lease >> BRI_UNIT_SHIFT);
                 unit != 0 && k <= att->n_leases; k++) {
                const struct bri_item_shm *item = item_of_unit(o, unit);

                if (item == NULL || item->state != BRI_ITEM_LEASED ||
                    item->holder != unit_of(o, att))
                    break;
                unit = item->next;
            }
            if (k != att->n_leases || unit != 0)
                bri_audit_fail(audit, o, "the leases of session %u are broken at number %u", i, k);
            n += k;
        }
    }
    if (n != sum->leased)
        bri_audit_fail(audit, o, "sessions hold %llu leases, but %llu items are leased",
            (unsigned long long)n, (unsigned long long)sum->leased);
}

void bri_items_audit(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_audit *audit)
{
    struct tally sum = {0};
    bool before_head = q->head.segment != 0;
    uint32_t prev = 0, n = 0;

    if (q->spare_segment != 0)
        bri_audit_block(audit, o, (uint64_t)q->spare_segment << BRI_PAGE_SHIFT);
    for (uint32_t page = q->first_segment; page != 0 && n <= o->arena->n_pages; n++) {
        const struct segment_shm *s = segment_at(o, page);

        before_head &= page != q->head.segment;
        if (s == NULL || s->prev != prev || !audit_segment(o, q, page, before_head, &sum, audit)) {
            bri_audit_fail(audit, o, "segment %u is broken", page);
            return;
        }
        bri_audit_block(audit, o, (uint64_t)page << BRI_PAGE_SHIFT);
        prev = page;
        page = s->next;
    }
    if (prev != q->tail.segment)
        bri_audit_fail(audit, o, "the last segment is not the tail's");
    if (sum.ready != bri_items_ready(q) || sum.bytes != q->n_bytes || sum.leased != q->n_leased)
        bri_audit_fail(audit, o,
            "%llu items of %llu bytes and %llu leases, but the counts say %llu, %llu, %u",
            (unsigned long long)sum.ready, (unsigned long long)sum.bytes,
            (unsigned long long)sum.leased, (unsigned long long)bri_items_ready(q),
            (unsigned long long)q->n_bytes, q->n_leased);
    audit_returned(o, q, &sum, audit);
    audit_leases(o, &sum, audit);
}
