/*
 * words.c - see words.h
 */
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <broker/errors.h>

#include "json.h"
#include "json_text.h"
#include "value/value.h"

#define FRACTION_DIGITS 9

static int refuse(struct ctl_remark *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(struct ctl_remark *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    return BROKER_INVALID;
}

/* A decimal number without sign: its whole part, and what comes after the point in units of 1e-9.
 */
static bool read_decimal(const char **text, uint64_t *out_whole, uint64_t *out_fraction)
{
    const char *p = *text;
    uint64_t fraction = 0;
    unsigned n_digits = 0;
    char *end;

    if (*p < '0' || *p > '9')
        return false;
    errno = 0;
    *out_whole = strtoull(p, &end, 10);
    if (errno != 0)
        return false;
    p = end;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9' && n_digits < FRACTION_DIGITS; p++, n_digits++)
            fraction = 10 * fraction + (uint64_t)(*p - '0');
        if (n_digits == 0)
            return false;
        for (; n_digits < FRACTION_DIGITS; n_digits++)
            fraction *= 10;
    }
    *out_fraction = fraction;
    *text = p;
    return true;
}

int ctl_read_duration(const char *text, int64_t *out_ns, struct ctl_remark *why)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"ns", 1},
        {"us", BROKER_MICROSECOND},
        {"ms", BROKER_MILLISECOND},
        {"s", BROKER_SECOND},
        {"m", 60 * BROKER_SECOND},
        {"h", 3600 * BROKER_SECOND},
        {"d", 86400 * BROKER_SECOND},
    };
    const char *p = text;
    uint64_t whole, fraction;
    int64_t ns;

    if (strcmp(text, "forever") == 0) {
        *out_ns = BROKER_FOREVER;
        return 0;
    }
    if (!read_decimal(&p, &whole, &fraction))
        return refuse(why, "\"%s\" is no duration: write 3s, 500ms, 2m, 0 or forever", text);
    if (*p == '\0' && whole == 0 && fraction == 0) {
        *out_ns = 0;
        return 0;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(p, units[i].name) != 0)
            continue;
        /* A unit of 1e-9 of the longest unit still fits: 86400e9 * 1e9 is below 2^127. */
        if (whole > INT64_MAX || __builtin_mul_overflow((int64_t)whole, units[i].ns, &ns) ||
            __builtin_add_overflow(ns,
                (int64_t)((unsigned __int128)fraction * (uint64_t)units[i].ns / 1000000000), &ns))
            return refuse(why, "\"%s\" is too long: write forever", text);
        *out_ns = ns;
        return 0;
    }
    return refuse(why, "\"%s\" is no duration: the units are ns, us, ms, s, m, h and d", text);
}

int ctl_read_count(const char *text, uint64_t *out_count, struct ctl_remark *why)
{
    char *end;

    errno = 0;
    if (text[0] >= '0' && text[0] <= '9') {
        *out_count = strtoull(text, &end, 10);
        if (errno == 0 && *end == '\0')
            return 0;
    }
    return refuse(
        why, errno == ERANGE ? "\"%s\" is too large" : "\"%s\" is no whole number from 0 on", text);
}

int ctl_read_size(const char *text, uint64_t *out_bytes, struct ctl_remark *why)
{
    static const char units[] = "KMGT";
    size_t n = strlen(text);
    const char *unit = n > 1 ? strchr(units, text[n - 1]) : NULL;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    uint64_t bytes;
    char *end;

    errno = 0;
    bytes = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (text[0] < '0' || text[0] > '9' || end != text + n - (unit != NULL))
        return refuse(why, "\"%s\" is no size: write 65536, 64K, 10M, 1G or 1T", text);
    if (errno != 0 || bytes > UINT64_MAX >> shift)
        return refuse(why, "\"%s\" is too large", text);
    *out_bytes = bytes << shift;
    return 0;
}

bool ctl_is_size(const char *name)
{
    static const char suffix[] = "_bytes";
    size_t n = strlen(name);

    return n >= sizeof(suffix) && strcmp(name + n - strlen(suffix), suffix) == 0;
}

static int read_integer(const char *text, int64_t *out, struct ctl_remark *why)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    char *end;

    errno = 0;
    if (digits[0] >= '0' && digits[0] <= '9') {
        *out = strtoll(text, &end, 10);
        if (errno == 0 && *end == '\0')
            return 0;
    }
    return refuse(why,
        errno == ERANGE ? "\"%s\" does not fit into 64 bits" : "\"%s\" is no whole number", text);
}

static int read_bool(const char *text, bool *out, struct ctl_remark *why)
{
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0)
        return 0;
    return refuse(why, "\"%s\" is neither true nor false", text);
}

