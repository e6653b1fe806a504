/*
 * pipe_save.c - saving and loading pipes: contents are two arrays of messages, by the end to which
 * they go
 *
 * Nobody holds an end of a pipe that was made again, and nobody has held one: both are waited for.
 */
#include "core/wait.h"
#include "objects/pipe.h"
#include "objects/refs.h"
#include "objects/save.h"

/* Messages of a lane; UINT64_MAX if they do not end. */
static uint64_t count_messages(const struct bri_object *o, const struct bri_lane_shm *lane)
{
    uint64_t n = 0, limit = o->arena->size / sizeof(struct bri_message_shm);
    const struct bri_message_shm *m;

    for (uint64_t off = lane->first_off; off != 0; off = m->next_off, n++) {
        m = bri_message_at(o, off);
        if (m == NULL || n == limit || n == UINT32_MAX)
            return UINT64_MAX;
    }
    return n;
}

static void save_lane(
    const struct bri_object *o, const struct bri_lane_shm *lane, uint64_t n, struct bri_pack *p)
{
    const struct bri_message_shm *m;
    uint64_t off = lane->first_off;

    bri_pack_array(p, (uint32_t)n);
    for (uint64_t i = 0; i < n && p->failed == 0; i++) {
        m = bri_message_at(o, off);
        bri_pack_value(p, broker_packed(m + 1, m->size));
        off = m->next_off;
    }
}

int bri_pipe_save(const struct bri_object *o, struct bri_save *save)
{
    const struct bri_pipe_shm *pipe = bri_pipe_of(o);
    uint64_t n[2];

    bri_save_option(save, "max_items", broker_uint(pipe->max_items));
    bri_save_option(save, "max_bytes", broker_uint(pipe->max_bytes));
    bri_save_option(save, "one_way", broker_bool((pipe->flags & BRI_PIPE_ONE_WAY) != 0));
    for (unsigned end = 0; end < 2; end++) {
        n[end] = count_messages(o, &pipe->to[end]);
        if (n[end] == UINT64_MAX)
            return BROKER_CORRUPT;
    }
    if (n[0] + n[1] == 0)
        return 0;
    bri_pack_array(&save->contents.pack, 2);
    for (unsigned end = 0; end < 2; end++)
        save_lane(o, &pipe->to[end], n[end], &save->contents.pack);
    return 0;
}

struct messages {
    struct bri_iter it;
    uint32_t end;
};

static int add_message(struct bri_txn *t, struct bri_lane_shm *lane, const void *bytes, size_t size)
{
    broker_value v = broker_packed(bytes, size);

    if (size > BRI_MESSAGE_MAX)
        return BROKER_TOOBIG;
    if (bri_ref_in(v) && bri_refs_store(t, v) < 0)
        return t->failed;
    return bri_pipe_add(t, lane, bytes, (uint32_t)size);
}

static int add_try(struct bri_txn *t, void *arg)
{
    struct messages *x = arg;
    struct bri_lane_shm *lane = &bri_pipe_of(t->o)->to[x->end];
    struct bri_iter it = x->it;
    uint32_t n = 0;
    const void *bytes;
    size_t size;
    int r = 0;

    while (r == 0 && it.left > 0 && n++ < BRI_LOAD_ELEMENTS) {
        r = bri_iter_next(&it, &bytes, &size);
        if (r == 0)
            r = add_message(t, lane, bytes, size);
    }
    if (r == 0 && t->failed == 0)
        x->it = it; /* what is repeated begins where it began */
    return r < 0 ? r : t->failed;
}

static int load_lane(struct bri_handle *h, const void *data, size_t size, uint32_t end)
{
    struct messages x = {.end = end};
    int r = bri_iter_array(&x.it, data, size);

    while (r == 0 && x.it.left > 0)
        r = bri_section(&h->object, add_try, &x);
    return r;
}

int bri_pipe_load(struct bri_handle *h, const struct bri_load *load)
{
    struct bri_iter lanes;
    const void *data;
    size_t size;
    int r;

    if (load->contents.type == BROKER_NIL)
        return 0;
    if (load->contents.type != BROKER_PACKED ||
        bri_iter_array(&lanes, load->contents.data, load->contents.size) < 0 || lanes.left != 2)
        return BROKER_INVALID;
    for (uint32_t end = 0; end < 2; end++) {
        r = bri_iter_next(&lanes, &data, &size);
        if (r == 0)
            r = load_lane(h, data, size, end);
        if (r < 0)
            return r;
    }
    return 0;
}
