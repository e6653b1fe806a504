/*
 * leases.c - items that a session has: how they are noted, how they end, and what timers do
 *
 * An attachment has two lists: of leases that task_done finishes, oldest first, and of those that
 * have a token. A token is the place of the item and a serial number that each lease by token gets,
 * so that a token of a lease that is over matches nothing. It comes from outside: what lies at that
 * place is believed to be an item only if the store's structure says so.
 *
 * A timer is a block of its own, so that items without one pay nothing for it; it is needed when a
 * lease is limited or an item delayed, never when something is given back. In one section an item
 * changes its state, its list and its timer: killed anywhere, it has all or none of it.
 */
#include "objects/items.h"

#include <broker/errors.h>

#include "core/heap.h"
#include "core/pages.h"
#include "objects/segments.h"

#define MAX_WALK 100000000u

void bri_item_set_state(struct bri_txn *t, struct bri_item_shm *item, unsigned state,
    unsigned flags, unsigned deliveries)
{
    uint32_t half = 0;
    uint8_t s = (uint8_t)state, f = (uint8_t)(flags | (item->flags & BRI_ITEM_IN_PLACE));
    uint16_t d = (uint16_t)(deliveries > UINT16_MAX ? UINT16_MAX : deliveries);

    memcpy((char *)&half, &s, 1);
    memcpy((char *)&half + 1, &f, 1);
    memcpy((char *)&half + 2, &d, 2);
    bri_set32(t, (uint32_t *)(void *)&item->state, half);
}

/* ---- lists ---- */

static void set_links(struct bri_txn *t, struct bri_item_shm *item, uint32_t next, uint32_t prev)
{
    uint64_t word = (uint64_t)prev << 32 | next;

    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "next is the low half");
    bri_set64(t, (uint64_t *)(void *)&item->next, word);
}

/* The ends of a list of items, which are offsets in an attachment. */
struct ends {
    uint64_t *first, *last;
};

static struct ends leases_of(struct bri_attachment_shm *att, unsigned flags)
{
    if ((flags & BRI_ITEM_TOKEN) != 0)
        return (struct ends){&att->held[0], &att->held[1]};
    return (struct ends){&att->first_lease, &att->last_lease};
}

static uint32_t unit_at(const uint64_t *off)
{
    return (uint32_t)(*off >> BRI_UNIT_SHIFT);
}

