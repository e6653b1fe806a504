/*
 * diagnose.c - see diagnose.h
 *
 * Each look is a picture of its own moment: what is found may be over when it is read.
 */
#include "diagnose.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/handle.h"
#include "core/clock.h"
#include "core/layout.h"
#include "each.h"
#include "print.h"
#include "process.h"
#include "view.h"

#define SILENT_NS (10 * BRI_SECOND) /* of a daemon that looks after its arenas every second */
#define NEARLY 90u                  /* percent */

const char *ctl_level_name(enum ctl_level level)
{
    static const char *const names[] = {"info", "warning", "critical"};

    return names[level];
}

void ctl_find(
    struct ctl_diagnosis *d, enum ctl_level level, const char *object, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    d->n[level]++;
    ctl_rows_map(&d->rows, 3);
    bri_pack_entry(&d->rows.pack, "level", broker_str(ctl_level_name(level)));
    bri_pack_entry(&d->rows.pack, "object", object != NULL ? broker_str(object) : broker_nil());
    bri_pack_entry(&d->rows.pack, "finding", broker_str(text));
}

static unsigned percent(uint64_t used, uint64_t of)
{
    return of != 0 ? (unsigned)((double)used * 100 / (double)of) : 0;
}

/* ---- the arena ---- */

static void look_at_memory(struct ctl_diagnosis *d)
{
    const struct ctl_arena *a = &d->arena;
    unsigned used = percent(a->used_bytes, a->size_bytes);
    uint64_t to_come = a->size_bytes - a->backed_bytes;
    char size[16], free_bytes[16];

    if (used >= d->full.warning)
        ctl_find(d, used >= d->full.critical ? CTL_LEVEL_CRITICAL : CTL_LEVEL_WARNING, NULL,
            "the arena %s is %u %% full: `brokerctl mem` shows what is in it; it can be given "
            "more in brokerd.conf",
            a->name, used);
    if (!a->has_disk || a->disk_free_bytes >= to_come)
        return;
    ctl_format_bytes(to_come, size);
    ctl_format_bytes(a->disk_free_bytes, free_bytes);
    ctl_find(d, percent(a->disk_free_bytes, to_come) < 10 ? CTL_LEVEL_CRITICAL : CTL_LEVEL_WARNING,
        NULL, "the arena %s may grow by %s, but its file system (/dev/shm) has only %s left",
        a->name, size, free_bytes);
}

static void look_at_daemon(struct ctl_diagnosis *d)
{
    const struct bri_arena_shm *shm = d->ctl->broker->arena->shm;
    uint64_t beat = atomic_load(&shm->daemon_beat_ns);
    int64_t silent = bri_now() - (int64_t)beat;
    char text[32];

    if (d->ctl->image != NULL || silent < SILENT_NS)
        return;
    ctl_format_duration((uint64_t)silent, text);
    ctl_find(d, CTL_LEVEL_CRITICAL, NULL,
        "the daemon has not looked after the arena for %s: nobody clears up after the dead", text);
}

/* ---- sessions ---- */

static void look_at_session(struct ctl_diagnosis *d, broker_value row)
{
    unsigned long long number = ctl_map_number(row, "session"), pid = ctl_map_number(row, "pid");
    char command[32] = "?";
    broker_value v;

    if (ctl_map_get(row, "command", &v))
        (void)ctl_copy_text(v, command, sizeof(command));
    if (ctl_map_get(row, "alive", &v) && v.type == BROKER_BOOL && !v.b) {
        d->n_dead_sessions++;
        ctl_find(d, CTL_LEVEL_WARNING, NULL,
            "session %llu of process %llu (%s) is dead, and what it held was not given back yet",
            number, pid, command);
    } else if (d->ctl->image == NULL && ctl_process_state((pid_t)pid) == 'T') {
        ctl_find(d, CTL_LEVEL_WARNING, NULL,
            "process %llu (%s) is stopped: what it holds stays held until it goes on or is killed",
            pid, command);
    }
}

static int look_at_sessions(struct ctl_diagnosis *d)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_iter walk;
    broker_value clients, row;
    int r = broker_clients(d->ctl->broker, &buffer, &clients);

    for (bool more = r >= 0 && ctl_walk_start(&walk, clients); more && ctl_walk_next(&walk, &row);)
        look_at_session(d, row);
    broker_buffer_free(&buffer);
    if (percent(d->arena.n_sessions, d->arena.max_sessions) >= NEARLY)
        ctl_find(d, CTL_LEVEL_WARNING, NULL,
            "%u of %u sessions are taken: soon nobody else can attach (`sessions` in brokerd.conf)",
            d->arena.n_sessions, d->arena.max_sessions);
    return r;
}

static void look_at_quota(struct ctl_diagnosis *d, broker_value row)
{
    static const struct {
        const char *used, *max, *name;
    } limits[] = {{"bytes", "max_bytes", "memory"}, {"objects", "max_objects", "objects"},
        {"sessions", "max_sessions", "sessions"}};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        unsigned used =
            percent(ctl_map_number(row, limits[i].used), ctl_map_number(row, limits[i].max));

        if (used >= NEARLY)
            ctl_find(d, CTL_LEVEL_WARNING, NULL,
                "user %llu has %u %% of the %s that he may have: `brokerctl quota`",
                (unsigned long long)ctl_map_number(row, "uid"), used, limits[i].name);
    }
}

