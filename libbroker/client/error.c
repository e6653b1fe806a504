/*
 * error.c - this thread's last failure, kept as cheap facts and made a sentence when somebody asks
 *
 * Answers such as EMPTY are failures too and may come a million times a second: only a code, an
 * operation and a name are noted for them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <broker.h>

#include "client/handle.h"
#include "core/quota.h"
#include "core/text.h"
#include "engine_ops.h"

#define OWN_TEXT                                                                                   \
    ((enum bri_op)BRI_N_OPS) /* in the operation's place: `text` is a sentence already */

static __thread struct {
    int code; /* 0: none yet */
    enum bri_op op;
    const char *detail;         /* NULL: there is no more to say */
    struct bri_refusal refusal; /* of a QUOTA */
    char object[BRI_NAME_MAX + 1];
    char text[600];
} last;

/* Said by an operation, before its failure is noted. */
static __thread struct {
    int code;
    const char *text;
    size_t n_sentence; /* 0: there is none */
    char sentence[400];
} coming;

static int note(enum bri_op op, const char *object, int r)
{
    size_t n = object != NULL ? strnlen(object, BRI_NAME_MAX) : 0;

    last.code = r;
    last.op = op;
    last.detail = coming.code == r ? coming.text : NULL;
    if (coming.code == r && coming.n_sentence > 0) {
        memcpy(last.text, coming.sentence, coming.n_sentence);
        last.text[coming.n_sentence] = '\0';
        last.op = OWN_TEXT;
    }
    coming.code = 0;
    last.refusal = (struct bri_refusal){.limit = BRI_LIMIT_NONE};
    if (r == BROKER_QUOTA)
        last.refusal = bri_refusal_take();
    if (n > 0)
        memcpy(last.object, object, n);
    last.object[n] = '\0';
    return r;
}

int bri_fail(struct bri_handle *h, enum bri_op op, int r)
{
    return note(op, h != NULL && h->magic == BRI_HANDLE_MAGIC ? h->name : NULL, r);
}

int bri_fail_broker(broker *b, enum bri_op op, const char *name, int r)
{
    (void)b;
    return note(op, name, r);
}

int bri_fail_detail(int r, const char *text)
{
    coming.code = r;
    coming.text = text;
    coming.n_sentence = 0;
    return r;
}

/* What comes from elsewhere is to be printed: nothing in it may act on a terminal. */
int bri_fail_sentence(int r, const char *text, size_t size)
{
    size_t n = size < sizeof(coming.sentence) ? size : sizeof(coming.sentence);

    (void)bri_fail_detail(r, NULL);
    if (n > 0)
        memcpy(coming.sentence, text, n);
    bri_tame(coming.sentence, n);
    coming.n_sentence = n;
    return r;
}

int bri_fail_text(int r, const char *format, ...)
{
    va_list args;

    last.code = r;
    last.op = OWN_TEXT;
    coming.code = 0;
    va_start(args, format);
    (void)vsnprintf(last.text, sizeof(last.text), format, args);
    va_end(args);
    return r;
}

int bri_fail_function(const char *function, int r)
{
    const char *detail = coming.code == r ? coming.text : NULL;

    if (coming.code == r && coming.n_sentence > 0)
        return bri_fail_text(r, "%s: %.*s", function, (int)coming.n_sentence, coming.sentence);
    return bri_fail_text(r, "%s: %s (%s)%s%s", function, broker_error_text(r), broker_error_name(r),
        detail != NULL ? ": " : "", detail != NULL ? detail : "");
}

/* Who is over which limit. */
static void say_refusal(const struct bri_refusal *x, char *out, size_t size)
{
    unsigned long long allowed = x->allowed, used = x->used;

    switch (x->limit) {
    case BRI_LIMIT_OBJECT_BYTES:
        (void)snprintf(out, size, ": the object may have %llu bytes, and has %llu", allowed, used);
        break;
    case BRI_LIMIT_USER_BYTES:
        (void)snprintf(out, size, ": the objects of uid %u may have %llu bytes, and have %llu",
            x->who, allowed, used);
        break;
    case BRI_LIMIT_USER_OBJECTS:
        (void)snprintf(
            out, size, ": uid %u may have %llu objects, and has %llu", x->who, allowed, used);
        break;
    case BRI_LIMIT_USER_SESSIONS:
        (void)snprintf(
            out, size, ": uid %u may have %llu sessions, and has %llu", x->who, allowed, used);
        break;
    case BRI_LIMIT_SESSION_OBJECTS:
        (void)snprintf(out, size, ": session %u may have %llu objects open, and has %llu", x->who,
            allowed, used);
        break;
    case BRI_LIMIT_NONE:
        break;
    }
}

const char *broker_last_error(void)
{
    char object[BRI_NAME_MAX + 4] = "", refusal[120] = "";

    if (last.code == 0)
        return "";
    if (last.op == OWN_TEXT)
        return last.text;
    say_refusal(&last.refusal, refusal, sizeof(refusal));
    if (last.object[0] != '\0')
        (void)snprintf(object, sizeof(object), " \"%s\"", last.object);
    (void)snprintf(last.text, sizeof(last.text), "%s%s: %s (%s)%s%s%s", bri_op_info[last.op].name,
        object, broker_error_text(last.code), broker_error_name(last.code),
        last.detail != NULL ? ": " : "", last.detail != NULL ? last.detail : "", refusal);
    return last.text;
}
