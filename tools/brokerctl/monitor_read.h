/*
 * Operations of an arena as they happen, with the names of what and who.
 */
#ifndef CTL_MONITOR_READ_H
#define CTL_MONITOR_READ_H

#include "core/monitor.h"
#include "ctl.h"

/* What is called so. */
struct ctl_named {
    uint32_t slot, generation; /* 0: nothing */
    uint32_t type;
    int64_t until_ns; /* to be looked up anew then: it may have another name */
    char name[BRI_NAME_MAX + 1];
};

struct ctl_monitor {
    struct ctl *ctl;
    struct bri_monitor_place place;
    struct ctl_named *names;
    struct bri_record *seen; /* of the last look, in the order in which they ended */
    uint32_t n_seen;
    uint64_t
        n_missed; /* operations that happened and are not seen, since whoever told set it to 0 */
    int64_t asked_ns;
};

/* Begins: what happens from now on is seen. NOMEM, and what bri_attach_monitor() says. */
int ctl_monitor_start(struct ctl_monitor *m);

/* Has the programs go on writing down what they do, and looks at what they wrote. As above; LOST if
 * nothing happens any more, since the arena goes on as another one. */
int ctl_monitor_look(struct ctl_monitor *m);

void ctl_monitor_stop(struct ctl_monitor *m);

/* The object of an operation; NULL if it had none, or was destroyed before anybody asked. */
const struct ctl_named *ctl_monitor_object(struct ctl_monitor *m, const struct bri_record *seen);

#endif
