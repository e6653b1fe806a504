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
#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/session.h"
#include "core/type.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "value/value.h"

#define RECEIVE(end) (end) /* channels: for those who wait at an end */
#define SEND(end) (2u + (end))

#define ONE_WAY 4u /* flags, and for each end one that says that somebody has held it */
#define WAS_HELD(end) (UINT64_C(1) << (end))

#define MESSAGE_MAX (UINT32_C(1) << 30) /* encoded bytes */
#define SMALL_MAX (BRI_SMALL_MAX - (uint32_t)sizeof(struct message_shm))
#define MAX_WALK 100000000u

struct message_shm {
    uint64_t next_off; /* [guard] the one behind it */
    uint32_t size;     /* [const] of the encoded value, which follows */
    uint32_t reader;   /* [guard] who copies it: attachment, in units; 0: nobody has it */
};

/* The messages to one end. */
struct lane_shm {
    uint64_t first_off; /* [guard] */
    uint64_t last_off;  /* [guard] */
    uint64_t n_ready;   /* [guard] of those that nobody has */
    uint64_t n_bytes;   /* [guard] of the same */
    uint64_t n_sent;    /* [guard] ever */
};

struct pipe_shm {
    struct lane_shm to[2];
    uint32_t n_holders[2]; /* [guard] sessions, by end */
    uint32_t n_reading[2]; /* [guard] messages that are being copied */
    uint64_t max_items;    /* [const] in one lane; 0 is none */
    uint64_t max_bytes;    /* [const] the same */
    uint64_t flags;        /* [guard] ONE_WAY [const], WAS_HELD */
};

_Static_assert(sizeof(struct pipe_shm) <= BRI_SLOT_STATE, "pipe state size");

static inline struct pipe_shm *state_of(const struct bri_object *o)
{
    return (struct pipe_shm *)o->slot->state;
}

/* In a section or an audit. */
static struct message_shm *message_at(const struct bri_object *o, uint64_t off)
{
    struct message_shm *m = BRI_AT(o->arena, off, struct message_shm);

    if (m == NULL || m->size > MESSAGE_MAX || bri_block_capacity(o, off) < sizeof(*m) + m->size)
        return NULL;
    return m;
}

static uint32_t reader_of(const struct bri_object *o)
{
    return (uint32_t)(bri_off(o->arena, o->att) >> BRI_UNIT_SHIFT);
}

/* ---- ends ---- */

/* The last one to hold this end is gone. */
static bool is_deserted(const struct pipe_shm *p, uint32_t end)
{
    return (p->flags & WAS_HELD(end)) != 0 && p->n_holders[end] == 0;
}

static int check_direction(const struct pipe_shm *p, const struct bri_pipe_use *use)
{
    bool wrong = (p->flags & ONE_WAY) != 0 && use->sends == (use->end == 0);

    return wrong ? BROKER_INVALID : 0;
}

static int hold_try(struct bri_txn *t, void *arg)
{
    const uint32_t end = *(const uint32_t *)arg;
    struct pipe_shm *p = state_of(t->o);

    if (t->o->att->held[end] != 0)
        return 0;
    bri_set64(t, &t->o->att->held[end], 1);
    bri_set32(t, &p->n_holders[end], p->n_holders[end] + 1);
    if ((p->flags & WAS_HELD(end)) == 0)
        bri_set64(t, &p->flags, p->flags | WAS_HELD(end));
    return t->failed;
}

static int hold_to_use_try(struct bri_txn *t, void *arg)
{
    struct bri_pipe_use *use = arg;
    int r = check_direction(state_of(t->o), use);

    return r < 0 ? r : hold_try(t, &use->end);
}

/* Checks what an operation on an end is given, and holds the end if this session does not yet. */
static int begin_use(struct bri_handle *h, uint64_t end, bool sends, struct bri_pipe_use *out)
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

