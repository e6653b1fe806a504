/*
 * save.c - see save.h
 */
#include "snapshot/save.h"

#include <stdlib.h>
#include <string.h>

#include <broker.h>

#include "core/clock.h"
#include "core/collect.h"
#include "core/listing.h"
#include "engine_ops.h"
#include "objects/picture.h"
#include "objects/save.h"
#include "snapshot/graph.h"
#include "snapshot/record.h"

#define TRIES 16u /* to save an object together with what it refers to */

struct walk {
    broker *b;
    struct bri_saving *saving;
    struct bri_graph graph;
    struct bri_picture picture;
    struct bri_save save;
    broker_buffer copy, record;
    bool met_gone; /* it refers to what is no more */
};

/* ---- names ---- */

static bool wants(const struct bri_saving *s, const char *name)
{
    return s->wants == NULL || s->wants(s->arg, name);
}

/* Those that are wanted get the first numbers. */
static int add_names(struct walk *w)
{
    struct bri_listings names = {0};
    uint32_t number;
    int r = bri_listings_take_names(w->b->arena, &names);

    for (uint32_t i = 0; i < names.n && r == 0; i++)
        if (wants(w->saving, names.entries[i].name))
            r = bri_graph_add(
                &w->graph, names.entries[i].slot, names.entries[i].generation, &number);
    free(names.entries);
    return r;
}

/* ---- one object ---- */

static int number_of_ref(void *arg, struct bri_ref ref, struct bri_ref *out_ref)
{
    struct walk *w = arg;
    uint32_t number;
    int r = bri_graph_reach(&w->graph, ref, &number);

    if (r == BROKER_GONE) {
        w->met_gone = true;
        *out_ref = (struct bri_ref){0};
        return 0;
    }
    *out_ref = (struct bri_ref){.slot = number, .identity = BRI_RECORD_IDENTITY};
    return r;
}

/* An entry of the record that is a part of what the type said; a map's head is still missing. */
static int add_part(struct walk *w, const char *key, const struct bri_save_part *part, bool is_map)
{
    broker_value v = broker_packed(part->buffer.data, part->buffer.size);
    struct bri_pack p = {.buffer = &w->copy};

    if (part->buffer.size == 0)
        return 0;
    bri_pack_value(&p, broker_str(key));
    if (is_map)
        bri_pack_map(&p, part->n);
    return p.failed != 0 ? p.failed : bri_record_copy(v, number_of_ref, w, &w->copy);
}

static int copy_parts(struct walk *w)
{
    int r;

    w->copy.size = 0;
    w->met_gone = false;
    r = add_part(w, "options", &w->save.options, true);
    if (r == 0)
        r = add_part(w, "state", &w->save.state, true);
    return r == 0 ? add_part(w, "contents", &w->save.contents, false) : r;
}

/* The picture, and what it says. */
static int look(struct walk *w, struct bri_handle *h, uint64_t *out_version)
{
    int64_t since_ns = bri_now(), took_ns;
    struct bri_object pictured;
    int r = bri_picture_take(&w->picture, h, &pictured, out_version);

    took_ns = bri_now() - since_ns;
    if ((uint64_t)took_ns > w->saving->longest_ns)
        w->saving->longest_ns = (uint64_t)took_ns;
    return r < 0 ? r : bri_object_save(&pictured, &w->save);
}

/*
 * What it referred to may have gone before it was held on to; then it has been changed since, and
 * is saved anew. References of an object that did not change are to what was gone before.
 */
static int look_until_whole(struct walk *w, struct bri_handle *h)
{
    uint64_t version, now;
    int r = 0;

    for (unsigned i = 0; i < TRIES && r == 0; i++) {
        r = look(w, h, &version);
        if (r == 0)
            r = copy_parts(w);
        now = bri_version(&h->object);
        if (!w->met_gone || now == version)
            break;
    }
    return r;
}

