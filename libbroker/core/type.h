/*
 * type.h - what an object type gives the core, so that the core needs to know nothing of types
 */
#ifndef BRI_TYPE_H
#define BRI_TYPE_H

#include "core/guard.h"

struct bri_audit;
struct bri_wait_word;
struct bri_stat;
struct bri_collect_look;
struct bri_save;
struct bri_load;
struct bri_handle;

/* Who could end a wait. */
enum bri_by {
    BRI_BY_ANYBODY,      /* also programs that are not there yet */
    BRI_BY_THREAD,       /* one thread alone */
    BRI_BY_HOLDERS,      /* sessions that hold something: held[0] of their attachment */
    BRI_BY_LEASEHOLDERS, /* sessions that have leases */
    BRI_BY_USERS,        /* sessions that have the object open */
};

struct bri_ends {
    enum bri_by by;
    uint32_t session, thread; /* of BRI_BY_THREAD; the kernel's id */
    uint64_t proof;           /* changes when another one has it */
};

struct bri_type_ops {
    uint32_t number; /* stable, from the schema */
    const char *name;
    bool has_heap;
    uint32_t sleeps_off; /* of a type without a heap: where in its state a struct bri_sleeps_shm is;
                            0: nowhere */
    bool is_word;        /* changes without sections, so that nobody can wait for a change */

    /*
     * Fills the state of a fresh object (zeroed) from @options (of the type's options struct, may
     * be NULL). Runs in the registry's section, so it may only write the object's own state and
     * must not allocate. 0 or INVALID.
     */
    int (*create)(struct bri_object *o, const void *options);

    /* 0, or MISMATCH if @options (not NULL) ask for something that the object is not. */
    int (*match)(const struct bri_object *o, const void *options);

    /*
     * Gives back what @o->att holds of the object, because its session ended; @died: without being
     * asked. In sections of its own, bounded, repeatable. 0, or what bri_begin() says. NULL if
     * sleepers and reserved runs are all there can be.
     */
    int (*reap)(struct bri_object *o, bool died);

    /*
     * The object was destroyed: makes what handles use without the guard say so, and wakes who
     * sleeps on words of the type's own. @o is bound to generation 0. Repeatable. NULL if there is
     * no such thing.
     */
    void (*gone)(struct bri_object *o);

    /*
     * The object is sealed, or not any more (seal.h): does to what handles use without the guard
     * what `gone` does, but so that it can be undone. Inside a section. Repeatable. NULL if there
     * is no such thing.
     */
    void (*seal)(struct bri_object *o, bool sealed);

    /*
     * True if what the type's waiting operation waits for is there. Fills @out whatever the answer:
     * what it was when it was looked at last, before the answer was found. See wait_any.h. NULL if
     * nothing waits, or several things do.
     */
    bool (*ready)(struct bri_object *o, struct bri_wait_word *out);

    /* Who could end a wait in @channel, for those who look for deadlocks; called without the guard.
     * NULL if that is always anybody. */
    void (*ends)(const struct bri_object *o, unsigned channel, struct bri_ends *out);

    /*
     * Gives what is stored to the collector: some more values, by bri_collect_value(), from the
     * place @look->scan on, which is moved on; BRI_SCAN_END at the end. A place is what the type
     * likes, and 0 the start. While it is neither, what moves a value that was not looked at yet to
     * before it, or frees what it names, must move the place too, or keep what the value refers
     * to: see bri_scan_of(). NULL if no values are stored.
     */
    void (*refs)(const struct bri_object *o, struct bri_collect_look *look);

    /* Checks the type's structure, inside the guard, changing nothing. Reports through
     * bri_audit_fail(). */
    void (*audit)(const struct bri_object *o, struct bri_audit *audit);

    /* Adds the type's own numbers to a statistic. */
    void (*stat)(const struct bri_object *o, struct bri_stat *stat);

    /*
     * Says what the object is, so that it can be made again; @o is a picture. 0, CORRUPT, NOMEM,
     * TOOBIG. And makes it of a fresh object that was created with the options told: INVALID for
     * what is none of the type's. See objects/save.h.
     */
    int (*save)(const struct bri_object *o, struct bri_save *save);
    int (*load)(struct bri_handle *h, const struct bri_load *load);
};

/* The type with this number, NULL if there is none. Generated from the
 * schema: objects/ defines bri_<type>_type. */
const struct bri_type_ops *bri_type_ops(uint32_t number);

/* A statistic under way: named numbers and texts, in the order in which they were added. Defined by
 * the caller's layer. */
#define BRI_STAT_MAX 48
struct bri_stat {
    uint32_t n;
    struct {
        const char *name; /* static storage */
        const char *text; /* the same; NULL if it is a number */
        uint64_t value;
    } entries[BRI_STAT_MAX];
};

static inline void bri_stat_add(struct bri_stat *s, const char *name, uint64_t value)
{
    if (s->n == BRI_STAT_MAX)
        return;
    s->entries[s->n].name = name;
    s->entries[s->n].text = NULL;
    s->entries[s->n].value = value;
    s->n++;
}

static inline void bri_stat_add_text(struct bri_stat *s, const char *name, const char *text)
{
    uint32_t n = s->n;

    bri_stat_add(s, name, 0);
    if (s->n > n)
        s->entries[n].text = text;
}

#endif