/* In every try: another thread of this session may have released the end. */
static int check_use(const struct bri_txn *t, const struct bri_pipe_use *use)
{
    int r = check_direction(state_of(t->o), use);

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
    struct pipe_shm *p = state_of(t->o);

    if (p->n_holders[end] == 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, &t->o->att->held[end], 0);
    bri_set32(t, &p->n_holders[end], p->n_holders[end] - 1);
    for (uint32_t i = 0; i < 2; i++) {
        bri_wake(t, RECEIVE(i), BRI_WAKE_ALL);
        bri_wake(t, SEND(i), BRI_WAKE_ALL);
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
};

/* 0, or BRI_WAIT while there is no room, or why there never will be. */
static int check_room(const struct bri_txn *t, const struct send *x)
{
    const struct pipe_shm *p = state_of(t->o);
    const struct lane_shm *lane = &p->to[1 - x->use.end];
    int r = check_use(t, &x->use);

    if (r < 0)
        return r;
    if (is_deserted(p, 1 - x->use.end))
        return BROKER_CLOSED;
    if (p->max_bytes != 0 && x->size > p->max_bytes)
        return BROKER_TOOBIG;
    if (p->max_items != 0 && lane->n_ready >= p->max_items)
        return BRI_WAIT;
    if (p->max_bytes != 0 && lane->n_bytes + x->size > p->max_bytes)
        return BRI_WAIT;
    return 0;
}

static void fill(struct message_shm *m, const struct send *x)
{
    *m = (struct message_shm){.size = x->size};
    (void)bri_value_encode(x->value, (uint8_t *)(m + 1));
}

static uint64_t new_message(struct bri_txn *t, const struct send *x)
{
    uint64_t off = bri_alloc(t, sizeof(struct message_shm) + x->size);

    if (off != 0)
        fill((struct message_shm *)(void *)(t->o->arena->base + off), x);
    return off;
}

static void append(struct bri_txn *t, struct lane_shm *lane, uint64_t off, uint32_t size)
{
    struct message_shm *last = lane->last_off != 0 ? message_at(t->o, lane->last_off) : NULL;

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

static int send_try(struct bri_txn *t, void *arg)
{
    const struct send *x = arg;
    uint32_t to = 1 - x->use.end;
    uint64_t off;
    int r = check_room(t, x);

    if (r != 0)
        return r;
    off = x->page != 0 ? bri_unreserve(t, x->page) : new_message(t, x);
    if (off == 0)
        return t->failed;
    append(t, &state_of(t->o)->to[to], off, x->size);
    bri_wake(t, RECEIVE(to), 1);
    return t->failed;
}

static int reserve_try(struct bri_txn *t, void *arg)
{
    struct send *x = arg;
    int r = check_room(t, x);

    if (r < 0)
        return r; /* no need to copy what is not wanted */
    x->page = bri_reserve(t, sizeof(struct message_shm) + x->size);
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
    r = bri_blocking(o, SEND(x->use.end), timeout_ns, BROKER_FULL, send_try, x);
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
        r = size > MESSAGE_MAX ? BROKER_TOOBIG : begin_use(h, end, true, &x.use);
    if (r < 0)
        return r;
    x.size = (uint32_t)size;
    if (size > SMALL_MAX)
        return send_large(&h->object, &x, timeout_ns);
    return bri_blocking(&h->object, SEND(x.use.end), timeout_ns, BROKER_FULL, send_try, &x);
}

/* ---- receiving ---- */

/* 0 if a message is there, CLOSED if none will come any more, BRI_WAIT. One that is being copied
 * may come back. */
static int look(const struct pipe_shm *p, uint32_t end)
{
    if (p->to[end].n_ready != 0)
        return 0;
    return is_deserted(p, 1 - end) && p->n_reading[end] == 0 ? BROKER_CLOSED : BRI_WAIT;
}

/* The first message that nobody has; NULL, and damaged, if there is none. */
static struct message_shm *first_ready(struct bri_txn *t, const struct lane_shm *lane)
{
    uint64_t off = lane->first_off;

    for (uint32_t left = MAX_WALK; left > 0; left--) {
        struct message_shm *m = message_at(t->o, off);

        if (m == NULL)
            break;
        if (m->reader == 0)
            return m;
        off = m->next_off;
    }
    (void)BRI_DAMAGED(t);
    return NULL;
}

/* Takes a message out of its lane, which it is at the front of, and lets it go. */
static void drop(struct bri_txn *t, struct lane_shm *lane, const struct message_shm *m)
{
    uint64_t off = bri_off(t->o->arena, m), *link = &lane->first_off, before = 0;

    for (uint32_t left = MAX_WALK; *link != off; left--) {
        struct message_shm *other = left > 0 ? message_at(t->o, *link) : NULL;

        if (other == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        before = *link;
        link = &other->next_off;
    }
    bri_set64(t, link, m->next_off);
    if (lane->last_off == off)
        bri_set64(t, &lane->last_off, before);
    bri_free(t, off);
}

/* This session becomes the message's reader (@change 1), or is that no more. */
static void set_reading(
    struct bri_txn *t, struct message_shm *m, uint32_t end, uint32_t reader, uint32_t change)
{
    struct bri_attachment_shm *att = t->o->att;
    uint32_t *n_reading = &state_of(t->o)->n_reading[end];

    bri_set32(t, &m->reader, reader);
    bri_set32(t, &att->n_leases, att->n_leases + change);
    bri_set32(t, n_reading, *n_reading + change);
}

static void count_ready(
    struct bri_txn *t, struct lane_shm *lane, const struct message_shm *m, uint64_t change)
{
    bri_set64(t, &lane->n_ready, lane->n_ready + change);
    bri_set64(t, &lane->n_bytes, lane->n_bytes + change * m->size);
}

/* Room came: for one who waits for a place, and for all who wait for bytes. */
static void wake_senders(struct bri_txn *t, const struct pipe_shm *p, uint32_t end)
{
    if ((p->max_items | p->max_bytes) != 0)
        bri_wake(t, SEND(1 - end), p->max_bytes != 0 ? BRI_WAKE_ALL : 1);
}

int bri_pipe_receive_try(struct bri_txn *t, void *arg)
{
    struct pipe_shm *p = state_of(t->o);
    struct bri_pipe_receive *x = arg;
    uint32_t end = x->use.end;
    struct lane_shm *lane = &p->to[end];
    struct message_shm *m;
    int r = check_use(t, &x->use);

    if (r == 0)
        r = look(p, end);
    if (r != 0)
        return r;
    m = first_ready(t, lane);
    if (m == NULL)
        return t->failed;
    if (bri_output_lacks(&x->out, m->size))
        return BRI_MORE;
    x->out.buffer->size = m->size;
    x->bytes = NULL;
    count_ready(t, lane, m, UINT64_MAX); /* one fewer */
    wake_senders(t, p, end);
    if (m->size <= SMALL_MAX) {
        bri_copy(x->out.buffer->data, m + 1, m->size);
        drop(t, lane, m);
    } else {
        x->off = bri_off(t->o->arena, m);
        x->bytes = (const uint8_t *)(m + 1);
        set_reading(t, m, end, reader_of(t->o), 1);
    }
    return t->failed;
}

static int copied_try(struct bri_txn *t, void *arg)
{
    const struct bri_pipe_receive *x = arg;
    struct message_shm *m = message_at(t->o, x->off);
    uint32_t end = x->use.end;

    if (m == NULL || m->reader != reader_of(t->o))
        return BROKER_INTERNAL;
    set_reading(t, m, end, 0, UINT32_MAX);
    drop(t, &state_of(t->o)->to[end], m);
    if (is_deserted(state_of(t->o), 1 - end))
        bri_wake(t, RECEIVE(end), BRI_WAKE_ALL); /* this was the last that could come */
    return t->failed;
}

static int receive(struct bri_handle *h, int64_t timeout_ns, struct bri_pipe_receive *x)
{
    /* Only a timeout that ends needs the clock, in case the buffer must grow in between. */
    int64_t deadline = timeout_ns == 0 || timeout_ns == BRI_NEVER ? 0 : bri_deadline(timeout_ns);
    int if_now = BROKER_EMPTY, r;

    for (;;) {
        r = bri_blocking(
            &h->object, RECEIVE(x->use.end), timeout_ns, if_now, bri_pipe_receive_try, x);
        if (r != BRI_MORE)
            break;
        r = bri_output_grow(&x->out);
        if (r < 0)
            return r;
        if (deadline != 0) {
            timeout_ns = deadline - bri_now() > 0 ? deadline - bri_now() : 0;
            if_now = BROKER_TIMEDOUT;
        }
    }
    if (r < 0 || x->bytes == NULL)
        return r;
    bri_copy(x->out.buffer->data, x->bytes, x->out.buffer->size);
    return bri_section(&h->object, copied_try, x);
}

int bri_pipe_recv(struct bri_handle *h, uint64_t end, int64_t timeout_ns, broker_buffer *buffer,
    broker_value *out_value)
{
    struct bri_pipe_receive x = {.out.buffer = buffer};
    int r = timeout_ns < 0 ? BROKER_INVALID : begin_use(h, end, false, &x.use);

    if (r == 0)
        r = receive(h, timeout_ns, &x);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

/* Who waited may have been woken in the place of one who receives. */
static int poll_try(struct bri_txn *t, void *arg)
{
    struct bri_pipe_receive *x = arg;
    int r = check_use(t, &x->use);

    if (r < 0)
        return r;
    r = look(state_of(t->o), x->use.end);
    if (r == BRI_WAIT)
        x->waited = true;
    else if (x->waited)
        bri_wake(t, RECEIVE(x->use.end), 1);
    return r == BROKER_CLOSED ? 0 : r;
}

int bri_pipe_poll(struct bri_handle *h, uint64_t end, int64_t timeout_ns)
{
    struct bri_pipe_receive x = {0};
    int r = timeout_ns < 0 ? BROKER_INVALID : begin_use(h, end, false, &x.use);

    if (r < 0)
        return r;
    return bri_blocking(&h->object, RECEIVE(x.use.end), timeout_ns, BROKER_EMPTY, poll_try, &x);
}

struct len {
    uint64_t end, n;
};

static int len_try(struct bri_object *o, void *arg)
{
    struct len *x = arg;

    x->n = *(volatile uint64_t *)&state_of(o)->to[x->end].n_ready;
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
    struct pipe_shm *p = state_of(o);

    if (wanted == NULL)
        return 0;
    p->max_items = wanted->max_items;
    p->max_bytes = wanted->max_bytes;
    p->flags = wanted->one_way ? ONE_WAY : 0;
    return 0;
}

static int pipe_match(const struct bri_object *o, const void *options)
{
    const broker_pipe_options *wanted = options;
    const struct pipe_shm *p = state_of(o);

    if ((wanted->max_items != 0 && wanted->max_items != p->max_items) ||
        (wanted->max_bytes != 0 && wanted->max_bytes != p->max_bytes) ||
        (wanted->one_way && (p->flags & ONE_WAY) == 0))
        return BROKER_MISMATCH;
    return bri_match_quota(o, wanted->quota_bytes);
}

/* What the session was copying from @end can be received again. */
static void give_back(struct bri_txn *t, uint32_t end)
{
    struct pipe_shm *p = state_of(t->o);
    uint64_t off = p->to[end].first_off;

    for (uint32_t left = MAX_WALK; left > 0 && p->n_reading[end] != 0 && t->o->att->n_leases != 0;
         left--) {
        struct message_shm *m = message_at(t->o, off);

        if (m == NULL)
            return; /* the rest is in the other lane */
        if (m->reader == reader_of(t->o)) {
            set_reading(t, m, end, 0, UINT32_MAX);
            count_ready(t, &p->to[end], m, 1);
        }
        off = m->next_off;
    }
}

static int pipe_reap(struct bri_object *o, bool died)
{
    struct bri_txn t;
    int r = bri_reap_begin(&t, o);

    (void)died;
    if (r < 0)
        return r;
    for (uint32_t end = 0; end < 2; end++) {
        give_back(&t, end);
        if (o->att->held[end] != 0)
            let_go(&t, end);
    }
    return bri_end(&t, 0);
}

static bool pipe_ready(struct bri_object *o, struct bri_wait_word *out)
{
    const volatile uint64_t *held = o->att->held;
    uint32_t end = held[0] != 0 ? 0 : 1;

    bri_wait_word_of(o, RECEIVE(end), out);
    return held[end] != 0 && look(state_of(o), end) != BRI_WAIT;
}

static void audit_lane(const struct bri_object *o, uint32_t end, struct bri_audit *audit)
{
    const struct pipe_shm *p = state_of(o);
    const struct lane_shm *lane = &p->to[end];
    uint64_t last = 0, n_ready = 0, n_bytes = 0, n_reading = 0;
    uint64_t left = o->arena->size / sizeof(struct message_shm);

    for (uint64_t off = lane->first_off; off != 0; left--) {
        const struct message_shm *m = left > 0 ? message_at(o, off) : NULL;

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
    const struct pipe_shm *p = state_of(o);

    for (uint32_t end = 0; end < 2; end++) {
        audit_lane(o, end, audit);
        if (audit->held[end] != p->n_holders[end] ||
            (p->n_holders[end] != 0 && (p->flags & WAS_HELD(end)) == 0))
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
    const struct pipe_shm *p = state_of(o);

    for (uint32_t end = 0; end < 2; end++) {
        bri_stat_add(stat, names[end].holders, p->n_holders[end]);
        bri_stat_add(stat, names[end].messages, p->to[end].n_ready);
        bri_stat_add(stat, names[end].payload, p->to[end].n_bytes);
        bri_stat_add(stat, names[end].sent, p->to[end].n_sent);
        bri_stat_add(stat, names[end].reading, p->n_reading[end]);
    }
    bri_stat_add(stat, "max_items", p->max_items);
    bri_stat_add(stat, "max_bytes", p->max_bytes);
    bri_stat_add(stat, "one_way", (p->flags & ONE_WAY) != 0);
}

const struct bri_type_ops bri_pipe_type = {
    .number = BRI_TYPE_PIPE,
    .name = "pipe",
    .has_heap = true,
    .create = pipe_create,
    .match = pipe_match,
    .reap = pipe_reap,
    .ready = pipe_ready,
    .audit = pipe_audit,
    .stat = pipe_stat,
};