static void add_common(
    struct walk *w, struct bri_pack *p, uint32_t number, const struct bri_handle *h)
{
    bri_pack_entry(p, "id", broker_uint(number));
    if (h->name[0] != '\0')
        bri_pack_entry(p, "name", broker_str(h->name));
    bri_pack_entry(p, "type", broker_str(bri_type_ops(h->object.type)->name));
    if (w->saving->with_owners)
        bri_pack_entry(p, "uid", broker_uint(h->object.slot->creator_uid));
}

static uint32_t n_common(const struct walk *w, const struct bri_handle *h)
{
    return 2u + (h->name[0] != '\0' ? 1u : 0u) + (w->saving->with_owners ? 1u : 0u);
}

static uint32_t n_parts(const struct bri_save *s)
{
    return (s->options.buffer.size != 0 ? 1u : 0u) + (s->state.buffer.size != 0 ? 1u : 0u) +
           (s->contents.buffer.size != 0 ? 1u : 0u);
}

static int give_record(struct walk *w, uint32_t number, const struct bri_handle *h, bool outside)
{
    broker_value record;
    struct bri_pack p;
    int r;

    bri_pack_start(&p, &w->record);
    bri_pack_map(&p, n_common(w, h) + (outside ? 1 : n_parts(&w->save)));
    add_common(w, &p, number, h);
    if (outside)
        bri_pack_entry(&p, "outside", broker_bool(true));
    else if (w->copy.size > UINT32_MAX - w->record.size)
        return BROKER_TOOBIG;
    else if (p.failed == 0)
        p.failed = bri_buffer_reserve(&w->record, w->record.size + w->copy.size);
    if (p.failed == 0 && !outside && w->copy.size > 0) {
        memcpy((uint8_t *)w->record.data + w->record.size, w->copy.data, w->copy.size);
        w->record.size += w->copy.size;
    }
    r = bri_pack_end(&p, &record);
    return r < 0 ? r : w->saving->record(w->saving->arg, record);
}

/* A condition that shares a lock is nothing without it. */
static bool is_useless(const struct walk *w, const struct bri_handle *h)
{
    return h->object.type == BRI_TYPE_CONDITION && w->met_gone;
}

static int save_one(struct walk *w, uint32_t number, struct bri_handle *h)
{
    int r;

    if (h->name[0] != '\0' && !wants(w->saving, h->name))
        return give_record(w, number, h, true);
    r = look_until_whole(w, h);
    if (r == BROKER_GONE || (r == 0 && is_useless(w, h)))
        return 0;
    if (r == BROKER_CORRUPT || r == BROKER_TOOBIG) {
        w->saving->n_left_out++;
        if (w->saving->leave_out != NULL)
            w->saving->leave_out(w->saving->arg, h->name, r);
        return 0;
    }
    w->saving->n_objects += r == 0;
    return r < 0 ? r : give_record(w, number, h, false);
}

/* The object of a number, unless it has gone meanwhile. */
static int save_number(struct walk *w, uint32_t number)
{
    struct bri_handle h = {.broker = w->b};

    if (bri_graph_bind(&w->graph, number, &h.object) < 0 || bri_type_ops(h.object.type) == NULL)
        return 0;
    h.type = h.object.type;
    if (atomic_load(&h.object.slot->anonymous) == 0) {
        bri_registry_name(&h.object, h.name);
        if (h.name[0] == '\0')
            return 0; /* just destroyed */
    }
    return save_one(w, number, &h);
}

int bri_save_arena(broker *b, struct bri_saving *saving)
{
    struct walk w = {.b = b, .saving = saving};
    int r = bri_enter_broker(b);

    if (r == 0 && b->engine != &bri_engine_shm)
        r = BROKER_UNSUPPORTED; /* there is no memory here to look at */
    if (r == 0)
        r = bri_picture_open(b->arena, &w.picture);
    if (r < 0)
        return r;
    bri_graph_init(&w.graph, b);
    r = add_names(&w);
    for (uint32_t number = 1; number <= w.graph.n && r == 0; number++) {
        r = save_number(&w, number);
        bri_graph_release(&w.graph, number);
    }
    bri_graph_fini(&w.graph);
    bri_picture_close(&w.picture);
    bri_save_fini(&w.save);
    broker_buffer_free(&w.copy);
    broker_buffer_free(&w.record);
    return r;
}
