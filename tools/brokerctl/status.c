/*
 * status.c - this program and the daemon in a few words: status (no command at all), version
 */
#include <stdio.h>

#include "client/attach.h"
#include "ctl.h"
#include "fail.h"
#include "objects/pack.h"
#include "options.h"
#include "print.h"
#include "view.h"

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
    static const char *const keys[] = {"version", "layout", "attach"};
    const broker_value values[] = {broker_str(broker_version()), broker_uint(BRI_LAYOUT_VERSION),
        broker_uint(BRI_ATTACH_VERSION)};

    if (!ctl_parse_none(ctl, "version",
            "The versions of this program, of the memory and of the protocol it knows.", argc,
            argv))
        return 0;
    if (ctl->json)
        return print_pairs(ctl, keys, values, COUNT(keys));
    (void)printf(CTL_PROGRAM " %s (memory layout %u, attach protocol %u)\n", broker_version(),
        BRI_LAYOUT_VERSION, BRI_ATTACH_VERSION);
    return 0;
}

static uint32_t count_rows(broker_value rows)
{
    struct bri_iter walk;

    return ctl_walk_start(&walk, rows) ? walk.left : 0;
}

static int print_status(struct ctl *ctl, const struct bri_attach_status *status, uint32_t n_objects)
{
    static const char *const keys[] = {
        "address", "version", "pid", "uptime_ns", "objects", "sessions", "readers", "refused"};
    const broker_value values[] = {broker_str(broker_address(ctl->broker)),
        broker_str(status->version), broker_uint(status->pid), broker_uint(status->uptime_ns),
        broker_uint(n_objects), broker_uint(status->n_sessions), broker_uint(status->n_readers),
        broker_uint(status->n_refused)};
    char uptime[32];

    if (ctl->json)
        return print_pairs(ctl, keys, values, COUNT(keys));
    ctl_format_duration(status->uptime_ns, uptime);
    (void)printf("brokerd %s at %s (process: %u, up: %s, objects: %u, sessions: %u)\n",
        status->version, broker_address(ctl->broker), status->pid, uptime, n_objects,
        status->n_sessions);
    (void)puts("`brokerctl ls` lists the objects, `brokerctl help` the commands.");
    return 0;
}

int ctl_cmd_status(struct ctl *ctl, int argc, char **argv)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_attach_status status;
    broker_value objects;
    int r, code = ctl_connect(ctl);

    (void)argc;
    (void)argv;
    if (code != 0) {
        ctl_note(ctl, "`brokerctl help` lists the commands");
        return code;
    }
    r = broker_objects(ctl->broker, NULL, NULL, &buffer, &objects);
    if (r >= 0)
        r = bri_attach_ask_status(ctl->broker, &status);
    code = r < 0 ? ctl_fail(r, "the broker at %s does not tell its state: %s",
                       broker_address(ctl->broker), broker_error_text(r))
                 : print_status(ctl, &status, count_rows(objects));
    broker_buffer_free(&buffer);
    return code;
}
