/*
 * load.c - see load.h
 */
#include "snapshot/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <broker.h>

#include "core/collect.h"
#include "dispatch.h"
#include "objects/save.h"
#include "snapshot/record.h"

#define MAX_OPTIONS 16u

/* An object that was made, or one outside that was there. */
struct made {
    uint64_t id;
    struct bri_handle *handle; /* NULL: what was outside is not there */
    bool outside;
    bool is_unfinished;          /* it is not called `name` yet */
    char name[BRI_NAME_MAX + 1]; /* empty: none */
};

struct walk {
    broker *b;
    struct bri_loading *loading;
    struct made *made; /* in order of id */
    size_t n, capacity;
    broker_buffer copy;
};

/* What a record says of an object, before it is looked into. */
struct head {
    uint64_t id;
    uint32_t type, uid;
    bool outside;
    broker_value options;
    char name[BRI_NAME_MAX + 1];
};

/* ---- records ---- */

static int read_name(broker_value v, char out[BRI_NAME_MAX + 1])
{
    out[0] = '\0';
    if (v.type == BROKER_NIL)
        return 0;
    if (v.type != BROKER_STR || v.size == 0 || v.size > BRI_NAME_MAX ||
        memchr(v.data, '\0', v.size) != NULL)
        return BROKER_INVALID;
    memcpy(out, v.data, v.size);
    out[v.size] = '\0';
    return 0;
}

static int read_head(broker_value record, struct head *out)
{
    broker_value id = bri_load_get(record, "id"), uid = bri_load_get(record, "uid");
    broker_value outside = bri_load_get(record, "outside");
    char type[BRI_NAME_MAX + 1];

    if (read_name(bri_load_get(record, "name"), out->name) < 0 ||
        read_name(bri_load_get(record, "type"), type) < 0 || id.type != BROKER_INT || id.i < 1 ||
        id.i > UINT32_MAX)
        return BROKER_INVALID;
    out->id = id.u;
    out->type = bri_type_number(type);
    out->uid = uid.type == BROKER_INT ? (uint32_t)uid.u : UINT32_MAX;
    out->outside = outside.type == BROKER_BOOL && outside.b;
    out->options = bri_load_get(record, "options");
    return bri_type_ops(out->type) != NULL ? 0 : BROKER_INVALID;
}

typedef int record_fn(struct walk *w, const struct head *head, broker_value record);

/* Calls @fn for all records. */
static int each_record(struct walk *w, record_fn *fn)
{
    broker_value record;
    struct head head;
    bool again = true;
    int r;

    for (;;) {
        r = w->loading->next(w->loading->arg, again, &record);
        again = false;
        if (r < 0)
            return r == BROKER_EMPTY ? 0 : r;
        w->loading->failed[0] = '\0';
        r = read_head(record, &head);
        if (r == 0)
            r = fn(w, &head, record);
        if (r < 0) {
            memcpy(w->loading->failed, head.name, sizeof(head.name));
            return r;
        }
    }
}

