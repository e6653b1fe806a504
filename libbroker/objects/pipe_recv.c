/*
 * pipe_recv.c - receiving from a pipe
 *
 * A small message is copied in the section that takes it. A large one is taken in two: after the
 * first it is its reader's, and still in its lane; after the second it is gone. Killed in between,
 * the end of the session makes it one that can be received again, in its old place.
 */
#include "core/collect.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/pipe.h"
#include "value/value.h"

int bri_pipe_look(const struct bri_pipe_shm *p, uint32_t end)
{
    if (p->to[end].n_ready != 0)
        return 0;
    return bri_pipe_is_deserted(p, 1 - end) && p->n_reading[end] == 0 ? BROKER_CLOSED : BRI_WAIT;
}

/* The first message that nobody has; NULL, and damaged, if there is none. */
static struct bri_message_shm *first_ready(struct bri_txn *t, const struct bri_lane_shm *lane)
{
    uint64_t off = lane->first_off;

    for (uint32_t left = BRI_PIPE_MAX_WALK; left > 0; left--) {
        struct bri_message_shm *m = bri_message_at(t->o, off);

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
static void drop(struct bri_txn *t, struct bri_lane_shm *lane, const struct bri_message_shm *m)
{
    uint64_t off = bri_off(t->o->arena, m), *link = &lane->first_off, before = 0;

    for (uint32_t left = BRI_PIPE_MAX_WALK; *link != off; left--) {
        struct bri_message_shm *other = left > 0 ? bri_message_at(t->o, *link) : NULL;

        if (other == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        before = *link;
        link = &other->next_off;
    }
    if (bri_scan_of(t) && t->o->slot->scan >> 2 == off >> 2) /* see pipe_refs() */
        bri_set64(t, &t->o->slot->scan, m->next_off | (t->o->slot->scan & 3));
    bri_set64(t, link, m->next_off);
    if (lane->last_off == off)
        bri_set64(t, &lane->last_off, before);
    bri_free(t, off);
}

/* This session becomes the message's reader (@change 1), or is that no more. */
static void set_reading(
    struct bri_txn *t, struct bri_message_shm *m, uint32_t end, uint32_t reader, uint32_t change)
{
    struct bri_attachment_shm *att = t->o->att;
    uint32_t *n_reading = &bri_pipe_of(t->o)->n_reading[end];

    bri_set32(t, &m->reader, reader);
    bri_set32(t, &att->n_leases, att->n_leases + change);
    bri_set32(t, n_reading, *n_reading + change);
}

static void count_ready(
    struct bri_txn *t, struct bri_lane_shm *lane, const struct bri_message_shm *m, uint64_t change)
{
    bri_set64(t, &lane->n_ready, lane->n_ready + change);
    bri_set64(t, &lane->n_bytes, lane->n_bytes + change * m->size);
}

/* Room came: for one who waits for a place, and for all who wait for bytes. */
static void wake_senders(struct bri_txn *t, const struct bri_pipe_shm *p, uint32_t end)
{
    if ((p->max_items | p->max_bytes) != 0)
        bri_wake(t, BRI_PIPE_SEND(1 - end), p->max_bytes != 0 ? BRI_WAKE_ALL : 1);
}

int bri_pipe_receive_try(struct bri_txn *t, void *arg)
{
    struct bri_pipe_shm *p = bri_pipe_of(t->o);
    struct bri_pipe_receive *x = arg;
    uint32_t end = x->use.end;
    struct bri_lane_shm *lane = &p->to[end];
    struct bri_message_shm *m;
    int r = bri_pipe_check_use(t, &x->use);

    if (r == 0)
        r = bri_pipe_look(p, end);
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
    if (m->size <= BRI_MESSAGE_SMALL) {
        bri_copy(x->out.buffer->data, m + 1, m->size);
        drop(t, lane, m);
    } else {
        x->off = bri_off(t->o->arena, m);
        x->bytes = (const uint8_t *)(m + 1);
        set_reading(t, m, end, bri_pipe_reader(t->o), 1);
    }
    return t->failed;
}

static int copied_try(struct bri_txn *t, void *arg)
{
    const struct bri_pipe_receive *x = arg;
    struct bri_message_shm *m = bri_message_at(t->o, x->off);
    uint32_t end = x->use.end;

    if (m == NULL || m->reader != bri_pipe_reader(t->o))
        return BROKER_INTERNAL;
    set_reading(t, m, end, 0, UINT32_MAX);
    drop(t, &bri_pipe_of(t->o)->to[end], m);
    if (bri_pipe_is_deserted(bri_pipe_of(t->o), 1 - end))
        bri_wake(t, BRI_PIPE_RECEIVE(end), BRI_WAKE_ALL); /* this was the last that could come */
    return t->failed;
}

static int receive(struct bri_handle *h, int64_t timeout_ns, struct bri_pipe_receive *x)
{
    /* Only a timeout that ends needs the clock, in case the buffer must grow in between. */
    int64_t deadline = timeout_ns == 0 || timeout_ns == BRI_NEVER ? 0 : bri_deadline(timeout_ns);
    int if_now = BROKER_EMPTY, r;

    for (;;) {
        r = bri_blocking(
            &h->object, BRI_PIPE_RECEIVE(x->use.end), timeout_ns, if_now, bri_pipe_receive_try, x);
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
    int r = timeout_ns < 0 ? BROKER_INVALID : bri_pipe_begin_use(h, end, false, &x.use);

    if (r == 0)
        r = receive(h, timeout_ns, &x);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

/* Who waited may have been woken in the place of one who receives. */
static int poll_try(struct bri_txn *t, void *arg)
{
    struct bri_pipe_receive *x = arg;
    int r = bri_pipe_check_use(t, &x->use);

    if (r < 0)
        return r;
    r = bri_pipe_look(bri_pipe_of(t->o), x->use.end);
    if (r == BRI_WAIT)
        x->waited = true;
    else if (x->waited)
        bri_wake(t, BRI_PIPE_RECEIVE(x->use.end), 1);
    return r == BROKER_CLOSED ? 0 : r;
}

int bri_pipe_poll(struct bri_handle *h, uint64_t end, int64_t timeout_ns)
{
    struct bri_pipe_receive x = {0};
    int r = timeout_ns < 0 ? BROKER_INVALID : bri_pipe_begin_use(h, end, false, &x.use);

    if (r < 0)
        return r;
    return bri_blocking(
        &h->object, BRI_PIPE_RECEIVE(x.use.end), timeout_ns, BROKER_EMPTY, poll_try, &x);
}

/* ---- the end of a session ---- */

void bri_pipe_give_back(struct bri_txn *t, uint32_t end)
{
    struct bri_pipe_shm *p = bri_pipe_of(t->o);
    uint64_t off = p->to[end].first_off;

    for (uint32_t left = BRI_PIPE_MAX_WALK;
         left > 0 && p->n_reading[end] != 0 && t->o->att->n_leases != 0; left--) {
        struct bri_message_shm *m = bri_message_at(t->o, off);

        if (m == NULL)
            return; /* the rest is in the other lane */
        if (m->reader == bri_pipe_reader(t->o)) {
            set_reading(t, m, end, 0, UINT32_MAX);
            count_ready(t, &p->to[end], m, 1);
        }
        off = m->next_off;
    }
}
