/*
 * log.c - see log.h
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include <broker/errors.h>

#include "core/clock.h"
#include "core/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define TEXT_MAX 512
#define FIELD_MAX 320
#define N_FIELDS 8
#define RATE_WINDOW (10 * BRI_SECOND)
#define RATE_BURST 10

static bool to_journal;
static int max_level = LOG_INFO;
static char last_error[TEXT_MAX];

/* systemd says in $JOURNAL_STREAM which device and inode its stderr is; children inherit it, but
 * maybe not that stderr. */
void brokerd_log_open(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;

    to_journal =
        stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
        fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino &&
        access(JOURNAL_SOCKET, F_OK) == 0; /* without a journal sd_journal_send() drops all */
}

void brokerd_log_level(int level)
{
    max_level = level;
}

const char *brokerd_log_last_error(void)
{
    return last_error;
}

static void field(struct iovec *fields, int *n, char store[][FIELD_MAX], const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void field(struct iovec *fields, int *n, char store[][FIELD_MAX], const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(store[*n], FIELD_MAX, format, args);
    va_end(args);
    if (size < 0)
        return;
    fields[*n].iov_base = store[*n];
    fields[*n].iov_len = size < FIELD_MAX ? (size_t)size : FIELD_MAX - 1;
    (*n)++;
}

static void send_to_journal(int level, const struct brokerd_about *about, const char *text)
{
    struct iovec fields[N_FIELDS];
    char store[N_FIELDS][FIELD_MAX];
    char message[TEXT_MAX + sizeof("MESSAGE=")];
    int n = 0;

    field(fields, &n, store, "PRIORITY=%d", level);
    field(fields, &n, store, "SYSLOG_IDENTIFIER=brokerd");
    if (about != NULL && about->arena != NULL)
        field(fields, &n, store, "BROKER_ARENA=%s", about->arena);
    if (about != NULL && about->object != NULL)
        field(fields, &n, store, "BROKER_OBJECT=%s", about->object);
    if (about != NULL && about->pid != 0) {
        field(fields, &n, store, "BROKER_CLIENT_PID=%d", (int)about->pid);
        field(fields, &n, store, "BROKER_CLIENT_UID=%u", (unsigned)about->uid);
    }
    if (about != NULL && about->code != 0)
        field(fields, &n, store, "BROKER_ERROR=%s", broker_error_name(about->code));
    fields[n].iov_base = message;
    fields[n].iov_len = (size_t)snprintf(message, sizeof(message), "MESSAGE=%s", text);
    (void)sd_journal_sendv(fields, n + 1);
}

static const char *word_for(int level)
{
    switch (level) {
    case LOG_ERR:
        return "error: ";
    case LOG_WARNING:
        return "warning: ";
    case LOG_DEBUG:
        return "debug: ";
    default:
        return "";
    }
}

static void send_to_stderr(int level, const struct brokerd_about *about, const char *text)
{
    char client[48] = "";

    if (about != NULL && about->pid != 0)
        (void)snprintf(client, sizeof(client), " (process %d, user %u)", (int)about->pid,
            (unsigned)about->uid);
    (void)fprintf(stderr, "brokerd: %s%s%s\n", word_for(level), text, client);
}

void brokerd_log(int level, const struct brokerd_about *about, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    if (level > max_level)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    bri_tame(text,
        strlen(text)); /* names in it come from clients: they must not begin a line of their own */
    if (level <= LOG_ERR)
        memcpy(last_error, text, sizeof(text));
    if (to_journal)
        send_to_journal(level, about, text);
    else
        send_to_stderr(level, about, text);
}

bool brokerd_log_allowed(struct brokerd_rate *rate)
{
    int64_t now = bri_now();

    if (rate->since_ns == 0 || now - rate->since_ns > RATE_WINDOW) {
        if (rate->n_kept_back > 0)
            brokerd_log(LOG_WARNING, NULL, "%u messages like the next one were kept back",
                rate->n_kept_back);
        *rate = (struct brokerd_rate){.since_ns = now};
    }
    if (rate->n_logged < RATE_BURST) {
        rate->n_logged++;
        return true;
    }
    rate->n_kept_back++;
    return false;
}
