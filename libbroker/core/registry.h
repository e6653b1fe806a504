/*
 * registry.h - names: making objects, finding them, removing them
 *
 * The registry is an internal object, in the first slot: its guard protects the table of names, the
 * list of free slots and the heap in which the names lie. Creating an object is one section of the
 * registry. Destroying takes the name away; bury.h does the rest.
 */
#ifndef BRI_REGISTRY_H
#define BRI_REGISTRY_H

#include "core/guard.h"
#include "core/names.h"
#include "core/ref.h"
#include "core/type.h"

enum bri_open_mode {
    BRI_OPEN_OR_CREATE = 0,
    BRI_OPEN_CREATE = 1,   /* EXISTS if it is there */
    BRI_OPEN_EXISTING = 2, /* NOTFOUND if it is not */
};

/* The registry itself. CORRUPT. */
int bri_registry_bind(struct bri_arena *a, struct bri_object *out);

static inline struct bri_registry_shm *bri_registry_state(const struct bri_object *registry)
{
    return (struct bri_registry_shm *)registry->slot->state;
}

struct bri_open {
    const char *name; /* NULL: a new anonymous object */
    const struct bri_type_ops *type;
    enum bri_open_mode mode;
    const void *options;  /* of the type; NULL is defaults, and fits any existing object */
    uint64_t quota_bytes; /* 0 is none */
    uint32_t uid;
};

/* Makes the registry of a new arena, before anybody can see it. */
void bri_registry_format(struct bri_arena *a);

/*
 * Finds or makes an object and binds it. BADNAME (empty, longer than 255 bytes, not UTF-8, with
 * control characters), EXISTS, NOTFOUND, WRONGTYPE, MISMATCH, NOMEM, and what bri_begin() may say.
 */
int bri_registry_open(
    struct bri_arena *a, const struct bri_open *open, struct bri_object *out_object);

/* Binds the object called @name, of whatever type. BADNAME, NOTFOUND, CORRUPT, and what bri_begin()
 * may say. */
int bri_registry_find(struct bri_arena *a, const char *name, struct bri_object *out_object);

/* Binds the object of a reference. INVALID if it is of another arena, GONE, WRONGTYPE. That it
 * lives on is only said by attaching. */
int bri_registry_open_ref(struct bri_arena *a, struct bri_ref ref, const struct bri_type_ops *type,
    struct bri_object *out_object);

/*
 * Begins to remove the anonymous object that has @mark and that the collection in state @sweep
 * found to be garbage. NOTFOUND: all that is not so any more.
 */
int bri_registry_end_anonymous(struct bri_arena *a, uint32_t slot, uint64_t mark, uint64_t sweep);

/*
 * Gives the object called @name another name, at once and for everybody; it stays the same object
 * for whoever has it open. NOTFOUND, EXISTS if something is called @new_name, also if it is the
 * object itself; BADNAME, NOMEM.
 */
int bri_registry_rename(struct bri_arena *a, const char *name, const char *new_name);

/* Removes an object by name; whoever has it open gets GONE. NOTFOUND. */
int bri_registry_destroy(struct bri_arena *a, const char *name);

/* Copies the name of the object bound in @o into @out (BRI_NAME_MAX + 1 bytes); empty if it has
 * none any more. */
void bri_registry_name(struct bri_object *o, char *out);

#endif
