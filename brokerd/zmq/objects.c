/*
 * objects.c - see objects.h
 *
 * Opening may have to wait, and another request of the session may open the same meanwhile: who
 * comes second throws away what it opened.
 */
#include "objects.h"

#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "walk.h"

#define MAX_OPTIONS 16
#define KEY_MAX (BRI_NAME_MAX + 1)

/* A number, name or reference as bytes, the kind before all. */
struct key {
    uint8_t bytes[KEY_MAX];
    uint32_t n;
};

enum { BY_NUMBER = 1, BY_NAME, BY_REFERENCE };

static void add_bytes(struct key *k, const void *bytes, size_t n)
{
    memcpy(k->bytes + k->n, bytes, n);
    k->n += (uint32_t)n;
}

/* BADNAME, INVALID. */
static int make_key(broker_value name, struct key *k)
{
    k->n = 1;
    if (zmqd_is_unsigned(name)) {
        k->bytes[0] = BY_NUMBER;
        add_bytes(k, &name.u, sizeof(name.u));
    } else if (name.type == BROKER_STR) {
        if (name.size == 0 || name.size > BRI_NAME_MAX || memchr(name.data, '\0', name.size))
            return BROKER_BADNAME;
        k->bytes[0] = BY_NAME;
        add_bytes(k, name.data, name.size);
    } else if (name.type == BROKER_REF) {
        k->bytes[0] = BY_REFERENCE;
        add_bytes(k, &name.size, sizeof(name.size));
        add_bytes(k, &name.u, sizeof(name.u));
    } else {
        return BROKER_INVALID;
    }
    return 0;
}

static struct zmqd_object *find(const struct zmqd_objects *objects, const struct key *k)
{
    struct zmqd_node *node = zmqd_map_first(&objects->known, zmqd_hash(k->bytes, k->n));

    for (; node != NULL; node = zmqd_map_next(node)) {
        struct zmqd_object *o = (struct zmqd_object *)node;

        if (o->n_key == k->n && memcmp(o->key, k->bytes, k->n) == 0)
            return o;
    }
    return NULL;
}

/* Takes over @h, also on failure. */
static int add(struct zmqd_objects *objects, const struct key *k, struct bri_handle *h,
    struct zmqd_object **out)
{
    struct zmqd_object *o = calloc(1, sizeof(*o) + k->n);

    if (o != NULL) {
        o->handle = h;
        o->n_key = k->n;
        memcpy(o->key, k->bytes, k->n);
    }
    if (o == NULL || zmqd_map_add(&objects->known, &o->node, zmqd_hash(k->bytes, k->n)) < 0) {
        free(o);
        bri_dispatch_close(h);
        return BROKER_NOMEM;
    }
    o->is_known = true;
    *out = o;
    return 0;
}

static void free_unused(struct zmqd_object *o)
{
    if (o->is_known || o->n_uses > 0)
        return;
    bri_dispatch_close(o->handle);
    free(o);
}

/* ---- opening ---- */

/* Option values in the schema's order. */
static int take_options(uint32_t type, broker_value map, broker_value *values, uint32_t *out_n)
{
    struct zmqd_walk w;
    broker_value name, value;
    uint32_t n = 0;
    int i;

    *out_n = 0;
    if (map.type == BROKER_NIL)
        return 0;
    if (!zmqd_walk_begin(&w, map, BRI_KIND_MAP))
        return BROKER_INVALID;
    while (zmqd_walk_next(&w, &name)) {
        if (!zmqd_walk_next(&w, &value) || name.type != BROKER_STR)
            return BROKER_INVALID;
        i = bri_dispatch_option(type, name.data, name.size);
        if (i < 0 || i >= MAX_OPTIONS)
            return BROKER_INVALID;
        while (n <= (uint32_t)i)
            values[n++] = broker_nil();
        values[i] = value;
    }
    *out_n = n;
    return w.left == 0 ? 0 : BROKER_INVALID;
}

static int open_any(
    broker *b, uint32_t type, broker_value name, broker_value options, struct bri_handle **out)
{
    broker_value values[MAX_OPTIONS];
    char text[BRI_NAME_MAX + 1];
    struct key k;
    uint32_t n;
    int r;

    if (name.type == BROKER_REF)
        return options.type == BROKER_NIL ? bri_dispatch_open_ref(b, type, name, out)
                                          : BROKER_INVALID;
    if (name.type != BROKER_NIL && name.type != BROKER_STR)
        return BROKER_INVALID;
    r = take_options(type, options, values, &n);
    if (r == 0 && name.type == BROKER_STR)
        r = make_key(name, &k);
    if (r < 0)
        return bri_fail_broker(b, BRI_OP_DICT_OPEN, NULL, r);
    if (name.type == BROKER_STR) {
        memcpy(text, name.data, name.size);
        text[name.size] = '\0';
    }
    return bri_dispatch_open(b, type, name.type == BROKER_STR ? text : NULL, values, n, out);
}

