/*
 * pipe.c - the pipe type: two ends, and messages that go from one to the other
 *
 * Semantics of CPython 3.11's multiprocessing.Pipe. What a process can't inherit here is replaced
 * by holding: a session holds an end from its first use on, until it releases it or is over,
 * however it ends; held[] of its attachment says so, and the pipe has the sums. Where an end was
 * held and is no more, the other end is told: what is there is received, then comes the end of
 * file.
 *
 * Messages are blocks in one list for each end. A large one is copied outside the guard, in and
 * out: on its way in it is a reserved run, on its way out it stays in the list with the name of its
 * reader, and so is received by another if that one is killed. Those in front of the first one that
 * can be received are being copied now, so every walk is short.
 */
#include "objects/pipe.h"
#include "core/attachment.h"
#include "core/audit.h"
#include "core/pages.h"
#include "core/type.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/refs.h"
#include "value/value.h"

struct bri_message_shm *bri_message_at(const struct bri_object *o, uint64_t off)
{
    struct bri_message_shm *m = BRI_AT(o->arena, off, struct bri_message_shm);

    if (m == NULL || m->size > BRI_MESSAGE_MAX || bri_block_capacity(o, off) < sizeof(*m) + m->size)
        return NULL;
    return m;
}

/* ---- ends ---- */

static int check_direction(const struct bri_pipe_shm *p, const struct bri_pipe_use *use)
{
    bool wrong = (p->flags & BRI_PIPE_ONE_WAY) != 0 && use->sends == (use->end == 0);

    return wrong ? BROKER_INVALID : 0;
}

static int hold_try(struct bri_txn *t, void *arg)
{
    const uint32_t end = *(const uint32_t *)arg;
    struct bri_pipe_shm *p = bri_pipe_of(t->o);

    if (t->o->att->held[end] != 0)
        return 0;
    bri_set64(t, &t->o->att->held[end], 1);
    bri_set32(t, &p->n_holders[end], p->n_holders[end] + 1);
    if ((p->flags & BRI_PIPE_WAS_HELD(end)) == 0)
        bri_set64(t, &p->flags, p->flags | BRI_PIPE_WAS_HELD(end));
    return t->failed;
}

static int hold_to_use_try(struct bri_txn *t, void *arg)
{
    struct bri_pipe_use *use = arg;
    int r = check_direction(bri_pipe_of(t->o), use);

    return r < 0 ? r : hold_try(t, &use->end);
}

int bri_pipe_begin_use(struct bri_handle *h, uint64_t end, bool sends, struct bri_pipe_use *out)
{
    struct bri_attachment_shm *att = h->object.att;

    if (end > 1)
        return BROKER_INVALID;
    if (att == NULL)
        return BROKER_ACCESS;
    *out = (struct bri_pipe_use){.end = (uint32_t)end, .sends = sends};
    if (*(volatile uint64_t *)&att->held[end] != 0)
        return 0;
    return bri_section(&h->object, hold_to_use_try, out);
}

int bri_pipe_check_use(const struct bri_txn *t, const struct bri_pipe_use *use)
{
    int r = check_direction(bri_pipe_of(t->o), use);

    return r == 0 && t->o->att->held[use->end] == 0 ? BROKER_CLOSED : r;
}

int bri_pipe_hold(struct bri_handle *h, uint64_t end)
{
    uint32_t which = (uint32_t)end;

    if (end > 1)
        return BROKER_INVALID;
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, hold_try, &which);
}

/* Whoever waits looks again: at the other end, and in other threads of this session. */
static void let_go(struct bri_txn *t, uint32_t end)
{
    struct bri_pipe_shm *p = bri_pipe_of(t->o);

    if (p->n_holders[end] == 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, &t->o->att->held[end], 0);
    bri_set32(t, &p->n_holders[end], p->n_holders[end] - 1);
    for (uint32_t i = 0; i < 2; i++) {
        bri_wake(t, BRI_PIPE_RECEIVE(i), BRI_WAKE_ALL);
        bri_wake(t, BRI_PIPE_SEND(i), BRI_WAKE_ALL);
    }
}

static int release_try(struct bri_txn *t, void *arg)
{
    const uint32_t end = *(const uint32_t *)arg;

    if (t->o->att->held[end] == 0)
        return BROKER_NOTOWNER;
    let_go(t, end);
    return t->failed;
}