static int by_id(const void *a, const void *b)
{
    const struct made *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static struct made *find(const struct walk *w, uint64_t id)
{
    const struct made key = {.id = id};

    return w->n > 0 ? bsearch(&key, w->made, w->n, sizeof(key), by_id) : NULL;
}

/* ---- making ---- */

/* Whether the name is taken: 0, EXISTS. */
static int check_name(struct walk *w, const struct head *head, broker_value record)
{
    const broker_value mode = broker_int(BROKER_OPEN);
    struct bri_handle *h;
    int r;

    (void)record;
    if (head->outside || head->name[0] == '\0')
        return 0;
    r = bri_dispatch_open(w->b, head->type, head->name, &mode, 1, &h);
    if (r >= 0)
        bri_dispatch_close(h);
    if (r == BROKER_NOTFOUND)
        return 0;
    return r >= 0 || r == BROKER_WRONGTYPE || r == BROKER_GONE ? BROKER_EXISTS : r;
}

/* A place for the object of a record; numbers must rise, as they do in every file. */
static int add_made(struct walk *w, const struct head *head, broker_value record)
{
    size_t more = w->capacity != 0 ? 2 * w->capacity : 64;
    struct made *made;

    (void)record;
    if (w->n > 0 && w->made[w->n - 1].id >= head->id)
        return BROKER_INVALID;
    if (w->n == w->capacity) {
        made = realloc(w->made, more * sizeof(*made));
        if (made == NULL)
            return BROKER_NOMEM;
        w->made = made;
        w->capacity = more;
    }
    made = &w->made[w->n++];
    *made = (struct made){.id = head->id, .outside = head->outside};
    memcpy(made->name, head->name, sizeof(made->name));
    return made->outside && made->name[0] == '\0' ? BROKER_INVALID : 0;
}

/* What it is called now. */
static const char *name_now(const struct walk *w, const struct made *m, char text[BRI_NAME_MAX + 1])
{
    if (m->name[0] == '\0' || m->outside || w->loading->unfinished == NULL)
        return m->name[0] != '\0' ? m->name : NULL;
    (void)snprintf(
        text, BRI_NAME_MAX + 1, "%s%llu", w->loading->unfinished, (unsigned long long)m->id);
    return text;
}

/* A lock is told by reference, and asked for by name. */
static int resolve(
    const struct walk *w, broker_value ref, char text[BRI_NAME_MAX + 1], broker_value *out)
{
    const struct made *lock = ref.size != 0 ? find(w, ref.size) : NULL;
    const char *name = lock != NULL && lock->handle != NULL ? name_now(w, lock, text) : NULL;

    if (name == NULL)
        return BROKER_NOTFOUND;
    *out = broker_str(name);
    return 0;
}

static bool is_late(const struct head *head)
{
    return bri_load_get(head->options, "lock").type == BROKER_REF;
}

static int open_made(struct walk *w, const struct head *head, struct made *m)
{
    char lock_name[BRI_NAME_MAX + 1], own_name[BRI_NAME_MAX + 1];
    broker_value options[MAX_OPTIONS];
    const char *name;
    uint32_t n = 0;
    int r = 0;

    for (; n < MAX_OPTIONS && (name = bri_dispatch_option_name(head->type, n)) != NULL && r == 0;
         n++) {
        options[n] = bri_load_get(head->options, name);
        if (options[n].type == BROKER_REF)
            r = resolve(w, options[n], lock_name, &options[n]);
    }
    if (r < 0)
        return r;
    options[0] = broker_int(m->outside ? BROKER_OPEN : BROKER_CREATE); /* the mode */
    w->b->on_behalf = w->loading->for_owners && head->uid != UINT32_MAX;
    w->b->behalf_uid = head->uid;
    r = bri_dispatch_open(w->b, head->type, name_now(w, m, own_name), options, n, &m->handle);
    w->b->on_behalf = false;
    if (m->outside && (r == BROKER_NOTFOUND || r == BROKER_WRONGTYPE))
        return 0;
    m->is_unfinished = r >= 0 && m->name[0] != '\0' && !m->outside;
    return r;
}

static int make(struct walk *w, const struct head *head, broker_value record)
{
    (void)record;
    return is_late(head) ? 0 : open_made(w, head, find(w, head->id));
}

static int make_late(struct walk *w, const struct head *head, broker_value record)
{
    (void)record;
    return is_late(head) ? open_made(w, head, find(w, head->id)) : 0;
}

/* ---- filling ---- */

static int ref_of_number(void *arg, struct bri_ref ref, struct bri_ref *out_ref)
{
    struct walk *w = arg;
    const struct made *m = find(w, ref.slot);

    if (m == NULL || m->handle == NULL) {
        w->loading->n_cut++;
        *out_ref = (struct bri_ref){0};
    } else {
        *out_ref = bri_ref_of(&m->handle->object);
    }
    return 0;
}

static int fill(struct walk *w, const struct head *head, broker_value record)
{
    const struct made *m = find(w, head->id);
    broker_value v = bri_load_get(record, "contents");
    struct bri_load load = {.state = bri_load_get(record, "state"), .contents = v};
    size_t size;
    int r = 0;

    if (m->outside)
        return 0;
    w->loading->n_objects++;
    if (v.type == BROKER_PACKED) {
        w->copy.size = 0;
        r = bri_value_measure(v, &size);
        if (r == 0)
            r = bri_record_copy(v, ref_of_number, w, &w->copy);
        load.contents = broker_packed(w->copy.data, w->copy.size);
    }
    return r < 0 ? r : bri_object_load(m->handle, &load);
}

/* ---- names ---- */

static int finish(struct walk *w, struct made *m)
{
    char now[BRI_NAME_MAX + 1];
    int r = 0;

    if (!m->is_unfinished)
        return 0;
    if (w->loading->replace)
        r = broker_destroy(w->b, m->name);
    if (r == 0 || r == BROKER_NOTFOUND)
        r = broker_rename(w->b, name_now(w, m, now), m->name);
    m->is_unfinished = r < 0;
    if (r < 0)
        memcpy(w->loading->failed, m->name, sizeof(m->name));
    return r;
}

static int finish_all(struct walk *w)
{
    int r = 0;

    for (size_t i = 0; i < w->n && r == 0 && w->loading->unfinished != NULL; i++)
        r = finish(w, &w->made[i]);
    return r;
}

static void let_go(struct walk *w, bool failed)
{
    char now[BRI_NAME_MAX + 1];

    for (size_t i = 0; i < w->n; i++) {
        struct made *m = &w->made[i];

        bri_dispatch_close(m->handle);
        if (failed && m->is_unfinished)
            (void)broker_destroy(w->b, name_now(w, m, now));
    }
    free(w->made);
    broker_buffer_free(&w->copy);
}

int bri_load_arena(broker *b, struct bri_loading *loading)
{
    struct walk w = {.b = b, .loading = loading};
    int r = b->engine == &bri_engine_shm ? 0 : BROKER_UNSUPPORTED;

    if (r == 0 && !loading->replace)
        r = each_record(&w, check_name);
    if (r == 0)
        r = each_record(&w, add_made);
    if (r == 0)
        r = each_record(&w, make);
    if (r == 0)
        r = each_record(&w, make_late);
    if (r == 0)
        r = each_record(&w, fill);
    if (r == 0)
        r = finish_all(&w);
    let_go(&w, r < 0);
    return r;
}