/* Kinds that are one word; what came from a file may hold anything. */
static int read_scalar(enum bri_arg kind, const char *name, const char *text, broker_value *out,
    struct ctl_remark *why)
{
    uint64_t u = 0;
    int64_t i = 0;
    bool b = false;
    int r;

    switch (kind) {
    case BRI_ARG_STRING:
        *out = broker_str(text);
        return 0;
    case BRI_ARG_BOOL:
        r = read_bool(text, &b, why);
        *out = broker_bool(b);
        return r;
    case BRI_ARG_DURATION:
    case BRI_ARG_PERIOD:
        r = ctl_read_duration(text, &i, why);
        *out = broker_int(i);
        return r;
    case BRI_ARG_I64:
        r = read_integer(text, &i, why);
        *out = broker_int(i);
        return r;
    default:
        r = ctl_is_size(name) ? ctl_read_size(text, &u, why) : ctl_read_count(text, &u, why);
        *out = broker_uint(u);
        return r;
    }
}

bool ctl_is_value(enum bri_arg kind)
{
    return kind == BRI_ARG_KEY || kind == BRI_ARG_VALUE || kind == BRI_ARG_MAP ||
           kind == BRI_ARG_ARRAY;
}

static int read_string(struct ctl_text text, broker_value *out, struct ctl_remark *why)
{
    if (!ctl_utf8_valid(text.bytes, text.size))
        return refuse(why, "this is not UTF-8 text; --bin takes it as bytes");
    *out = broker_strn(text.bytes, text.size);
    return 0;
}

/* Text that was probably meant to be JSON. */
static bool looks_like_json(struct ctl_text text)
{
    char first = text.size > 0 ? text.bytes[0] : '\0';

    return first == '{' || first == '[' || first == '"';
}

static int read_json(
    struct ctl_text text, broker_buffer *buffer, broker_value *out, struct ctl_remark *remark)
{
    const char *reason = NULL;
    int r = ctl_json_parse(text.bytes, text.size, buffer, out, &reason);

    if (r < 0)
        (void)refuse(remark, "%s", reason != NULL ? reason : broker_error_text(r));
    return r;
}

/* JSON, or else a string. */
static int read_value(
    struct ctl_text text, broker_buffer *buffer, broker_value *out, struct ctl_remark *remark)
{
    struct ctl_remark reason;
    int r = read_json(text, buffer, out, &reason);

    if (r < 0 && r != BROKER_INVALID)
        *remark = reason;
    if (r != BROKER_INVALID)
        return r;
    r = read_string(text, out, remark);
    if (r == 0 && looks_like_json(text))
        (void)refuse(remark, "%s", reason.text);
    return r;
}

static int read_number(
    struct ctl_text text, broker_buffer *buffer, broker_value *out, struct ctl_remark *remark)
{
    int r = read_json(text, buffer, out, remark);

    if (r == 0 && (out->type == BROKER_INT || out->type == BROKER_UINT ||
                      out->type == BROKER_DOUBLE || out->type == BROKER_BOOL))
        return 0;
    return refuse(
        remark, "\"%.*s\" is no number, such as 5, -1 or 2.5e3", (int)text.size, text.bytes);
}

static int read_container(enum bri_arg kind, struct ctl_text text, broker_buffer *buffer,
    broker_value *out, struct ctl_remark *remark)
{
    bool is_map = kind == BRI_ARG_MAP;
    struct bri_iter it;
    int r = read_json(text, buffer, out, remark);

    if (r < 0 && (r != BROKER_INVALID || looks_like_json(text)))
        return r;
    if (r == 0 && out->type == BROKER_PACKED &&
        (is_map ? bri_iter_map : bri_iter_array)(&it, out->data, out->size) == 0)
        return 0;
    return is_map ? refuse(remark, "this must be an object, such as {\"a\": 1}")
                  : refuse(remark, "this must be an array, such as [1, 2]");
}

int ctl_read_argument(const struct ctl_parameter *parameter, struct ctl_text text,
    broker_buffer *buffer, broker_value *out, struct ctl_remark *remark)
{
    enum bri_arg kind = parameter->kind;

    remark->text[0] = '\0';
    if (kind == BRI_ARG_NUMBER)
        return read_number(text, buffer, out, remark);
    if (!ctl_is_value(kind)) {
        if (memchr(text.bytes, '\0', text.size) != NULL)
            return refuse(remark, "there is a NUL in it");
        return read_scalar(kind, parameter->name, text.bytes, out, remark);
    }
    if (kind == BRI_ARG_MAP || kind == BRI_ARG_ARRAY)
        return read_container(kind, text, buffer, out, remark);
    if (parameter->form == CTL_FORM_JSON)
        return read_value(text, buffer, out, remark);
    if (parameter->form == CTL_FORM_STRING)
        return read_string(text, out, remark);
    *out = broker_bin(text.bytes, text.size);
    return 0;
}
