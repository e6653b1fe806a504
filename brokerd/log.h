/*
 * log.h - what the daemon tells the administrator
 *
 * Into the journal with fields of its own when stderr goes there anyway, else as plain lines to
 * stderr. A fault is logged once, where it stops travelling. What peers can cause at will goes
 * through a rate limit.
 */
#ifndef BROKERD_LOG_H
#define BROKERD_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

/* What a message is about; what is zero is left out. */
struct brokerd_about {
    const char *arena;
    const char *object;
    pid_t pid; /* of a client */
    uid_t uid; /* of that client */
    int code;  /* BROKER_... */
};

/* Remembers how often one cause has been logged lately. Start from zeros; one per cause. */
struct brokerd_rate {
    int64_t since_ns;
    unsigned n_logged;
    unsigned n_kept_back;
};

/* Decides where messages go; before that they go to stderr. */
void brokerd_log_open(void);

/* Messages less important than @level (LOG_ERR to LOG_DEBUG) are dropped. */
void brokerd_log_level(int level);

void brokerd_log(int level, const struct brokerd_about *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* False when this cause was logged often enough for now. Says later how many messages were kept
 * back. */
bool brokerd_log_allowed(struct brokerd_rate *rate);

/* The last message of level LOG_ERR; "" if there was none. */
const char *brokerd_log_last_error(void);

#endif
