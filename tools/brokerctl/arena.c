/*
 * arena.c - see arena.h
 */
#include "arena.h"

#include <string.h>
#include <sys/statvfs.h>

#include "client/handle.h"
#include "core/attachment.h"
#include "core/pages.h"
#include "core/registry.h"
#include "core/session.h"
#include "dispatch.h"
#include "object.h"
#include "view.h"

#define MAX_ATTACHMENTS 100000u
#define MAX_PAGES 100000u
#define ITEMS_AT_ONCE 1024u

/* ---- the arena ---- */

static uint64_t count_used(const struct bri_arena *a)
{
    uint32_t n = atomic_load(&a->shm->committed);
    uint64_t punched = bri_tag(0, BRI_PAGE_PUNCHED, 0), used = a->first_page;

    for (uint32_t page = a->first_page; page < n && page < a->n_pages; page++) {
        uint64_t tag = bri_page_tag(a, page);

        used += tag != 0 && tag != punched;
    }
    return used;
}

static void look_at_disk(const struct ctl *ctl, struct ctl_arena *out)
{
    struct statvfs fs;
    int fd = ctl->broker->arena->fd;

    if (fd < 0 || fstatvfs(fd, &fs) < 0)
        return;
    out->has_disk = true;
    out->disk_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    out->disk_free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
}

void ctl_look_at_arena(struct ctl *ctl, struct ctl_arena *out)
{
    struct bri_arena *a = ctl->broker->arena;
    const struct bri_slot_shm *registry = bri_slot_at(a, a->first_slot);
    const struct bri_registry_shm *reg =
        registry != NULL ? (const struct bri_registry_shm *)registry->state : NULL;
    uint32_t backed = atomic_load(&a->shm->committed);
    struct bri_session_info info;

    *out = (struct ctl_arena){.size_bytes = (uint64_t)a->n_pages * BRI_PAGE_SIZE,
        .used_bytes = count_used(a) * BRI_PAGE_SIZE,
        .backed_bytes = (uint64_t)(backed < a->n_pages ? backed : a->n_pages) * BRI_PAGE_SIZE,
        .max_sessions = a->n_sessions};
    memcpy(out->name, a->name, sizeof(out->name));
    if (reg != NULL) {
        out->n_named = *(const volatile uint64_t *)&reg->n_objects;
        out->n_anonymous = *(const volatile uint64_t *)&reg->n_anonymous;
    }
    for (uint32_t i = 0; i < a->n_sessions; i++)
        out->n_sessions += bri_session_info(a, i, &info) == 0 && info.status != BRI_SESSION_FREE;
    look_at_disk(ctl, out);
}

/* ---- users of an object ---- */

/* The attachment of a session to @o; NULL if it has none. */
static const struct bri_attachment_shm *find_attachment(
    const struct bri_object *session, const struct bri_object *o)
{
    const struct bri_attachment_shm *att;
    uint32_t left = MAX_ATTACHMENTS;

    for (uint64_t off = bri_session_state(session)->first_attachment; off != 0 && left-- > 0;
         off = att->next_off) {
        att = bri_attachment_at(session, off);
        if (att == NULL || (att->object == o->id && att->generation == o->generation))
            return att;
    }
    return NULL;
}

static void add_user(struct ctl_rows *rows, struct bri_arena *a,
    const struct bri_session_info *info, const struct bri_attachment_shm *att)
{
    uint64_t waiting = 0;

    for (unsigned c = 0; c < BRI_N_CHANNELS; c++)
        waiting += att->n_waiting[c];
    ctl_rows_map(rows, 6);
    bri_pack_entry(&rows->pack, "session", broker_uint(info->number));
    bri_pack_entry(&rows->pack, "pid", broker_uint(info->pid));
    bri_pack_entry(&rows->pack, "command", broker_str(info->comm));
    bri_pack_entry(&rows->pack, "alive", broker_bool(!bri_session_is_dead(a, info->number)));
    bri_pack_entry(&rows->pack, "leases", broker_uint(att->n_leases));
    bri_pack_entry(&rows->pack, "waiting", broker_uint(waiting));
}

