/*
 * items_audit.c - whether a queue's store is sound: every item met where it must be, exactly once,
 * and all counts right
 */
#include <inttypes.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/pages.h"
#include "core/session.h"
#include "objects/segments.h"

/* What the walk through all items has met. */
struct tally {
    uint64_t ready, bytes, leased, delayed, dead, early, timers, held;
};

static bool is_away(const struct bri_item_shm *item)
{
    return item->state == BRI_ITEM_LEASED || item->state == BRI_ITEM_DELAYED ||
           item->state == BRI_ITEM_DEAD;
}

static bool is_lent(const struct bri_object *o, const struct bri_item_shm *item)
{
    return item->body != 0 && bri_tag_kind(bri_page_tag(o->arena, item->body)) == BRI_PAGE_LENT;
}

static void count_item(const struct bri_object *o, const struct bri_item_shm *item,
    struct tally *sum, struct bri_audit *audit)
{
    sum->leased += item->state == BRI_ITEM_LEASED;
    sum->delayed += item->state == BRI_ITEM_DELAYED;
    sum->dead += item->state == BRI_ITEM_DEAD;
    if (item->state == BRI_ITEM_READY) {
        sum->ready++;
        sum->bytes += item->size;
    }
    if (item->timer != 0) {
        const struct bri_timer_shm *timer =
            BRI_AT(o->arena, (uint64_t)item->timer << BRI_UNIT_SHIFT, struct bri_timer_shm);

        sum->timers++;
        if (timer == NULL || timer->item != bri_unit_of(o, item) ||
            (item->state != BRI_ITEM_LEASED && item->state != BRI_ITEM_DELAYED))
            bri_audit_fail(audit, o, "the timer of item %" PRIu64 " is another's", item->number);
    }
    if (is_lent(o, item) != ((item->flags & BRI_ITEM_LENT) != 0) ||
        (is_lent(o, item) && item->state != BRI_ITEM_LEASED))
        bri_audit_fail(audit, o, "item %" PRIu64 " is lent to nobody", item->number);
    if (item->body != 0 && !is_lent(o, item)) /* those are in lists of attachments */
        bri_audit_block(audit, o, (uint64_t)item->body << BRI_PAGE_SHIFT);
}

/* ---- a FIFO's items ---- */

/* A plain get takes an item without marking it: before the head, READY without the flag is gone. */
static bool is_gone(const struct bri_item_shm *item, bool before_head)
{
    return before_head && item->state == BRI_ITEM_READY &&
           (item->flags & BRI_ITEM_REDELIVERED) == 0;
}

/* An item of a segment that is not gone. */
static void audit_item(const struct bri_object *o, const struct bri_item_shm *item,
    bool before_head, struct tally *sum, struct bri_audit *audit)
{
    if (item->state != BRI_ITEM_READY && !before_head)
        bri_audit_fail(
            audit, o, "item %" PRIu64 " was taken, but the head is before it", item->number);
    sum->held += before_head;
    sum->early += before_head && item->state == BRI_ITEM_READY;
    count_item(o, item, sum, audit);
}

static bool audit_segment(const struct bri_object *o, const struct bri_items_shm *q, uint32_t page,
    bool before_head, struct tally *sum, struct bri_audit *audit)
{
    const struct bri_segment_shm *s = bri_segment_at(o, page);
    uint32_t end = page == q->tail.segment ? q->tail.at : s->end, at = sizeof(*s), size;
    uint64_t held = sum->held;
    const uint8_t *bytes;

    if (end < at || end > BRI_SEGMENT_SIZE)
        return false;
    while (at < end) {
        const struct bri_item_shm *item =
            bri_item_at(o, ((uint64_t)page << BRI_PAGE_SHIFT) + at, &bytes, &size);
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
        at += bri_item_space(item->size, item->body);
    }
    if (sum->held - held != s->n_held)
        bri_audit_fail(audit, o, "segment %u says that %u of its items are held, but %llu are",
            page, s->n_held, (unsigned long long)(sum->held - held));
    return at == end;
}

static bool audit_segments(const struct bri_object *o, const struct bri_items_shm *q,
    struct tally *sum, struct bri_audit *audit)
{
    bool before_head = q->head.segment != 0;
    uint32_t prev = 0, n = 0;

