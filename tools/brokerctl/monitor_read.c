/*
 * monitor_read.c - see monitor_read.h
 *
 * Whatever lies in the arena may be wrong, and is bounded before it shows.
 */
#include "monitor_read.h"

#include <stdlib.h>
#include <string.h>

#include "client/attach.h"
#include "client/handle.h"
#include "core/registry.h"
#include "core/seal.h"

#define N_NAMES 1024u            /* that are remembered */
#define NAME_AGE_NS BRI_SECOND   /* looking one up holds up who makes objects */
#define ASK_NS (BRI_SECOND / 10) /* the daemon, if we may only read */

int ctl_monitor_start(struct ctl_monitor *m)
{
    m->names = calloc(N_NAMES, sizeof(*m->names));
    m->seen = calloc(BRI_RING_RECORDS, sizeof(*m->seen));
    if (m->names == NULL || m->seen == NULL)
        return BROKER_NOMEM;
    bri_monitor_skip(m->ctl->broker->arena, &m->place);
    return bri_attach_monitor(m->ctl->broker);
}

void ctl_monitor_stop(struct ctl_monitor *m)
{
    if (!m->ctl->broker->read_only)
        bri_monitor_end(m->ctl->broker->arena);
    free(m->names);
    free(m->seen);
    m->names = NULL;
    m->seen = NULL;
}

/* Of several threads, the one that began to write first may have ended last. */
static int compare_ends(const void *a, const void *b)
{
    const struct bri_record *x = a, *y = b;

    return (x->end_ns > y->end_ns) - (x->end_ns < y->end_ns);
}

int ctl_monitor_look(struct ctl_monitor *m)
{
    struct bri_monitor_look look;
    int64_t now = bri_now();
    int r = 0;

    if (bri_is_sealed(m->ctl->broker->arena))
        r = BROKER_LOST;
    else if (!m->ctl->broker->read_only || now - m->asked_ns >= ASK_NS) {
        r = bri_attach_monitor(m->ctl->broker);
        m->asked_ns = now;
    }
    look = bri_monitor_read(m->ctl->broker->arena, &m->place, m->seen, BRI_RING_RECORDS);
    m->n_seen = look.n;
    m->n_missed += look.n_missed;
    if (look.n > 1)
        qsort(m->seen, look.n, sizeof(*m->seen), compare_ends);
    return r;
}

/* ---- names ---- */

static void look_up_object(struct ctl_monitor *m, struct ctl_named *named)
{
    char name[BRI_NAME_MAX + 1];
    struct bri_object o;

    named->until_ns = bri_now() + NAME_AGE_NS;
    if (bri_object_bind(m->ctl->broker->arena, named->slot, &o) < 0 ||
        (uint32_t)o.generation != named->generation)
        return; /* it was destroyed: what it was called is what it is called */
    named->type = o.type;
    bri_registry_name(&o, name);
    if (name[0] != '\0')
        memcpy(named->name, name, sizeof(name));
}

const struct ctl_named *ctl_monitor_object(struct ctl_monitor *m, const struct bri_record *seen)
{
    struct ctl_named *named = &m->names[seen->object % N_NAMES];

    if (seen->object == 0)
        return NULL;
    if (named->slot != seen->object || named->generation != seen->generation)
        *named = (struct ctl_named){.slot = seen->object, .generation = seen->generation};
    if (named->until_ns <= bri_now())
        look_up_object(m, named);
    return named->type != 0 ? named : NULL;
}
