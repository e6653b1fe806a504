/*
 * watch.c - `brokerctl watch`: what changes of an object, as it changes
 *
 * A change wakes us, and then all its numbers are looked at; several changes may have become one.
 * Locks change without telling: they are looked at now and then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "fail.h"
#include "follow.h"
#include "options.h"
#include "print.h"
#include "rows.h"
#include "view.h"

#define MAX_CHANGED 64

struct watch {
    struct ctl *ctl;
    const char *name;
    struct ctl_follow follow;
    broker_buffer buffers[2]; /* of the last stat and of the one before, in turn */
    broker_value stats[2];
    unsigned now;
    bool is_polled;
    uint64_t version;
};

struct change {
    broker_value key, before, after;
};

static bool is_same(broker_value a, broker_value b)
{
    if (a.type != b.type)
        return false;
    return a.type == BROKER_STR ? a.size == b.size && memcmp(a.data, b.data, a.size) == 0
                                : a.u == b.u;
}

/* What of the second differs from the first. */
static unsigned compare(broker_value before, broker_value after, struct change out[MAX_CHANGED])
{
    char key[64];
    struct bri_iter walk;
    broker_value k, v, old;
    unsigned n = 0;

    for (bool more = ctl_walk_start(&walk, after);
         more && n < MAX_CHANGED && ctl_walk_next(&walk, &k) && ctl_walk_next(&walk, &v);) {
        if (!ctl_copy_text(k, key, sizeof(key)) ||
            strcmp(key, "sessions") == 0) /* we may be one of them, for a moment */
            continue;
        if (!ctl_map_get(before, key, &old))
            old = broker_nil();
        if (!is_same(old, v))
            out[n++] = (struct change){k, old, v};
    }
    return n;
}

static int print_json(struct watch *w, int64_t time_ns, const struct change *changes, unsigned n)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;
    broker_value line;
    int code;

    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, 3);
    bri_pack_entry(&p, "time_ns", broker_int(time_ns));
    bri_pack_entry(&p, "version", w->is_polled ? broker_nil() : broker_uint(w->version));
    bri_pack_value(&p, broker_str("changed"));
    bri_pack_map(&p, n);
    for (unsigned i = 0; i < n; i++) {
        bri_pack_value(&p, changes[i].key);
        bri_pack_value(&p, changes[i].after);
    }
    code = bri_pack_end(&p, &line) < 0 ? ctl_fail(BROKER_NOMEM, "no memory for the line")
                                       : ctl_print_json_line(w->ctl, line);
    broker_buffer_free(&buffer);
    return code;
}

static void print_number(broker_value v)
{
    if (v.type == BROKER_STR)
        ctl_say(stdout, "%.*s", (int)v.size, (const char *)v.data);
    else if (v.type == BROKER_NIL)
        (void)fputs("-", stdout);
    else
        (void)printf("%llu", (unsigned long long)v.u);
}

static void print_words(int64_t time_ns, const struct change *changes, unsigned n)
{
    char clock[32];

    ctl_format_clock(time_ns, clock);
    (void)fputs(clock, stdout);
    for (unsigned i = 0; i < n; i++) {
        ctl_say(stdout, "%s%.*s ", i == 0 ? "  " : ", ", (int)changes[i].key.size,
            (const char *)changes[i].key.data);
        print_number(changes[i].before);
        (void)fputs(" -> ", stdout);
        print_number(changes[i].after);
    }
    (void)putchar('\n');
}

static int print_changes(struct watch *w, const struct change *changes, unsigned n)
{
    int64_t now = ctl_realtime_ns();

    if (w->ctl->json)
        return print_json(w, now, changes, n);
    print_words(now, changes, n);
    return 0;
}

/* ---- looking and waiting ---- */

static int look(struct watch *w)
{
    w->now ^= 1;
    return broker_stat(w->ctl->broker, w->name, &w->buffers[w->now], &w->stats[w->now]);
}

/* 0: look again; TIMEDOUT: the time is over. */
static int wait_for_change(struct watch *w)
{
    int r;

    if (!w->is_polled) {
        r = broker_wait_change(w->ctl->broker, w->name, w->version,
            ctl_follow_left(&w->follow, BROKER_FOREVER), &w->version);
        if (r != BROKER_UNSUPPORTED && r != BROKER_ACCESS)
            return r;
        w->is_polled = true;
    }
    return ctl_follow_sleep(&w->follow) ? 0 : BROKER_TIMEDOUT;
}

static int fail(struct watch *w, int r)
{
    if (r == BROKER_TIMEDOUT)
        return 0;
    if (r == BROKER_GONE || r == BROKER_NOTFOUND)
        return ctl_fail(BROKER_GONE, "\"%s\" was destroyed", w->name);
    return ctl_fail_last(r);
}

static int watch(struct watch *w)
{
    struct change changes[MAX_CHANGED];
    int code = 0, r = look(w);

    if (r == BROKER_NOTFOUND)
        return ctl_fail_no_object(w->ctl, NULL, w->name);
    ctl_follow_start(&w->follow);
    while (r >= 0) {
        unsigned n;

        r = wait_for_change(w);
        if (r >= 0)
            r = look(w);
        if (r < 0)
            break;
        n = compare(w->stats[w->now ^ 1], w->stats[w->now], changes);
        if (n == 0)
            continue;
        code = w->ctl->quiet ? 0 : print_changes(w, changes, n);
        if (code != 0 || !ctl_follow_line(w->ctl, &w->follow))
            return code;
    }
    return fail(w, r);
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    return ctl_follow_option(own, key, arg, state);
}

int ctl_cmd_watch(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"interval", CTL_FOLLOW_INTERVAL, "DURATION", 0,
            "how often a lock is looked at, which does not tell of its changes (default: 200ms)",
            0},
        CTL_FOLLOW_OPTIONS, {0}};
    struct watch w = {
        .ctl = ctl, .follow = {.interval_ns = BROKER_SECOND / 5, .timeout_ns = BROKER_FOREVER}};
    const struct ctl_syntax syntax = {.title = "watch",
        .args_doc = "NAME",
        .doc = "What changes of an object, a line a change, until it is destroyed or the time is "
               "over. Changes that come at once may be told as one.",
        .options = options,
        .option = parse_option,
        .own = &w.follow,
        .min_words = 1,
        .max_words = 1};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    w.name = words.words[0];
    free(words.words);
    code = ctl_refuse_offline(ctl, "watch");
    if (code == 0)
        code = ctl_connect(ctl);
    if (code == 0)
        code = watch(&w);
    broker_buffer_free(&w.buffers[0]);
    broker_buffer_free(&w.buffers[1]);
    return code;
}