void bri_item_lease(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, unsigned flags)
{
    struct bri_attachment_shm *att = t->o->att;
    struct ends list = leases_of(att, flags);
    uint32_t unit = bri_unit_of(t->o, item), last = unit_at(list.last);
    struct bri_item_shm *before = bri_item_of_unit(t->o, last);

    if ((last != 0) != (before != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    set_links(t, item, 0, last);
    if (before != NULL)
        bri_set32(t, &before->next, unit);
    else
        bri_set64(t, list.first, (uint64_t)unit << BRI_UNIT_SHIFT);
    bri_set64(t, list.last, (uint64_t)unit << BRI_UNIT_SHIFT);
    bri_set32(t, &att->n_leases, att->n_leases + 1);
    bri_set32(t, &item->holder, bri_unit_of(t->o, att));
    bri_item_set_state(t, item, BRI_ITEM_LEASED, item->flags | flags, item->deliveries + 1u);
    bri_set32(t, &q->n_leased, q->n_leased + 1);
    if ((flags & BRI_ITEM_TOKEN) != 0) {
        bri_set32(t, &q->serial, q->serial + 1);
        bri_set32(t, &item->serial, q->serial);
    }
    if ((flags & BRI_ITEM_LENT) != 0)
        bri_lend(t, item->body);
}

/* The attachment that has an item; it lies in another session's heap if a timer ends the lease. */
static struct bri_attachment_shm *holder_of(
    const struct bri_object *o, const struct bri_item_shm *item)
{
    const struct bri_arena *a = o->arena;
    uint64_t off = (uint64_t)item->holder << BRI_UNIT_SHIFT;
    uint32_t slot = bri_tag_owner(bri_page_tag(a, (uint32_t)(off >> BRI_PAGE_SHIFT)));
    struct bri_attachment_shm *att = BRI_AT(a, off, struct bri_attachment_shm);

    if (att == NULL || slot <= a->first_slot || slot > a->first_slot + a->n_sessions ||
        att->object != o->id || att->generation != o->generation)
        return NULL;
    return att;
}

uint32_t bri_item_session(const struct bri_object *o, const struct bri_item_shm *item)
{
    const struct bri_attachment_shm *att = holder_of(o, item);
    uint64_t off = att != NULL ? bri_off(o->arena, att) : 0;

    if (att == NULL)
        return UINT32_MAX;
    return bri_tag_owner(bri_page_tag(o->arena, (uint32_t)(off >> BRI_PAGE_SHIFT))) -
           o->arena->first_slot - 1;
}

static void unlease(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    struct bri_attachment_shm *att = holder_of(t->o, item);
    struct bri_item_shm *next = bri_item_of_unit(t->o, item->next),
                        *prev = bri_item_of_unit(t->o, item->prev);
    uint32_t unit = bri_unit_of(t->o, item);
    struct ends list;

    if (att == NULL || item->state != BRI_ITEM_LEASED || (item->next != 0) != (next != NULL) ||
        (item->prev != 0) != (prev != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    if ((item->flags & BRI_ITEM_LENT) != 0)
        (void)bri_take_back(t, att, item->body);
    list = leases_of(att, item->flags);
    if ((prev != NULL ? prev->next : unit_at(list.first)) != unit ||
        (next != NULL ? next->prev : unit_at(list.last)) != unit) {
        (void)BRI_DAMAGED(t);
        return;
    }
    if (next != NULL)
        bri_set32(t, &next->prev, item->prev);
    else
        bri_set64(t, list.last, (uint64_t)item->prev << BRI_UNIT_SHIFT);
    if (prev != NULL)
        bri_set32(t, &prev->next, item->next);
    else
        bri_set64(t, list.first, (uint64_t)item->next << BRI_UNIT_SHIFT);
    bri_set32(t, &att->n_leases, att->n_leases - 1);
    bri_set32(t, &q->n_leased, q->n_leased - 1);
}

struct bri_item_shm *bri_items_oldest(struct bri_txn *t)
{
    struct bri_item_shm *item = bri_item_of_unit(t->o, unit_at(&t->o->att->first_lease));

    for (uint32_t left = MAX_WALK; item != NULL && left > 0; left--) {
        if ((item->flags & BRI_ITEM_COPYING) == 0)
            return item;
        item = bri_item_of_unit(t->o, item->next);
    }
    return NULL;
}

struct bri_item_shm *bri_items_last_leased(struct bri_txn *t)
{
    const struct bri_attachment_shm *att = t->o->att;
    uint64_t off = att->held[1] != 0 ? att->held[1] : att->last_lease;
    struct bri_item_shm *item = bri_item_of_unit(t->o, unit_at(&off));

    if (off != 0 && item == NULL)
        (void)BRI_DAMAGED(t);
    return item;
}

/* ---- tokens ---- */

uint64_t bri_item_token(const struct bri_object *o, const struct bri_item_shm *item)
{
    return (uint64_t)bri_unit_of(o, item) << 32 | item->serial;
}

bool bri_item_exists(const struct bri_object *o, const struct bri_items_shm *q, uint32_t unit)
{
    uint64_t off = (uint64_t)unit << BRI_UNIT_SHIFT, block = off - sizeof(struct bri_node_shm);

    if (unit == 0)
        return false;
    if (q->order == BRI_FIFO)
        return bri_segment_has_item(o, q, off);
    /* Bodies are no slab blocks, and timers are smaller. */
    return bri_block_capacity(o, block) >=
               sizeof(struct bri_node_shm) + sizeof(struct bri_item_shm) &&
           bri_block_capacity(o, block) <= BRI_SMALL_MAX;
}

int bri_items_of_token(
    struct bri_txn *t, const struct bri_items_shm *q, uint64_t token, struct bri_item_shm **out)
{
    struct bri_attachment_shm *att = t->o->att;
    uint32_t unit = (uint32_t)(token >> 32);
    struct bri_item_shm *item;

    /* Nearly always it is one of these. */
    if (unit != unit_at(&att->held[0]) && unit != unit_at(&att->held[1]) &&
        !bri_item_exists(t->o, q, unit))
        return BROKER_NOTFOUND;
    item = bri_item_of_unit(t->o, unit);
    if (item == NULL || item->state != BRI_ITEM_LEASED || (item->flags & BRI_ITEM_TOKEN) == 0 ||
        item->serial != (uint32_t)token)
        return BROKER_NOTFOUND;
    if (item->holder != bri_unit_of(t->o, att))
        return BROKER_NOTOWNER;
    *out = item;
    return 0;
}

/* ---- timers ---- */

static struct bri_timer_shm *timer_at(const struct bri_object *o, uint32_t unit)
{
    return unit != 0 ? BRI_AT(o->arena, (uint64_t)unit << BRI_UNIT_SHIFT, struct bri_timer_shm)
                     : NULL;
}

int64_t bri_item_due(const struct bri_object *o, const struct bri_item_shm *item)
{
    const struct bri_timer_shm *timer = timer_at(o, *(const volatile uint32_t *)&item->timer);

    return timer != NULL ? timer->due_ns : 0;
}

int bri_timers_order(const struct bri_object *o, const struct bri_node_shm *a,
    const struct bri_node_shm *b, int *out_order)
{
    const struct bri_timer_shm *ta = timer_at(o, bri_unit_of(o, a)),
                               *tb = timer_at(o, bri_unit_of(o, b));

    if (ta == NULL || tb == NULL)
        return BROKER_CORRUPT;
    if (ta->due_ns != tb->due_ns)
        *out_order = ta->due_ns < tb->due_ns ? -1 : 1;
    else
        *out_order = a < b ? -1 : 1;
    return 0;
}

static void note_due(struct bri_txn *t, struct bri_items_shm *q)
{
    uint32_t unit = bri_items_rest(t->o)->timers.first;
    const struct bri_timer_shm *first = timer_at(t->o, unit);

    if ((unit != 0) != (first != NULL))
        (void)BRI_DAMAGED(t);
    else if (q->due_ns != (first != NULL ? first->due_ns : 0))
        bri_set64(t, (uint64_t *)(void *)&q->due_ns, first != NULL ? (uint64_t)first->due_ns : 0);
}

/* The timer of an item, which has one; NULL, and damaged, if it has not. */
static struct bri_timer_shm *timer_of(struct bri_txn *t, const struct bri_item_shm *item)
{
    struct bri_timer_shm *timer = timer_at(t->o, item->timer);

    if (timer == NULL || timer->item != bri_unit_of(t->o, item)) {
        (void)BRI_DAMAGED(t);
        return NULL;
    }
    return timer;
}

static void drop_timer(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    struct bri_timer_shm *timer;

    if (item->timer == 0 || (timer = timer_of(t, item)) == NULL)
        return;
    bri_tree_remove(t, &bri_items_rest(t->o)->timers, &timer->node);
    bri_free(t, (uint64_t)item->timer << BRI_UNIT_SHIFT);
    bri_set32(t, &item->timer, 0);
    note_due(t, q);
}

static int set_timer(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, int64_t due_ns)
{
    struct bri_items_rest_shm *rest = bri_items_rest(t->o);
    struct bri_timer_shm *timer;
    uint64_t off;

    if (item->timer != 0) {
        if ((timer = timer_of(t, item)) == NULL)
            return t->failed;
        bri_tree_remove(t, &rest->timers, &timer->node);
        bri_set64(t, (uint64_t *)(void *)&timer->due_ns, (uint64_t)due_ns);
    } else {
        off = bri_alloc(t, sizeof(*timer));
        if (off == 0)
            return t->failed;
        timer = BRI_AT(t->o->arena, off, struct bri_timer_shm);
        *timer = (struct bri_timer_shm){.due_ns = due_ns, .item = bri_unit_of(t->o, item)};
        bri_set32(t, &item->timer, (uint32_t)(off >> BRI_UNIT_SHIFT));
    }
    if (bri_tree_insert(t, &rest->timers, &timer->node, bri_timers_order) == 0)
        note_due(t, q);
    return t->failed;
}

int bri_items_limit(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, int64_t due_ns)
{
    if (due_ns != 0)
        return set_timer(t, q, item, due_ns);
    drop_timer(t, q, item);
    return t->failed;
}

/* ---- ends ---- */

/* Out of the tree of those that are away. */
static void come_back(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    if (q->order == BRI_FIFO)
        return;
    bri_items_leave_away(t, q, item);
    bri_tree_remove(t, &bri_items_rest(t->o)->away, bri_item_node(q, item));
}

void bri_items_finish(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    unlease(t, q, item);
    if (t->failed != 0)
        return;
    drop_timer(t, q, item);
    come_back(t, q, item);
    bri_item_end(t, q, item);
}

static void make_ready(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, unsigned deliveries)
{
    come_back(t, q, item);
    bri_item_set_state(t, item, BRI_ITEM_READY, BRI_ITEM_REDELIVERED, deliveries);
    if (bri_tree_insert(t, &q->early, bri_item_node(q, item), bri_items_order(q)) < 0 &&
        t->failed == 0)
        (void)BRI_DAMAGED(t); /* it was compared with all others before */
    bri_set64(t, &q->n_returned, q->n_returned + 1);
    bri_set64(t, &q->n_bytes, q->n_bytes + item->size);
}

static void bury(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    struct bri_items_rest_shm *rest = bri_items_rest(t->o);
    struct bri_item_shm *last = bri_item_of_unit(t->o, rest->last_dead);
    uint32_t unit = bri_unit_of(t->o, item);

    if ((rest->last_dead != 0) != (last != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    set_links(t, item, 0, rest->last_dead);
    bri_set32(t, last != NULL ? &last->next : &rest->first_dead, unit);
    bri_set32(t, &rest->last_dead, unit);
    bri_set32(t, &q->n_dead, q->n_dead + 1);
    bri_item_set_state(t, item, BRI_ITEM_DEAD, BRI_ITEM_REDELIVERED, item->deliveries);
}

bool bri_items_return(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, int64_t due_ns)
{
    unlease(t, q, item);
    if (t->failed != 0)
        return false;
    bri_set32(t, &item->holder, 0);
    if (q->max_deliveries != 0 && item->deliveries >= q->max_deliveries) {
        drop_timer(t, q, item);
        bury(t, q, item);
        return true;
    }
    if (due_ns == 0) {
        drop_timer(t, q, item);
        make_ready(t, q, item, item->deliveries);
    } else if (set_timer(t, q, item, due_ns) == 0) {
        bri_item_set_state(t, item, BRI_ITEM_DELAYED, BRI_ITEM_REDELIVERED, item->deliveries);
        bri_set32(t, &q->n_delayed, q->n_delayed + 1);
    }
    return false;
}

static void fire_one(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item,
    struct bri_items_fired *out)
{
    if (item->state == BRI_ITEM_LEASED) {
        bool died = bri_items_return(t, q, item, 0);

        out->n_dead += died;
        out->n_ready += !died;
        return;
    }
    if (item->state != BRI_ITEM_DELAYED) {
        (void)BRI_DAMAGED(t);
        return;
    }
    drop_timer(t, q, item);
    bri_set32(t, &q->n_delayed, q->n_delayed - 1);
    make_ready(t, q, item, item->deliveries);
    out->n_ready++;
}

void bri_items_fire(
    struct bri_txn *t, struct bri_items_shm *q, int64_t now_ns, struct bri_items_fired *out)
{
    *out = (struct bri_items_fired){0};
    while (bri_items_has_room(t) && t->failed == 0 && q->due_ns != 0 && q->due_ns <= now_ns) {
        const struct bri_timer_shm *timer = timer_at(t->o, bri_items_rest(t->o)->timers.first);
        struct bri_item_shm *item = timer != NULL ? bri_item_of_unit(t->o, timer->item) : NULL;

        if (item == NULL || item->timer != bri_unit_of(t->o, timer)) {
            (void)BRI_DAMAGED(t);
            return;
        }
        fire_one(t, q, item, out);
    }
}

/* ---- the dead ---- */

struct bri_item_shm *bri_items_first_dead(struct bri_txn *t)
{
    uint32_t unit = bri_items_rest(t->o)->first_dead;
    struct bri_item_shm *item = bri_item_of_unit(t->o, unit);

    if (unit != 0 && (item == NULL || item->state != BRI_ITEM_DEAD)) {
        (void)BRI_DAMAGED(t);
        return NULL;
    }
    return item;
}

static void unbury(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    struct bri_items_rest_shm *rest = bri_items_rest(t->o);
    struct bri_item_shm *next = bri_item_of_unit(t->o, item->next);

    if ((item->next != 0) != (next != NULL) || rest->first_dead != bri_unit_of(t->o, item)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set32(t, &rest->first_dead, item->next);
    bri_set32(t, next != NULL ? &next->prev : &rest->last_dead, 0);
    bri_set32(t, &q->n_dead, q->n_dead - 1);
}

void bri_items_revive(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    unbury(t, q, item);
    if (t->failed == 0)
        make_ready(t, q, item, 0);
}

void bri_items_lease_dead(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    unbury(t, q, item);
    if (t->failed == 0)
        bri_item_lease(t, q, item, BRI_ITEM_COPYING);
}

void bri_items_drop_dead(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    unbury(t, q, item);
    if (t->failed != 0)
        return;
    come_back(t, q, item);
    bri_item_end(t, q, item);
}