int ctl_add_users(struct ctl *ctl, const char *name, struct ctl_rows *rows)
{
    struct bri_arena *a = ctl->broker->arena;
    const struct bri_attachment_shm *att;
    struct bri_session_info info;
    struct bri_object o, session;
    int r = bri_registry_find(a, name, &o);

    if (r < 0)
        return r;
    for (uint32_t i = 0; i < a->n_sessions; i++) {
        if (bri_session_info(a, i, &info) < 0 || info.status == BRI_SESSION_FREE ||
            bri_session_object(a, i, &session) < 0 || session.root == NULL)
            continue;
        att = find_attachment(&session, &o);
        if (att != NULL)
            add_user(rows, a, &info, att);
    }
    return 0;
}

/* ---- leases ---- */

const struct ctl_column ctl_lease_columns[] = {
    {"object", "QUEUE", CTL_CELL_TEXT},
    {"number", "ITEM", CTL_CELL_NUMBER},
    {"session", "SESSION", CTL_CELL_NUMBER},
    {"pid", "PID", CTL_CELL_NUMBER},
    {"command", "COMMAND", CTL_CELL_TEXT},
    {"deliveries", "DELIVERIES", CTL_CELL_NUMBER},
    {"age_ns", "AGE", CTL_CELL_DURATION},
    {"left_ns", "LEFT", CTL_CELL_DURATION},
    {"size_bytes", "SIZE", CTL_CELL_BYTES},
};
const unsigned ctl_n_lease_columns = sizeof(ctl_lease_columns) / sizeof(ctl_lease_columns[0]);

static broker_value entry_of(broker_value item, const char *key)
{
    broker_value v;

    return ctl_map_get(item, key, &v) ? v : broker_nil();
}

static void add_lease(struct ctl *ctl, const char *name, broker_value item, struct ctl_rows *rows)
{
    static const char *const copied[] = {
        "number", "session", "pid", "deliveries", "age_ns", "left_ns", "size_bytes"};
    broker_value session = entry_of(item, "session");
    struct bri_session_info info = {0};
    bool known = session.type == BROKER_INT && ctl->broker->arena != NULL &&
                 bri_session_info(ctl->broker->arena, (uint32_t)session.u, &info) == 0;

    ctl_rows_map(rows, 9);
    bri_pack_entry(&rows->pack, "object", broker_str(name));
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
        bri_pack_entry(&rows->pack, copied[i], entry_of(item, copied[i]));
    bri_pack_entry(&rows->pack, "command", known ? broker_str(info.comm) : broker_nil());
}

/* @leased of the items are: when those were met, nobody need look further. */
static int browse(struct ctl *ctl, const char *name, struct bri_handle *queue, uint64_t leased,
    struct ctl_rows *rows)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value args[] = {broker_uint(0), broker_uint(ITEMS_AT_ONCE)}, item;
    struct bri_call call = {
        .handle = queue, .op = BRI_OP_QUEUE_BROWSE, .args = args, .n_args = 2, .buffer = &buffer};
    struct bri_iter walk;
    uint32_t pages = 0;
    int r;

    do {
        r = bri_dispatch(&call);
        for (bool more = r >= 0 && ctl_walk_start(&walk, call.results[0]);
             more && leased > 0 && ctl_walk_next(&walk, &item);)
            if (ctl_is_text(entry_of(item, "state"), "leased")) {
                add_lease(ctl, name, item, rows);
                leased--;
            }
        args[0] = r >= 0 ? call.results[1] : broker_uint(0);
    } while (r >= 0 && args[0].u != 0 && leased > 0 && ++pages < MAX_PAGES);
    broker_buffer_free(&buffer);
    return r < 0 ? r : 0;
}

int ctl_add_leases(struct ctl *ctl, const char *name, struct ctl_rows *rows)
{
    const struct ctl_type *type = ctl_find_type("queue");
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value stat, mode = broker_uint(BROKER_OPEN);
    struct bri_handle *queue;
    uint64_t leased = 0;
    int r = broker_stat(ctl->broker, name, &buffer, &stat);

    if (r >= 0)
        leased = ctl_map_number(stat, "leased");
    broker_buffer_free(&buffer);
    if (r < 0 || leased == 0)
        return r < 0 ? r : 0;
    r = bri_dispatch_open(ctl->broker, type->number, name, &mode, 1, &queue);
    if (r < 0)
        return r;
    r = browse(ctl, name, queue, leased, rows);
    bri_dispatch_close(queue);
    return r;
}
