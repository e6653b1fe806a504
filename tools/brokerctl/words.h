/*
 * From what was typed to values: durations, sizes, numbers, and values written as JSON or as plain
 * text. What was typed is checked to its last byte.
 */
#ifndef CTL_WORDS_H
#define CTL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <broker/value.h>

#include "ctl_table.h"

/* How a value or key is written. */
enum ctl_form {
    CTL_FORM_JSON,   /* JSON; what is not JSON is a string */
    CTL_FORM_STRING, /* always a string */
    CTL_FORM_BIN,    /* always a byte string */
};

/* A word, a line, or all of a file; a NUL follows its @size bytes. */
struct ctl_text {
    const char *bytes;
    size_t size;
};

/* Why a text was refused; or why one that was taken as a string is not the JSON that it looks like.
 */
struct ctl_remark {
    char text[256]; /* empty: nothing */
};

/*
 * A duration in nanoseconds: "3s", "1.5h", "500ms", "0", "forever". BROKER_INVALID, with the reason
 * in @why.
 */
int ctl_read_duration(const char *text, int64_t *out_ns, struct ctl_remark *why);

/* A size in bytes: "65536", "64K", "1G" (of 1024). BROKER_INVALID, with the reason in @why. */
int ctl_read_size(const char *text, uint64_t *out_bytes, struct ctl_remark *why);

/* A whole number that is not negative. BROKER_INVALID, with the reason in @why. */
int ctl_read_count(const char *text, uint64_t *out_count, struct ctl_remark *why);

/* What an argument or an option is, and how it is written. */
struct ctl_parameter {
    enum bri_arg kind;
    const char *name; /* as in the schema */
    enum ctl_form form;
};

/*
 * The value of an argument. *out points into @text or into @buffer. On success @remark tells why
 * what looks like JSON is none. BROKER_INVALID, TOODEEP, TOOBIG or NOMEM, with the reason in
 * @remark.
 */
int ctl_read_argument(const struct ctl_parameter *parameter, struct ctl_text text,
    broker_buffer *buffer, broker_value *out, struct ctl_remark *remark);

/* Whether an argument or option of this name is a size: "max_bytes". */
bool ctl_is_size(const char *name);

/* Whether arguments of @kind are written as values, in one of the forms. */
bool ctl_is_value(enum bri_arg kind);

#endif
