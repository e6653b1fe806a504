/*
 * seal.c - see seal.h
 *
 * The names come first and go last, so whether they are sealed says whether anything may be. Each
 * step can be done again: a death in between leaves what the next unsealing, or sealing, completes.
 */
#include "core/seal.h"

#include <broker/errors.h>

#include "core/attachment.h"
#include "core/pages.h"
#include "core/session.h"
#include "core/type.h"

#define PATIENCE (-2 * BRI_SECOND)
#define MANY_ATTACHMENTS 1000000u /* a list that is longer is damaged */

/* GONE and CORRUPT objects can be used by nobody, and are not saved. */
static int seal_slot(struct bri_arena *a, uint32_t slot, bool sealed)
{
    const struct bri_type_ops *ops;
    struct bri_object o;
    struct bri_txn t;
    int r = bri_object_bind(a, slot, &o);

    if (r == 0)
        r = bri_begin(&t, &o, PATIENCE);
    if (r < 0)
        return r == BROKER_GONE || r == BROKER_CORRUPT ? 0 : r;
    if (sealed)
        (void)atomic_fetch_or(&o.slot->damaged, BRI_SEALED);
    else
        (void)atomic_fetch_and(&o.slot->damaged, ~BRI_SEALED);
    ops = slot != a->first_slot ? bri_type_ops(o.type) : NULL;
    if (ops != NULL && ops->seal != NULL)
        ops->seal(&o, sealed);
    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        bri_wake(&t, i, BRI_WAKE_ALL);
    return bri_end(&t, 0);
}

static int seal_objects(struct bri_arena *a, bool sealed)
{
    uint32_t end = atomic_load(&a->shm->committed);
    int r = 0;

    for (uint32_t page = a->first_page; page < end && page < a->n_pages; page++) {
        if (bri_tag_kind(bri_page_tag(a, page)) != BRI_PAGE_SLOTS)
            continue;
        for (uint32_t i = 0; i < BRI_SLOTS_PER_PAGE && r == 0; i++)
            r = seal_slot(a, page * BRI_SLOTS_PER_PAGE + i, sealed);
    }
    return r;
}

int bri_seal(struct bri_arena *a)
{
    int r;

    a->passes_seal = true;
    r = seal_slot(a, a->first_slot, true);
    return r < 0 ? r : seal_objects(a, true);
}

int bri_unseal(struct bri_arena *a)
{
    int r;

    a->passes_seal = true;
    r = seal_objects(a, false);
    if (r == 0)
        r = seal_slot(a, a->first_slot, false);
    a->passes_seal = r < 0;
    return r;
}

static bool is_pin(struct bri_arena *a, const struct bri_attachment_shm *att)
{
    struct bri_object o;

    return att->pinned != 0 && bri_object_bind(a, att->object, &o) == 0 &&
           o.generation == att->generation;
}

static bool find_pin_of(struct bri_arena *a, uint32_t number, struct bri_pin *out_pin)
{
    const struct bri_attachment_shm *att;
    struct bri_object session;
    uint32_t left = MANY_ATTACHMENTS;

    if (bri_session_object(a, number, &session) < 0 || session.root == NULL)
        return false;
    for (uint64_t off = bri_session_state(&session)->first_attachment; off != 0 && left > 0;
         off = att->next_off, left--) {
        att = bri_attachment_at(&session, off);
        if (att == NULL)
            return false;
        if (is_pin(a, att)) {
            *out_pin = (struct bri_pin){.session = number, .object = att->object};
            return true;
        }
    }
    return false;
}

bool bri_find_pin(struct bri_arena *a, struct bri_pin *out_pin)
{
    for (uint32_t i = 0; i < a->n_sessions; i++)
        if (find_pin_of(a, i, out_pin))
            return true;
    return false;
}

bool bri_is_sealed(const struct bri_arena *a)
{
    return (atomic_load(&bri_slot_at(a, a->first_slot)->damaged) & BRI_SEALED) != 0;
}