    if (q->spare_segment != 0)
        bri_audit_block(audit, o, (uint64_t)q->spare_segment << BRI_PAGE_SHIFT);
    for (uint32_t page = q->first_segment; page != 0 && n <= o->arena->n_pages; n++) {
        const struct bri_segment_shm *s = bri_segment_at(o, page);

        before_head &= page != q->head.segment;
        if (s == NULL || s->prev != prev || !audit_segment(o, q, page, before_head, sum, audit)) {
            bri_audit_fail(audit, o, "segment %u is broken", page);
            return false;
        }
        bri_audit_block(audit, o, (uint64_t)page << BRI_PAGE_SHIFT);
        prev = page;
        page = s->next;
    }
    if (prev != q->tail.segment)
        bri_audit_fail(audit, o, "the last segment is not the tail's");
    return true;
}

/* ---- the trees ---- */

static uint64_t audit_tree(const struct bri_object *o, const struct bri_tree_shm *tree,
    bri_order_fn *order, const char *name, struct bri_audit *audit)
{
    uint64_t n = bri_tree_audit(o, tree, order, o->arena->size >> BRI_UNIT_SHIFT);

    if (n == UINT64_MAX)
        bri_audit_fail(audit, o, "the tree of %s is broken", name);
    return n;
}

/* Items that are blocks, in a tree that was found in order. */
static void audit_blocks(const struct bri_object *o, const struct bri_items_shm *q,
    const struct bri_tree_shm *tree, struct tally *sum, struct bri_audit *audit)
{
    bool away = tree != &q->early;

    for (uint32_t unit = tree->first; unit != 0; unit = bri_tree_next(o, unit)) {
        const struct bri_item_shm *item = bri_item_of_unit(o, bri_item_of_node(q, unit));

        if (item == NULL || (away ? !is_away(item) : item->state != BRI_ITEM_READY)) {
            bri_audit_fail(audit, o, "an item of state %u is in the tree of %s",
                item != NULL ? item->state : 0u, away ? "those away" : "those ready");
            return;
        }
        bri_audit_block(audit, o, (uint64_t)unit << BRI_UNIT_SHIFT);
        sum->early += !away;
        count_item(o, item, sum, audit);
    }
}

static bool audit_trees(const struct bri_object *o, const struct bri_items_shm *q,
    struct tally *sum, struct bri_audit *audit)
{
    const struct bri_items_rest_shm *rest = bri_items_rest(o);
    uint64_t early = audit_tree(o, &q->early, bri_items_order(q), "items that come first", audit);
    uint64_t away = audit_tree(o, &rest->away, bri_items_order(q), "items that are away", audit);

    if (early == UINT64_MAX || away == UINT64_MAX)
        return false;
    if (q->order != BRI_FIFO) {
        audit_blocks(o, q, &q->early, sum, audit);
        audit_blocks(o, q, &rest->away, sum, audit);
    }
    if (early != sum->early || (q->order == BRI_FIFO && away != 0))
        bri_audit_fail(
            audit, o, "%" PRIu64 " items that come first, not %" PRIu64, early, sum->early);
    return true;
}

static void audit_timers(const struct bri_object *o, const struct bri_items_shm *q,
    const struct tally *sum, struct bri_audit *audit)
{
    const struct bri_tree_shm *timers = &bri_items_rest(o)->timers;
    uint64_t n = audit_tree(o, timers, bri_timers_order, "timers", audit);
    int64_t due_ns = 0;

    if (n == UINT64_MAX)
        return;
    for (uint32_t unit = timers->first; unit != 0; unit = bri_tree_next(o, unit)) {
        const struct bri_timer_shm *timer =
            BRI_AT(o->arena, (uint64_t)unit << BRI_UNIT_SHIFT, struct bri_timer_shm);

        if (due_ns == 0)
            due_ns = timer->due_ns;
        bri_audit_block(audit, o, (uint64_t)unit << BRI_UNIT_SHIFT);
    }
    if (n != sum->timers || due_ns != q->due_ns)
        bri_audit_fail(audit, o,
            "%" PRIu64 " timers of %" PRIu64 " items, first %" PRId64 " and said to be %" PRId64, n,
            sum->timers, due_ns, q->due_ns);
}

