/*
 * main.c - brokerd: options, the order of starting and stopping, and the event loop
 *
 * One loop; nothing in it waits for what a client can hold. Other threads only sleep for it.
 * Stopped in good order or killed, the daemon leaves persistent arenas as they are, for the next
 * one to adopt; attached programs go on.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <broker.h>

#include "attach.h"
#include "client/attach.h"
#include "client/private.h"
#include "clients.h"
#include "collect.h"
#include "core/clock.h"
#include "daemon.h"
#include "discard.h"
#include "endpoint.h"
#include "handover.h"
#include "kernel.h"
#include "loop.h"
#include "sigbus.h"
#include "snapshot.h"

#define BEAT_USEC 1000000u
#define RETRY_ACCURACY_USEC 1000u /* 0 would stand for a quarter of a second */

struct options {
    const char *config;
    const char *instance;
    const char *runtime_dir;
    const char *zmq_program;
    bool check_config, discard;
    int starter; /* -1: not private */
};

enum {
    KEY_CONFIG = 'c',
    KEY_INSTANCE = 'i',
    KEY_CHECK = 256,
    KEY_DISCARD,
    KEY_PRIVATE,
    KEY_RUNTIME_DIR,
    KEY_ZMQ_PROGRAM,
};

static const struct argp_option option_list[] = {
    {"config", KEY_CONFIG, "FILE", 0,
        "Read the configuration from FILE (standard: brokerd.conf in " BROKERD_SYSCONFDIR
        "/brokerd for the system's instance, in $XDG_CONFIG_HOME/brokerd for a user's, in a folder "
        "NAME below for another one)",
        0},
    {"check-config", KEY_CHECK, NULL, 0,
        "Check the configuration and exit: 0 if it is good, 1 if not", 0},
    {"discard", KEY_DISCARD, NULL, 0,
        "Remove the memory that the instance left when it stopped, with all that is in it, and "
        "exit",
        0},
    {"instance", KEY_INSTANCE, "NAME", 0,
        "Run the instance `system` (standard for root), `user` (standard for others) or another "
        "one called NAME",
        0},
    {"runtime-dir", KEY_RUNTIME_DIR, "DIR", 0, "Put the attach socket into DIR", 0},
    {"zmq-program", KEY_ZMQ_PROGRAM, "FILE", 0,
        "Run FILE for ZeroMQ (standard: brokerd-zmq, beside this program or in " BROKERD_LIBEXECDIR
        ")",
        0},
    {"private", KEY_PRIVATE, "FD", 0,
        "Run an instance for the program at the other end of the socket FD, and end with its last "
        "session",
        0},
    {0},
};

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    (void)fprintf(stream, "brokerd %s\n" BROKERD_LAYOUT_LINE "%u.%08x\n", broker_version(),
        bri_layout_version(), BRI_ABI);
}

static int parse_fd(const char *text, struct argp_state *state)
{
    char *end;
    long n = strtol(text, &end, 10);
    struct stat st;

    if (end == text || *end != '\0' || n < 0 || n > INT_MAX || fstat((int)n, &st) != 0 ||
        !S_ISSOCK(st.st_mode))
        argp_error(state, "--private needs the number of an open socket");
    return (int)n;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case KEY_CONFIG:
        o->config = arg;
        return 0;
    case KEY_INSTANCE:
        o->instance = arg;
        return 0;
    case KEY_CHECK:
        o->check_config = true;
        return 0;
    case KEY_DISCARD:
        o->discard = true;
        return 0;
    case KEY_RUNTIME_DIR:
        o->runtime_dir = arg;
        return 0;
    case KEY_ZMQ_PROGRAM:
        o->zmq_program = arg;
        return 0;
    case KEY_PRIVATE:
        o->starter = parse_fd(arg, state);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is too much", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    return key == ARGP_KEY_HELP_POST_DOC ? brokerd_config_help() : (char *)(uintptr_t)text;
}

/* ---- the loop's events ---- */

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
    struct brokerd *d = arg;

    (void)source;
    brokerd_log(
        LOG_INFO, NULL, "stopping on %s", info->ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    brokerd_notify_stopping();
    brokerd_snapshot_stop(d);
    return 0;
}