static int look_at_quotas(struct ctl_diagnosis *d)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_iter walk;
    broker_value quotas, row;
    int r = broker_quotas(d->ctl->broker, &buffer, &quotas);

    for (bool more = r >= 0 && ctl_walk_start(&walk, quotas); more && ctl_walk_next(&walk, &row);)
        look_at_quota(d, row);
    broker_buffer_free(&buffer);
    return r;
}

static int look_at_deadlocks(struct ctl_diagnosis *d)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_iter walk;
    broker_value deadlocks;
    int r = broker_deadlocks(d->ctl->broker, &buffer, &deadlocks);

    if (r >= 0 && ctl_walk_start(&walk, deadlocks))
        d->n_deadlocked = walk.left;
    broker_buffer_free(&buffer);
    if (d->n_deadlocked > 0)
        ctl_find(d, CTL_LEVEL_CRITICAL, NULL,
            "%llu threads wait for each other for ever: `brokerctl locks --deadlocks` shows the "
            "circles; ending one of them frees the others",
            (unsigned long long)d->n_deadlocked);
    return r;
}

static int look_at_locks(struct ctl_diagnosis *d)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    char name[BRI_NAME_MAX + 1];
    struct bri_iter walk;
    broker_value locks, row, v;
    int r = broker_locks(d->ctl->broker, &buffer, &locks);

    for (bool more = r >= 0 && ctl_walk_start(&walk, locks); more && ctl_walk_next(&walk, &row);)
        if (ctl_map_get(row, "pid", &v) && v.type == BROKER_NIL && ctl_map_get(row, "name", &v) &&
            ctl_copy_text(v, name, sizeof(name)))
            ctl_find(d, CTL_LEVEL_WARNING, name,
                "its owner has ended, and it was told to stay locked: `brokerctl lock release` "
                "frees it");
    broker_buffer_free(&buffer);
    return r;
}

/* ---- objects ---- */

static void look_at_queue(struct ctl_diagnosis *d, const char *name, broker_value stat)
{
    unsigned long long items = ctl_map_number(stat, "items"), dead = ctl_map_number(stat, "dead");
    uint64_t max_items = ctl_map_number(stat, "max_items");

    d->n_dead_items += dead;
    if (dead > 0)
        ctl_find(d, CTL_LEVEL_WARNING, name,
            "%llu items failed too often and are dead: `brokerctl queue take-dead` or `revive`",
            dead);
    if (items > 0 && ctl_map_number(stat, "sessions") == 0)
        ctl_find(d, CTL_LEVEL_WARNING, name, "%llu items wait, and no program has it open", items);
    else if (max_items != 0 && items >= max_items)
        ctl_find(d, CTL_LEVEL_WARNING, name,
            "it is full (%llu items): who puts has to wait until somebody takes", items);
}

static int look_at_object(void *arg, const char *name, broker_value stat)
{
    struct ctl_diagnosis *d = arg;
    unsigned quota = percent(ctl_map_number(stat, "bytes"), ctl_map_number(stat, "quota_bytes"));
    unsigned long long recoveries = ctl_map_number(stat, "recoveries");
    broker_value type;

    if (ctl_map_number(stat, "quarantined") != 0) {
        d->n_quarantined++;
        ctl_find(d, CTL_LEVEL_CRITICAL, name,
            "its memory is damaged and it cannot be used any more: `brokerctl check` tells what "
            "is wrong, `brokerctl rm` removes it");
    }
    if (quota >= NEARLY)
        ctl_find(d, CTL_LEVEL_WARNING, name, "it has %u %% of the memory of its quota", quota);
    if (ctl_map_number(stat, "broken") != 0)
        ctl_find(d, CTL_LEVEL_WARNING, name,
            "the barrier is broken: nobody gets through until it is reset");
    if (recoveries > 0)
        ctl_find(d, CTL_LEVEL_INFO, name, "%llu operations were cut short by a death, and undone",
            recoveries);
    if (ctl_map_get(stat, "type", &type) && ctl_is_text(type, "queue"))
        look_at_queue(d, name, stat);
    return 0;
}

/* ---- all ---- */

int ctl_diagnose(struct ctl_diagnosis *d)
{
    static int (*const looks[])(struct ctl_diagnosis *) = {
        look_at_sessions, look_at_quotas, look_at_deadlocks, look_at_locks};
    const struct ctl_filter all = {0};
    int r = 0;

    ctl_rows_start(&d->rows);
    ctl_look_at_arena(d->ctl, &d->arena);
    look_at_memory(d);
    look_at_daemon(d);
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]) && r >= 0; i++)
        r = looks[i](d);
    return r < 0 ? r : ctl_each_object(d->ctl, &all, look_at_object, d);
}

void ctl_diagnosis_free(struct ctl_diagnosis *d)
{
    ctl_rows_free(&d->rows);
}
