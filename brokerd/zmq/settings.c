/*
 * settings.c - see settings.h
 */
#include "settings.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <broker.h>

#include "core/clock.h"
#include "level.h"

enum key {
    KEY_ATTACH = 256,
    KEY_IPC,
    KEY_IPC_FD,
    KEY_TCP,
    KEY_SERVER_KEY,
    KEY_CLIENTS,
    KEY_LOG_LEVEL,
    KEY_FIRST_NUMBER,
};

/* Options that are numbers. */
static const struct number {
    const char *name, *unit, *help;
    size_t offset;
    uint64_t fallback, least, most;
} numbers[] = {
    {"max-message", "BYTES", "largest request (1 MiB)", offsetof(struct zmqd_settings, max_message),
        UINT64_C(1) << 20, 1024, UINT64_C(1) << 30},
    {"max-sessions", "N", "sessions at a time (4096)", offsetof(struct zmqd_settings, max_sessions),
        4096, 1, 65536},
    {"max-pending", "N", "unanswered requests of a session (256)",
        offsetof(struct zmqd_settings, max_pending), 256, 1, 65536},
    {"max-waiting", "N", "requests that wait at a time, of all sessions (16384)",
        offsetof(struct zmqd_settings, max_waiting), 16384, 1, 30000},
    {"session-memory", "BYTES", "memory for a session's requests and kept answers (16 MiB)",
        offsetof(struct zmqd_settings, session_memory), UINT64_C(16) << 20, 4096,
        UINT64_C(1) << 40},
    {"max-queued", "N", "answers that a client may leave unread (1024)",
        offsetof(struct zmqd_settings, max_queued), 1024, 1, 1000000},
    {"max-unread", "BYTES", "memory for answers that a client leaves unread (64 MiB)",
        offsetof(struct zmqd_settings, max_unread), UINT64_C(64) << 20, 4096, UINT64_C(1) << 40},
    {"memory", "BYTES", "most memory of this process, without arenas (2 GiB)",
        offsetof(struct zmqd_settings, memory), UINT64_C(2) << 30, UINT64_C(64) << 20,
        UINT64_C(1) << 40},
    {"timeout", "NS", "a session's timeout if the client asks for none (10 s)",
        offsetof(struct zmqd_settings, timeout_ns), 10 * BRI_SECOND, BRI_MILLISECOND,
        86400 * BRI_SECOND},
    {"min-timeout", "NS", "least that a client may ask for (100 ms)",
        offsetof(struct zmqd_settings, min_timeout_ns), 100 * BRI_MILLISECOND, BRI_MILLISECOND,
        86400 * BRI_SECOND},
    {"max-timeout", "NS", "most that a client may ask for (5 minutes)",
        offsetof(struct zmqd_settings, max_timeout_ns), 300 * BRI_SECOND, BRI_MILLISECOND,
        86400 * BRI_SECOND},
};
enum { N_NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

static const struct argp_option fixed_options[] = {
    {"attach", KEY_ATTACH, "PATH", 0, "the broker's attach socket", 0},
    {"ipc", KEY_IPC, "PATH", 0, "where to listen for clients of this machine", 0},
    {"ipc-fd", KEY_IPC_FD, "N", 0, "the descriptor of the socket that listens there already", 0},
    {"tcp", KEY_TCP, "HOST:PORT...", 0, "where to listen for clients with a key", 0},
    {"server-key", KEY_SERVER_KEY, "FILE", 0, "the broker's keys", 0},
    {"clients", KEY_CLIENTS, "FILE", 0, "the keys that may come, and what each may use", 0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warning, info (default) or debug", 0},
};
enum { N_FIXED = sizeof(fixed_options) / sizeof(fixed_options[0]) };

static void set_number(const struct number *number, struct zmqd_settings *s, uint64_t value)
{
    memcpy((char *)s + number->offset, &value, sizeof(value));
}

static void parse_number(const struct number *number, const char *text, struct argp_state *state,
    struct zmqd_settings *s)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < number->least || value > number->most)
        argp_error(state, "--%s is a number from %llu to %llu", number->name,
            (unsigned long long)number->least, (unsigned long long)number->most);
    set_number(number, s, value);
}

static int parse_fd(const char *text, struct argp_state *state)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (end == text || *end != '\0' || n < 0 || n > INT_MAX)
        argp_error(state, "--ipc-fd is the number of a descriptor");
    return (int)n;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct zmqd_settings *s = state->input;

    switch (key) {
    case KEY_ATTACH:
        s->attach = arg;
        return 0;
    case KEY_IPC:
        s->ipc = arg;
        return 0;
    case KEY_IPC_FD:
        s->ipc_fd = parse_fd(arg, state);
        return 0;
    case KEY_TCP:
        s->tcp = arg;
        return 0;
    case KEY_SERVER_KEY:
        s->server_key = arg;
        return 0;
    case KEY_CLIENTS:
        s->clients = arg;
        return 0;
    case KEY_LOG_LEVEL:
        if (!brokerd_level_read(arg, &s->log_level))
            argp_error(state, "--log-level is " BROKERD_LEVELS);
        return 0;
    case ARGP_KEY_END:
        if (s->attach == NULL || (s->ipc == NULL && s->tcp == NULL))
            argp_error(state, "--attach and --ipc or --tcp are needed");
        if (s->tcp != NULL && (s->server_key == NULL || s->clients == NULL))
            argp_error(state, "--tcp needs --server-key and --clients");
        if (s->min_timeout_ns > s->max_timeout_ns)
            argp_error(state, "--min-timeout is more than --max-timeout");
        if (s->max_queued < 2 * s->max_pending) /* who asks for much at a time gets it at a time */
            s->max_queued = 2 * s->max_pending;
        return 0;
    default:
        if (key < KEY_FIRST_NUMBER || key >= KEY_FIRST_NUMBER + N_NUMBERS)
            return ARGP_ERR_UNKNOWN;
        parse_number(&numbers[key - KEY_FIRST_NUMBER], arg, state, s);
        return 0;
    }
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    (void)fprintf(stream, "brokerd-zmq %s\n", broker_version());
}

void zmqd_settings_parse(int argc, char **argv, struct zmqd_settings *out)
{
    struct argp_option options[N_FIXED + N_NUMBERS + 1] = {{0}};
    const struct argp parser = {
        .options = options,
        .parser = parse_option,
        .doc = "The broker's ZeroMQ endpoint. brokerd starts it; there is no need to.\v",
    };

    *out = (struct zmqd_settings){.log_level = LOG_INFO, .ipc_fd = -1};
    memcpy(options, fixed_options, sizeof(fixed_options));
    for (unsigned i = 0; i < N_NUMBERS; i++) {
        options[N_FIXED + i] = (struct argp_option){.name = numbers[i].name,
            .key = (int)(KEY_FIRST_NUMBER + i),
            .arg = numbers[i].unit,
            .doc = numbers[i].help};
        set_number(&numbers[i], out, numbers[i].fallback);
    }
    argp_err_exit_status = 64;
    argp_program_version_hook = print_version;
    (void)argp_parse(&parser, argc, argv, 0, NULL, out);
}