void brokerd_retry_at(struct brokerd *d, int64_t when_ns)
{
    uint64_t usec = (uint64_t)when_ns / 1000 + 1, set;

    if (when_ns == BRI_NEVER || (sd_event_source_get_enabled(d->retry, NULL) > 0 &&
                                    sd_event_source_get_time(d->retry, &set) >= 0 && set <= usec))
        return;
    (void)sd_event_source_set_time(d->retry, usec);
    (void)sd_event_source_set_enabled(d->retry, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *arg)
{
    struct brokerd *d = arg;

    (void)source;
    (void)usec;
    brokerd_retry_at(d, brokerd_clients_retry(d));
    return 0;
}

static int on_beat(sd_event_source *source, uint64_t usec, void *arg)
{
    struct brokerd *d = arg;

    (void)usec;
    for (struct brokerd_arena *arena = d->arenas; arena != NULL; arena = arena->next) {
        brokerd_arena_tick(arena);
        brokerd_clients_scan(d, arena);
        d->must_sweep |= arena->has_ended && arena->map != NULL;
    }
    brokerd_attach_resume(d);
    brokerd_notify_status(d);
    if (d->is_stopping) {
        brokerd_notify_patience(10 * BEAT_USEC);
        brokerd_notify_alive(); /* a handover ends the self-test */
    }
    (void)sd_event_source_set_time_relative(source, BEAT_USEC);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* After every event, and before the next: what ended goes here, where nobody holds on to it. */
static int after_event(sd_event_source *source, void *arg)
{
    struct brokerd *d = arg;

    (void)source;
    for (struct brokerd_arena *arena = d->arenas; arena != NULL; arena = arena->next)
        d->must_sweep |= arena->has_ended && arena->map != NULL;
    if (!d->must_sweep)
        return 0;
    d->must_sweep = false;
    brokerd_clients_sweep(d);
    if (d->place.kind == BROKERD_PRIVATE && d->was_attached && d->clients == NULL)
        return sd_event_exit(d->event, EXIT_SUCCESS);
    return 0;
}

/* Who started a private instance is gone, or needs no more help. */
static int on_starter(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct brokerd *d = arg;

    (void)fd;
    (void)events;
    (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return d->was_attached ? 0 : sd_event_exit(d->event, EXIT_SUCCESS);
}

/* ---- configuration ---- */

static bool read_config(const struct brokerd *d, struct brokerd_config **out_config)
{
    bool has_files = d->config_source.file != NULL || d->place.kind != BROKERD_PRIVATE;

    return brokerd_config_read(has_files ? &d->config_source : NULL, &d->base, out_config);
}

/* Takes over one arena of the configuration: what it says, or the arena itself if it is new. */
static bool use_arena_config(struct brokerd *d, const struct brokerd_arena_config *config)
{
    struct brokerd_arena **link = &d->arenas;

    for (; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->name, config->name) == 0) {
            brokerd_arena_configure(*link, config);
            return brokerd_snapshot_configure(d, *link, config);
        }
    if (!brokerd_arena_open(
            config, &d->place, brokerd_inherited_arena(&d->inherited, config->name), link) ||
        !brokerd_collect_start(d, *link) || !brokerd_snapshot_configure(d, *link, config))
        return false;
    brokerd_clients_scan(d, *link);
    return true;
}

static bool use_config(struct brokerd *d)
{
    brokerd_log_level(d->config->log_level);
    for (const struct brokerd_arena_config *c = d->config->arenas; c != NULL; c = c->next)
        if (!use_arena_config(d, c))
            return false;
    brokerd_arenas_check_room(d->arenas);
    return true;
}

static void say_what_needs_restart(const struct brokerd *d, const struct brokerd_config *old)
{
    if (strcmp(old->runtime_dir, d->config->runtime_dir) != 0)
        brokerd_log(LOG_WARNING, NULL, "another runtime_dir needs a restart");
    for (const struct brokerd_arena *a = d->arenas; a != NULL; a = a->next) {
        const struct brokerd_arena_config *c = d->config->arenas;

        while (c != NULL && strcmp(c->name, a->name) != 0)
            c = c->next;
        if (c == NULL)
            brokerd_log(LOG_WARNING, NULL, "the arena %s stays until a restart", a->name);
    }
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
    struct brokerd *d = arg;
    struct brokerd_config *old = d->config;

    (void)source;
    (void)info;
    brokerd_notify_reloading();
    if (read_config(d, &d->config)) {
        if (!use_config(d))
            brokerd_log(LOG_WARNING, NULL, "not all of the configuration could be used");
        brokerd_endpoint_configure(d);
        say_what_needs_restart(d, old);
        brokerd_config_free(old);
        d->notify.config_trouble[0] = '\0';
        brokerd_log(LOG_INFO, NULL, "the configuration was read anew");
    } else {
        (void)snprintf(d->notify.config_trouble, sizeof(d->notify.config_trouble),
            "new configuration refused: %s", brokerd_log_last_error());
        brokerd_log(LOG_WARNING, NULL, "the configuration stays as it was");
    }
    brokerd_notify_ready(d);
    return 0;
}

/* ---- starting and stopping ---- */

static bool add_events(struct brokerd *d)
{
    if (brokerd_loop_new(&d->event, on_stop, on_reload, d) < 0 ||
        sd_event_add_time_relative(d->event, &d->beat, CLOCK_MONOTONIC, BEAT_USEC, 0, on_beat, d) <
            0 ||
        sd_event_add_time_relative(
            d->event, &d->retry, CLOCK_MONOTONIC, 0, RETRY_ACCURACY_USEC, on_retry, d) < 0 ||
        sd_event_add_post(d->event, &d->sweep, after_event, d) < 0 ||
        sd_event_source_set_priority(d->sweep, SD_EVENT_PRIORITY_IMPORTANT) < 0 ||
        (d->starter >= 0 &&
            sd_event_add_io(d->event, NULL, d->starter, EPOLLIN, on_starter, d) < 0)) {
        brokerd_log(LOG_ERR, NULL, "cannot make an event loop");
        return false;
    }
    return true;
}

/* A client costs two descriptors. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* NULL: the standard place. */
static const char *runtime_dir(const struct brokerd *d, const struct options *o)
{
    if (o->runtime_dir == NULL && d->config->runtime_dir[0] != '\0')
        return d->config->runtime_dir;
    return o->runtime_dir;
}

/* 0, or the exit status: EX_CONFIG if trying again is of no use before somebody has done something
 * about the configuration or what is in an arena's place. */
static int start(struct brokerd *d, const struct options *o)
{
    brokerd_kernel_check();
    raise_limits();
    brokerd_sigbus_install();
    (void)umask(077);
    if (!brokerd_place_take(&d->place, runtime_dir(d, o)) || !add_events(d))
        return EXIT_FAILURE;
    d->zmq_fd = brokerd_inherited_socket(&d->inherited, BRI_ATTACH_NAME, SOCK_STREAM);
    /* First, so that who comes meanwhile waits: to load an arena may take long. */
    d->listen_fd = brokerd_place_listen(
        &d->place, brokerd_inherited_take(&d->inherited, BRI_ATTACH_NAME), BROKERD_BACKLOG);
    if (d->listen_fd < 0)
        return EXIT_FAILURE;
    if (!use_config(d))
        return EX_CONFIG;
    brokerd_inherited_close(&d->inherited);
    if (!brokerd_attach_start(d) || !brokerd_selftest_start(d))
        return EXIT_FAILURE;
    brokerd_endpoint_configure(d);
    return 0;
}

static void stop(struct brokerd *d)
{
    brokerd_endpoint_stop(d);
    brokerd_selftest_stop(d);
    brokerd_handover_end(d);
    brokerd_clients_free(d);
    for (struct brokerd_arena *a = d->arenas, *next; a != NULL; a = next) {
        next = a->next;
        brokerd_arena_close(a);
    }
    brokerd_place_leave(&d->place);
    d->listener = sd_event_source_disable_unref(d->listener);
    d->beat = sd_event_source_disable_unref(d->beat);
    d->retry = sd_event_source_disable_unref(d->retry);
    d->sweep = sd_event_source_disable_unref(d->sweep);
    d->event = sd_event_unref(d->event);
    if (d->listen_fd >= 0)
        (void)close(d->listen_fd);
    if (d->zmq_fd >= 0)
        (void)close(d->zmq_fd);
    brokerd_config_free(d->config);
}

/* One packet to who started a private instance; see client/private.h. */
static void tell_starter(const struct brokerd *d, char kind, const char *text)
{
    char packet[BRI_PRIVATE_PACKET] = {kind};

    if (d->starter < 0)
        return;
    (void)snprintf(packet + 1, sizeof(packet) - 1, "%s", text);
    (void)send(d->starter, packet, strlen(packet) + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int run(struct brokerd *d, const struct options *o)
{
    int r = start(d, o);

    if (r != 0) {
        for (struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
            brokerd_arena_spare(a);
        tell_starter(d, BRI_PRIVATE_FAILED, brokerd_log_last_error());
        return r;
    }
    if (d->place.kind == BROKERD_PRIVATE)
        tell_starter(d, BRI_PRIVATE_READY, d->place.socket);
    brokerd_log(LOG_INFO, NULL, "brokerd %s: instance %s is ready at %s", broker_version(),
        d->place.name, d->place.socket);
    brokerd_notify_ready(d);
    r = sd_event_loop(d->event);
    brokerd_notify_stopping();
    if (r < 0)
        brokerd_log(LOG_ERR, NULL, "the event loop failed: %s", strerror(-r));
    return r < 0 ? EXIT_FAILURE : r;
}

/* What a private instance must not take over from the program that it is for. */
static void leave_program(int starter)
{
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("LISTEN_FDS");
    (void)fcntl(starter, F_SETFD, FD_CLOEXEC);
    (void)!chdir("/");
}

static void complain(const char *text)
{
    brokerd_log(LOG_ERR, NULL, "%s", text);
}

static bool prepare(struct brokerd *d, const struct options *o, char own_user[16])
{
    static char state_dir[BROKERD_PATH_MAX];
    bool is_private = o->starter >= 0;

    if (!brokerd_place_name(&d->place, o->instance, is_private))
        return false;
    brokerd_config_places(d->place.of_system, d->place.kind == BROKERD_NAMED ? d->place.name : NULL,
        &d->config_source);
    d->config_source.file = o->config;
    brokerd_config_state(d->place.of_system, state_dir);
    (void)snprintf(own_user, 16, "%u", (unsigned)geteuid());
    d->base = (struct brokerd_config_base){.arena_write = own_user,
        .persist = !is_private,
        .complain = complain,
        .zmq = !is_private,
        .log_level = is_private ? "warning" : "info",
        .state_dir = state_dir};
    if (d->place.of_system) {
        (void)snprintf(own_user, 16, "0 %u", (unsigned)geteuid());
        d->base.group = "@broker";
    }
    return read_config(d, &d->config);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_list,
        .parser = parse_option,
        .doc =
            "The broker's daemon: owns the shared memory that programs attach to by libbroker.\v",
        .help_filter = help_filter,
    };
    struct options options = {.starter = -1};
    struct brokerd d = {.listen_fd = -1, .zmq_fd = -1, .starter = -1, .selftest.probe = -1};
    char own_user[16];
    int r = EXIT_FAILURE;

    argp_err_exit_status = 64;
    argp_program_version_hook = print_version;
    brokerd_log_open();
    (void)argp_parse(&parser, argc, argv, 0, NULL, &options);
    d.starter = options.starter;
    d.endpoint_program = options.zmq_program;
    d.started_ns = bri_now();
    if (d.starter >= 0)
        leave_program(d.starter);
    brokerd_inherit(&d.inherited);
    if (!prepare(&d, &options, own_user)) {
        tell_starter(&d, BRI_PRIVATE_FAILED, brokerd_log_last_error());
        return options.check_config ? EXIT_FAILURE : EX_CONFIG;
    }
    if (options.check_config)
        r = EXIT_SUCCESS;
    else if (options.discard)
        r = brokerd_discard(&d.place, runtime_dir(&d, &options)) ? EXIT_SUCCESS : EXIT_FAILURE;
    else
        r = run(&d, &options);
    stop(&d);
    if (d.starter >= 0)
        (void)close(d.starter);
    return r;
}