int bri_pipe_release(struct bri_handle *h, uint64_t end)
{
    uint32_t which = (uint32_t)end;

    if (end > 1)
        return BROKER_INVALID;
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, release_try, &which);
}

/* ---- sending ---- */

struct send {
    struct bri_pipe_use use;
    broker_value value;
    uint32_t size; /* encoded */
    uint32_t page; /* of a large message: reserved, and filled already */
    bool has_refs; /* there are references in the value */
};

/* 0, or BRI_WAIT while there is no room, or why there never will be. */
static int check_room(const struct bri_txn *t, const struct send *x)
{
    const struct bri_pipe_shm *p = bri_pipe_of(t->o);
    const struct bri_lane_shm *lane = &p->to[1 - x->use.end];
    int r = bri_pipe_check_use(t, &x->use);

    if (r < 0)
        return r;
    if (bri_pipe_is_deserted(p, 1 - x->use.end))
        return BROKER_CLOSED;
    if (p->max_bytes != 0 && x->size > p->max_bytes)
        return BROKER_TOOBIG;
    if (p->max_items != 0 && lane->n_ready >= p->max_items)
        return BRI_WAIT;
    if (p->max_bytes != 0 && lane->n_bytes + x->size > p->max_bytes)
        return BRI_WAIT;
    return 0;
}

static void fill(struct bri_message_shm *m, const struct send *x)
{
    *m = (struct bri_message_shm){.size = x->size};
    (void)bri_value_encode(x->value, (uint8_t *)(m + 1));
}

static uint64_t new_message(struct bri_txn *t, const struct send *x)
{
    uint64_t off = bri_alloc(t, sizeof(struct bri_message_shm) + x->size);

    if (off != 0)
        fill((struct bri_message_shm *)(void *)(t->o->arena->base + off), x);
    return off;
}

static void append(struct bri_txn *t, struct bri_lane_shm *lane, uint64_t off, uint32_t size)
{
    struct bri_message_shm *last =
        lane->last_off != 0 ? bri_message_at(t->o, lane->last_off) : NULL;

    if ((last != NULL) != (lane->first_off != 0)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, last != NULL ? &last->next_off : &lane->first_off, off);
    bri_set64(t, &lane->last_off, off);
    bri_set64(t, &lane->n_ready, lane->n_ready + 1);
    bri_set64(t, &lane->n_bytes, lane->n_bytes + size);
    bri_set64(t, &lane->n_sent, lane->n_sent + 1);
}

int bri_pipe_add(struct bri_txn *t, struct bri_lane_shm *lane, const void *bytes, uint32_t size)
{
    uint64_t off = bri_alloc(t, sizeof(struct bri_message_shm) + size);
    struct bri_message_shm *m;

    if (off == 0)
        return t->failed;
    m = (struct bri_message_shm *)(void *)(t->o->arena->base + off);
    *m = (struct bri_message_shm){.size = size};
    memcpy(m + 1, bytes, size);
    append(t, lane, off, size);
    return t->failed;
}

static int send_try(struct bri_txn *t, void *arg)
{
    const struct send *x = arg;
    uint32_t to = 1 - x->use.end;
    uint64_t off;
    int r = check_room(t, x);

    if (r == 0 && __builtin_expect(x->has_refs, 0))
        r = bri_refs_store(t, x->value);
    if (r != 0)
        return r;
    off = x->page != 0 ? bri_unreserve(t, x->page) : new_message(t, x);
    if (off == 0)
        return t->failed;
    append(t, &bri_pipe_of(t->o)->to[to], off, x->size);
    bri_wake(t, BRI_PIPE_RECEIVE(to), 1);
    return t->failed;
}

static int reserve_try(struct bri_txn *t, void *arg)
{
    struct send *x = arg;
    int r = check_room(t, x);

    if (r < 0)
        return r; /* no need to copy what is not wanted */
    x->page = bri_reserve(t, sizeof(struct bri_message_shm) + x->size);
    return t->failed;
}

static int unreserve_try(struct bri_txn *t, void *arg)
{
    const struct send *x = arg;

    bri_release_reserved(t, x->page);
    return t->failed;
}

static int send_large(struct bri_object *o, struct send *x, int64_t timeout_ns)
{
    int r = bri_section(o, reserve_try, x);

    if (r < 0)
        return r;
    fill(bri_page_at(o->arena, x->page), x);
    r = bri_blocking(o, BRI_PIPE_SEND(x->use.end), timeout_ns, BROKER_FULL, send_try, x);
    if (r < 0)
        (void)bri_section(o, unreserve_try, x); /* if that fails, the session's end does it */
    return r;
}

