/*
 * connect.c - what commands look at: a broker that answers, or with --offline a copy of its memory
 *
 * The copy is private: nothing that is done to it reaches the arena, and whoever wants to change
 * something is refused.
 */
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/open.h"
#include "ctl.h"
#include "fail.h"
#include "image.h"

#define SYSTEM_GROUP "broker" /* as the packages make it */
#define TELL_AFTER_S 3

static void arena_path(const struct ctl *ctl, char *out, size_t size)
{
    const char *arena = ctl->arena != NULL ? ctl->arena : BRI_DEFAULT_ARENA;
    char instance[64];

    (void)snprintf(instance, sizeof(instance), "%s",
        ctl->instance != NULL ? ctl->instance
        : geteuid() == 0      ? "system"
                              : "user");
    if (strcmp(instance, "user") == 0)
        (void)snprintf(instance, sizeof(instance), "user-%u", (unsigned)geteuid());
    (void)snprintf(out, size, "/dev/shm/brokerd.%s.%s", instance, arena);
}

static int fail_image(const char *path, int r, const uint32_t found[2])
{
    switch (r) {
    case BROKER_NOTFOUND:
        return ctl_fail(r,
            "there is no arena %s; say which with --instance and --arena, or give its file: `ls "
            "/dev/shm/brokerd.*`",
            path);
    case BROKER_VERSION:
        return ctl_fail(r,
            "%s has memory layout %u (ABI %#x); this program understands layout %u (ABI %#x)", path,
            found[0], found[1], bri_layout_version(), BRI_ABI);
    case BROKER_CORRUPT:
        return ctl_fail(r,
            "the header of %s is damaged, or the file was cut short: nothing in it can be used; "
            "remove it",
            path);
    default:
        return ctl_fail(r, "cannot read %s: %s", path, broker_error_text(r));
    }
}

static int open_image(struct ctl *ctl)
{
    struct ctl_image *image = calloc(1, sizeof(*image));
    char path[256];
    uint32_t found[2];
    int r;

    if (image == NULL)
        return ctl_fail(BROKER_NOMEM, "no memory for a copy of the arena");
    if (ctl->image_path != NULL)
        (void)snprintf(path, sizeof(path), "%s", ctl->image_path);
    else
        arena_path(ctl, path, sizeof(path));
    r = ctl_image_open(path, image, found);
    if (r < 0) {
        free(image);
        return fail_image(path, r, found);
    }
    if (image->in_use)
        ctl_note(ctl,
            "programs are attached to %s: what they are just changing may look like a problem",
            path);
    ctl->image = image;
    ctl->broker = &image->broker;
    return 0;
}

/* Who may not use the system's instance mostly only lacks a group. */
static void tell_group(const struct ctl *ctl)
{
    const struct group *group = getgrnam(SYSTEM_GROUP);

    if (group == NULL || group_member(group->gr_gid))
        ctl_note(ctl, "who may is said by `read` and `write` of the arena in brokerd.conf");
    else
        ctl_note(ctl,
            "you are not in the group " SYSTEM_GROUP ", which may use the system's instance unless "
            "brokerd.conf says otherwise: `adduser USER " SYSTEM_GROUP "`, and log in again");
}

/* No address was said: only then is it known which instance's memory was meant. */
static bool is_standard(const struct ctl *ctl)
{
    const char *said = getenv("BROKER_ADDRESS");

    return ctl->address == NULL && (said == NULL || said[0] == '\0');
}

/* A daemon that is gone may have left its memory. */
static int fail_connect(const struct ctl *ctl, int r)
{
    int code = ctl_fail_last(r);
    char path[256];

    if (r == BROKER_ACCESS)
        tell_group(ctl);
    arena_path(ctl, path, sizeof(path));
    if (r == BROKER_NODAEMON && is_standard(ctl) && access(path, R_OK) == 0)
        ctl_note(ctl, "%s is there: `brokerctl --offline ls` looks at a copy of it", path);
    return code;
}

static void tell_waiting(int signal)
{
    static const char text[] =
        CTL_PROGRAM ": the broker does not answer yet: still waiting for it\n";

    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
}

/* Who is kept waiting is told so, before he thinks that it hangs. */
static int open_live(struct ctl *ctl)
{
    const struct itimerval never = {0}, soon = {.it_value.tv_sec = TELL_AFTER_S};
    const struct sigaction teller = {
        .sa_handler = ctl->quiet || ctl->wait_ns != 0 ? SIG_IGN : tell_waiting};
    struct sigaction before;
    int r;

    (void)sigaction(SIGALRM, &teller, &before);
    (void)setitimer(ITIMER_REAL, &soon, NULL);
    r = bri_open_within(ctl->address, ctl->wait_ns, &ctl->broker);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    (void)sigaction(SIGALRM, &before, NULL);
    return r;
}

int ctl_connect(struct ctl *ctl)
{
    int r;

    if (ctl->broker != NULL)
        return 0;
    if (ctl->offline)
        return open_image(ctl);
    if (ctl->instance != NULL || ctl->arena != NULL)
        return ctl_fail_usage(
            "--instance and --arena need --offline; a live arena is chosen by --address");
    r = open_live(ctl);
    return r < 0 ? fail_connect(ctl, r) : 0;
}

int ctl_connect_to_memory(struct ctl *ctl)
{
    int code = ctl_connect(ctl);

    if (code != 0 || ctl->broker->arena != NULL)
        return code;
    return ctl_fail(BROKER_UNSUPPORTED,
        "this command looks at the memory itself, which %s does not give: use a unix: address, on "
        "the machine of the broker",
        broker_address(ctl->broker));
}

void ctl_disconnect(struct ctl *ctl)
{
    if (ctl->image != NULL) {
        ctl_image_close(ctl->image);
        free(ctl->image);
        ctl->image = NULL;
    } else {
        broker_close(ctl->broker);
    }
    ctl->broker = NULL;
}

int ctl_refuse_offline(const struct ctl *ctl, const char *what)
{
    return ctl->offline ? ctl_fail(BROKER_ACCESS,
                              "with --offline nothing can be changed or waited for: "
                              "%s needs a daemon",
                              what)
                        : 0;
}
