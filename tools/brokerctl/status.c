/*
 * status.c - this program and the daemon in a few words: status (no command at all), version
 */
#include <stdio.h>

#include "arena.h"
#include "client/attach.h"
#include "ctl.h"
#include "fail.h"
#include "objects/pack.h"
#include "options.h"
#include "print.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int print_pairs(
    const struct ctl *ctl, const char *const *keys, const broker_value *values, uint32_t n)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack pack;
    broker_value map;
    int code;

    bri_pack_start(&pack, &buffer);
    bri_pack_map(&pack, n);
    for (uint32_t i = 0; i < n; i++)
        bri_pack_entry(&pack, keys[i], values[i]);
    code = bri_pack_end(&pack, &map) < 0 ? ctl_fail(BROKER_NOMEM, "no memory for the answer")
                                         : ctl_print_json(ctl, map);
    broker_buffer_free(&buffer);
    return code;
}

int ctl_cmd_version(struct ctl *ctl, int argc, char **argv)
{
    static const char *const keys[] = {"version", "layout", "attach", "json"};
    const broker_value values[] = {broker_str(broker_version()), broker_uint(bri_layout_version()),
        broker_uint(BRI_ATTACH_VERSION), broker_uint(CTL_JSON_VERSION)};

    if (!ctl_parse_none(ctl, "version",
            "The versions of this program, of the memory and of the protocol it knows.", argc,
            argv))
        return 0;
    if (ctl->json)
        return print_pairs(ctl, keys, values, COUNT(keys));
    (void)printf(CTL_PROGRAM " %s (memory layout %u, attach protocol %u)\n", broker_version(),
        bri_layout_version(), BRI_ATTACH_VERSION);
    return 0;
}

/* What of the arena @a is used, for people. */
static void print_memory(const struct ctl_arena *a)
{
    char used[16], size[16];

    ctl_format_bytes(a->used_bytes, used);
    ctl_format_bytes(a->size_bytes, size);
    (void)printf("arena %s (memory: %s of %s, objects: %llu, sessions: %u of %u)\n", a->name, used,
        size, (unsigned long long)(a->n_named + a->n_anonymous), a->n_sessions, a->max_sessions);
}

static int print_status(struct ctl *ctl, const struct bri_attach_status *status)
{
    static const char *const keys[] = {"address", "version", "pid", "uptime_ns", "objects",
        "sessions", "readers", "refused", "arena", "size_bytes", "used_bytes"};
    struct ctl_arena a;
    char uptime[32];

    ctl_look_at_arena(ctl, &a);
    if (ctl->json) {
        const broker_value values[] = {broker_str(broker_address(ctl->broker)),
            broker_str(status->version), broker_uint(status->pid), broker_uint(status->uptime_ns),
            broker_uint(a.n_named), broker_uint(status->n_sessions), broker_uint(status->n_readers),
            broker_uint(status->n_refused), broker_str(a.name), broker_uint(a.size_bytes),
            broker_uint(a.used_bytes)};

        return print_pairs(ctl, keys, values, COUNT(keys));
    }
    ctl_format_duration(status->uptime_ns, uptime);
    (void)printf("brokerd %s at %s (process: %u, up: %s, sessions: %u, readers: %u)\n",
        status->version, broker_address(ctl->broker), status->pid, uptime, status->n_sessions,
        status->n_readers);
    print_memory(&a);
    (void)puts("`brokerctl ls` lists the objects, `brokerctl help` the commands.");
    return 0;
}

/* Of a copy there is no daemon to ask. */
static int print_copy(struct ctl *ctl)
{
    static const char *const keys[] = {
        "address", "objects", "sessions", "arena", "size_bytes", "used_bytes"};
    struct ctl_arena a;

    ctl_look_at_arena(ctl, &a);
    if (ctl->json) {
        const broker_value values[] = {broker_str(broker_address(ctl->broker)),
            broker_uint(a.n_named), broker_uint(a.n_sessions), broker_str(a.name),
            broker_uint(a.size_bytes), broker_uint(a.used_bytes)};

        return print_pairs(ctl, keys, values, COUNT(keys));
    }
    (void)printf("a copy of %s\n", broker_address(ctl->broker));
    print_memory(&a);
    return 0;
}

int ctl_cmd_status(struct ctl *ctl, int argc, char **argv)
{
    struct bri_attach_status status;
    int r, code;

    if (argc > 0 && !ctl_parse_none(ctl, "status",
                        "Whether the daemon is there, and how much it has to do. Without a "
                        "command brokerctl does this, too.",
                        argc, argv))
        return 0;
    ctl->wait_ns = CTL_LOOK_NS;
    code = ctl_connect_to_memory(ctl);
    if (code != 0) {
        ctl_note(ctl, "`brokerctl help` lists the commands");
        return code;
    }
    if (ctl->quiet)
        return 0;
    if (ctl->image != NULL)
        return print_copy(ctl);
    r = bri_attach_ask_status(ctl->broker, &status);
    return r < 0 ? ctl_fail(r, "the broker at %s does not tell its state: %s",
                       broker_address(ctl->broker), broker_error_text(r))
                 : print_status(ctl, &status);
}