int bri_pipe_send(struct bri_handle *h, uint64_t end, broker_value value, int64_t timeout_ns)
{
    struct send x = {.value = value};
    size_t size;
    int r = timeout_ns < 0 ? BROKER_INVALID : bri_value_measure(value, &size);

    if (r == 0)
        r = size > BRI_MESSAGE_MAX ? BROKER_TOOBIG : bri_pipe_begin_use(h, end, true, &x.use);
    if (r < 0)
        return r;
    x.size = (uint32_t)size;
    x.has_refs = bri_ref_in(value);
    if (size > BRI_MESSAGE_SMALL)
        return send_large(&h->object, &x, timeout_ns);
    return bri_blocking(
        &h->object, BRI_PIPE_SEND(x.use.end), timeout_ns, BROKER_FULL, send_try, &x);
}

/* ---- looking ---- */

struct len {
    uint64_t end, n;
};

static int len_try(struct bri_object *o, void *arg)
{
    struct len *x = arg;

    x->n = *(volatile uint64_t *)&bri_pipe_of(o)->to[x->end].n_ready;
    return 0;
}

int bri_pipe_len(struct bri_handle *h, uint64_t end, uint64_t *out_count)
{
    struct len x = {.end = end};
    int r = end > 1 ? BROKER_INVALID : bri_read(h, len_try, &x);

    if (r == 0)
        *out_count = x.n;
    return r;
}

/* ---- the type ---- */

static int pipe_create(struct bri_object *o, const void *options)
{
    const broker_pipe_options *wanted = options;
    struct bri_pipe_shm *p = bri_pipe_of(o);

    if (wanted == NULL)
        return 0;
    p->max_items = wanted->max_items;
    p->max_bytes = wanted->max_bytes;
    p->flags = wanted->one_way ? BRI_PIPE_ONE_WAY : 0;
    return 0;
}

static int pipe_match(const struct bri_object *o, const void *options)
{
    const broker_pipe_options *wanted = options;
    const struct bri_pipe_shm *p = bri_pipe_of(o);

    if ((wanted->max_items != 0 && wanted->max_items != p->max_items) ||
        (wanted->max_bytes != 0 && wanted->max_bytes != p->max_bytes) ||
        (wanted->one_way && (p->flags & BRI_PIPE_ONE_WAY) == 0))
        return BROKER_MISMATCH;
    return bri_match_quota(o, wanted->quota_bytes);
}

static int pipe_reap(struct bri_object *o, bool died)
{
    struct bri_txn t;
    int r = bri_reap_begin(&t, o);

    (void)died;
    if (r < 0)
        return r;
    for (uint32_t end = 0; end < 2; end++) {
        bri_pipe_give_back(&t, end);
        if (o->att->held[end] != 0)
            let_go(&t, end);
    }
    return bri_end(&t, 0);
}

static bool pipe_ready(struct bri_object *o, struct bri_wait_word *out)
{
    const volatile uint64_t *held = o->att->held;
    uint32_t end = held[0] != 0 ? 0 : 1;

    bri_wait_word_of(o, BRI_PIPE_RECEIVE(end), out);
    return held[end] != 0 && bri_pipe_look(bri_pipe_of(o), end) != BRI_WAIT;
}

/* Room is made by who has the pipe open, while somebody holds the other end; before that, by
 * whoever comes. A message may come from anybody. */
static void pipe_ends(const struct bri_object *o, unsigned channel, struct bri_ends *out)
{
    const volatile struct bri_pipe_shm *p = bri_pipe_of(o);
    bool receivers = (channel == BRI_PIPE_SEND(0) && p->n_holders[1] > 0) ||
                     (channel == BRI_PIPE_SEND(1) && p->n_holders[0] > 0);

    *out =
        (struct bri_ends){.by = receivers ? BRI_BY_USERS : BRI_BY_ANYBODY, .proof = bri_version(o)};
}