/* ---- the lists ---- */

/* The length of a list of items in @state, of @holder if that is not 0; its links must be right. */
static uint64_t audit_list(const struct bri_object *o, uint32_t first, uint32_t last,
    enum bri_item_state state, uint32_t holder)
{
    uint64_t n = 0, limit = o->arena->size / sizeof(struct bri_item_shm);
    uint32_t before = 0;

    for (uint32_t unit = first; unit != 0; n++) {
        const struct bri_item_shm *item = bri_item_of_unit(o, unit);

        if (item == NULL || item->state != state || item->prev != before || n == limit ||
            (holder != 0 && item->holder != holder))
            return UINT64_MAX;
        before = unit;
        unit = item->next;
    }
    return before == last ? n : UINT64_MAX;
}

static uint64_t audit_attachment(const struct bri_object *o, uint32_t session,
    const struct bri_attachment_shm *att, struct bri_audit *audit)
{
    uint32_t holder = bri_unit_of(o, att);
    uint64_t plain, by_token;

    plain = audit_list(o, (uint32_t)(att->first_lease >> BRI_UNIT_SHIFT),
        (uint32_t)(att->last_lease >> BRI_UNIT_SHIFT), BRI_ITEM_LEASED, holder);
    by_token = audit_list(o, (uint32_t)(att->held[0] >> BRI_UNIT_SHIFT),
        (uint32_t)(att->held[1] >> BRI_UNIT_SHIFT), BRI_ITEM_LEASED, holder);
    if (plain == UINT64_MAX || by_token == UINT64_MAX || plain + by_token != att->n_leases) {
        bri_audit_fail(audit, o, "the leases of session %u are broken", session);
        return 0;
    }
    return att->n_leases;
}

static void audit_leases(
    const struct bri_object *o, const struct tally *sum, struct bri_audit *audit)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < o->arena->n_sessions; i++) {
        struct bri_object session;
        const struct bri_attachment_shm *att;
        uint64_t off;
        uint32_t left;

        if (bri_session_object(o->arena, i, &session) < 0 || session.root == NULL)
            continue;
        left = bri_session_state(&session)->n_attachments;
        off = bri_session_state(&session)->first_attachment;
        for (; off != 0 && left > 0; off = att->next_off, left--) {
            att = bri_attachment_at(&session, off);
            if (att == NULL)
                break;
            if (att->object == o->id && att->generation == o->generation)
                n += audit_attachment(o, i, att, audit);
        }
    }
    if (n != sum->leased)
        bri_audit_fail(audit, o,
            "sessions hold %" PRIu64 " leases, but %" PRIu64 " items are leased", n, sum->leased);
}

static void audit_counts(const struct bri_object *o, const struct bri_items_shm *q,
    const struct tally *sum, struct bri_audit *audit)
{
    const struct bri_items_rest_shm *rest = bri_items_rest(o);

    if (sum->ready != bri_items_ready(q) || sum->bytes != q->n_bytes)
        bri_audit_fail(audit, o,
            "%" PRIu64 " items of %" PRIu64 " bytes, but the counts say %" PRIu64 ", %" PRIu64,
            sum->ready, sum->bytes, bri_items_ready(q), q->n_bytes);
    if (sum->leased != q->n_leased || sum->delayed != q->n_delayed || sum->dead != q->n_dead)
        bri_audit_fail(audit, o,
            "%" PRIu64 " leased, %" PRIu64 " delayed, %" PRIu64
            " dead, but the counts say %u, %u, %u",
            sum->leased, sum->delayed, sum->dead, q->n_leased, q->n_delayed, q->n_dead);
    if (audit_list(o, rest->first_dead, rest->last_dead, BRI_ITEM_DEAD, 0) != sum->dead)
        bri_audit_fail(audit, o, "the list of the dead is broken");
}

void bri_items_audit(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_audit *audit)
{
    struct tally sum = {0};

    if (!audit_segments(o, q, &sum, audit) || !audit_trees(o, q, &sum, audit))
        return;
    audit_counts(o, q, &sum, audit);
    audit_timers(o, q, &sum, audit);
    audit_leases(o, &sum, audit);
}