/* What exists, by name or reference. */
static int open_known(broker *b, uint32_t type, broker_value name, struct bri_handle **out)
{
    char text[BRI_NAME_MAX + 1];
    broker_value mode = broker_int(BROKER_OPEN);

    if (name.type == BROKER_REF)
        return bri_dispatch_open_ref(b, type, name, out);
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return bri_dispatch_open(b, type, text, &mode, 1, out);
}

static struct zmqd_object *find_opened(const struct zmqd_objects *objects, struct bri_handle *h)
{
    struct zmqd_node *node = zmqd_map_first(&objects->handles, zmqd_hash(&h, sizeof(void *)));

    for (; node != NULL; node = zmqd_map_next(node)) {
        struct zmqd_object *o =
            (struct zmqd_object *)((char *)node - offsetof(struct zmqd_object, by_handle));

        if (o->handle == h)
            return o;
    }
    return NULL;
}

int zmqd_object_open(struct zmqd_objects *objects, broker *b, uint32_t type,
    const broker_value name_and_options[2], struct zmqd_object **out)
{
    struct bri_handle *h;
    struct zmqd_object *o;
    struct key k;
    int r = open_any(b, type, name_and_options[0], name_and_options[1], &h), failed;

    if (r < 0)
        return r;
    o = find_opened(objects, h);
    if (o != NULL) {
        bri_dispatch_close(h);
        o->n_opens++;
        *out = o;
        return r;
    }
    (void)make_key(broker_uint(objects->last_number + 1), &k);
    failed = add(objects, &k, h, &o);
    if (failed < 0)
        return bri_fail_broker(b, BRI_OP_DICT_OPEN, NULL, failed);
    if (zmqd_map_add(&objects->handles, &o->by_handle, zmqd_hash(&h, sizeof(void *))) < 0) {
        zmqd_object_forget(objects, o);
        free_unused(o);
        return bri_fail_broker(b, BRI_OP_DICT_OPEN, NULL, BROKER_NOMEM);
    }
    o->number = ++objects->last_number;
    o->n_opens = 1;
    *out = o;
    return r;
}

int zmqd_object_close(struct zmqd_objects *objects, broker_value number)
{
    struct zmqd_object *o = NULL;
    struct key k;

    if (zmqd_is_unsigned(number) && make_key(number, &k) == 0)
        o = find(objects, &k);
    if (o == NULL)
        return BROKER_INVALID;
    if (--o->n_opens > 0)
        return 0;
    zmqd_map_remove(&objects->handles, &o->by_handle);
    zmqd_object_forget(objects, o);
    free_unused(o);
    return 0;
}

/* ---- using ---- */

static int open_for_use(struct zmqd_objects *objects, broker *b, broker_value name, uint32_t type,
    struct zmqd_object **out)
{
    struct bri_handle *h;
    struct zmqd_object *o;
    struct key k;
    int r = open_known(b, type, name, &h);

    if (r < 0)
        return r;
    (void)make_key(name, &k);
    o = find(objects, &k);
    if (o != NULL) {
        bri_dispatch_close(h);
        *out = o;
        return 0;
    }
    r = add(objects, &k, h, out);
    return r < 0 ? bri_fail_broker(b, BRI_OP_DICT_OPEN, NULL, r) : 0;
}

int zmqd_object_use(struct zmqd_objects *objects, broker *b, broker_value name, uint32_t type,
    struct zmqd_object **out)
{
    struct zmqd_object *o;
    struct key k;
    int r = make_key(name, &k);

    if (r < 0)
        return bri_fail_text(r,
            r == BROKER_BADNAME ? "this is no name of an object" : "the operation needs an object");
    o = find(objects, &k);
    if (o == NULL && zmqd_is_unsigned(name))
        return bri_fail_text(BROKER_INVALID, "no object is open under this number");
    if (o == NULL) {
        r = open_for_use(objects, b, name, type, &o);
        if (r < 0)
            return r;
    }
    if (type != 0 && o->handle->type != type)
        return bri_fail_text(BROKER_WRONGTYPE, "the object is a %s, not a %s",
            bri_type_name(o->handle->type), bri_type_name(type));
    o->n_uses++;
    *out = o;
    return 0;
}

void zmqd_object_unuse(struct zmqd_object *o)
{
    o->n_uses--;
    free_unused(o);
}

void zmqd_object_forget(struct zmqd_objects *objects, struct zmqd_object *o)
{
    if (!o->is_known)
        return;
    zmqd_map_remove(&objects->known, &o->node);
    o->is_known = false;
}

void zmqd_objects_free(struct zmqd_objects *objects)
{
    struct zmqd_node *node;

    while ((node = zmqd_map_any(&objects->known)) != NULL) {
        zmqd_map_remove(&objects->known, node);
        free(node);
    }
    zmqd_map_clear(&objects->known);
    zmqd_map_clear(&objects->handles);
}