/* The collector's place is a message, with the number of its lane and 1 more in the low bits. */
static void pipe_refs(const struct bri_object *o, struct bri_collect_look *look)
{
    const struct bri_pipe_shm *p = bri_pipe_of(o);
    uint64_t lane = look->scan & 3, off = look->scan - lane;
    const struct bri_message_shm *m;

    if (lane == 0 || off == 0) {
        look->scan = lane < 2 ? p->to[lane].first_off | (lane + 1) : BRI_SCAN_END;
        return;
    }
    m = bri_message_at(o, off);
    look->scan = m != NULL ? m->next_off | lane : BRI_SCAN_END;
    if (m != NULL)
        bri_refs_look(look, m + 1, m->size);
}

static void audit_lane(const struct bri_object *o, uint32_t end, struct bri_audit *audit)
{
    const struct bri_pipe_shm *p = bri_pipe_of(o);
    const struct bri_lane_shm *lane = &p->to[end];
    uint64_t last = 0, n_ready = 0, n_bytes = 0, n_reading = 0;
    uint64_t left = o->arena->size / sizeof(struct bri_message_shm);

    for (uint64_t off = lane->first_off; off != 0; left--) {
        const struct bri_message_shm *m = left > 0 ? bri_message_at(o, off) : NULL;

        if (m == NULL) {
            bri_audit_fail(audit, o, "the messages to end %u are broken", end);
            return;
        }
        bri_audit_block(audit, o, off);
        n_ready += m->reader == 0;
        n_bytes += m->reader == 0 ? m->size : 0;
        n_reading += m->reader != 0;
        last = off;
        off = m->next_off;
    }
    if (last != lane->last_off)
        bri_audit_fail(audit, o, "the last message to end %u is another", end);
    if (n_ready != lane->n_ready || n_bytes != lane->n_bytes || n_reading != p->n_reading[end])
        bri_audit_fail(audit, o,
            "%llu messages of %llu bytes to end %u and %llu being read, but the counts differ",
            (unsigned long long)n_ready, (unsigned long long)n_bytes, end,
            (unsigned long long)n_reading);
}

static void pipe_audit(const struct bri_object *o, struct bri_audit *audit)
{
    const struct bri_pipe_shm *p = bri_pipe_of(o);

    for (uint32_t end = 0; end < 2; end++) {
        audit_lane(o, end, audit);
        if (audit->held[end] != p->n_holders[end] ||
            (p->n_holders[end] != 0 && (p->flags & BRI_PIPE_WAS_HELD(end)) == 0))
            bri_audit_fail(audit, o, "end %u has %u holders, but sessions hold it %llu times", end,
                p->n_holders[end], (unsigned long long)audit->held[end]);
    }
    if (audit->n_leases != (uint64_t)p->n_reading[0] + p->n_reading[1])
        bri_audit_fail(audit, o, "%u messages are being read, but sessions read %llu",
            p->n_reading[0] + p->n_reading[1], (unsigned long long)audit->n_leases);
}

static void pipe_stat(const struct bri_object *o, struct bri_stat *stat)
{
    static const struct {
        const char *holders, *messages, *payload, *sent, *reading;
    } names[2] = {{"holders_0", "messages_0", "payload_bytes_0", "sent_0", "reading_0"},
        {"holders_1", "messages_1", "payload_bytes_1", "sent_1", "reading_1"}};
    const struct bri_pipe_shm *p = bri_pipe_of(o);

    for (uint32_t end = 0; end < 2; end++) {
        bri_stat_add(stat, names[end].holders, p->n_holders[end]);
        bri_stat_add(stat, names[end].messages, p->to[end].n_ready);
        bri_stat_add(stat, names[end].payload, p->to[end].n_bytes);
        bri_stat_add(stat, names[end].sent, p->to[end].n_sent);
        bri_stat_add(stat, names[end].reading, p->n_reading[end]);
    }
    bri_stat_add(stat, "max_items", p->max_items);
    bri_stat_add(stat, "max_bytes", p->max_bytes);
    bri_stat_add(stat, "one_way", (p->flags & BRI_PIPE_ONE_WAY) != 0);
}

const struct bri_type_ops bri_pipe_type = {
    .number = BRI_TYPE_PIPE,
    .name = "pipe",
    .has_heap = true,
    .create = pipe_create,
    .match = pipe_match,
    .reap = pipe_reap,
    .ends = pipe_ends,
    .ready = pipe_ready,
    .refs = pipe_refs,
    .audit = pipe_audit,
    .stat = pipe_stat,
    .save = bri_pipe_save,
    .load = bri_pipe_load,
};
