/*
 * hello.c - session.hello: a new session, or one that goes on over another connection
 */
#include <stdio.h>
#include <string.h>

#include "client/handle.h"
#include "objects/pack.h"
#include "request.h"
#include "walk.h"

struct options {
    uint64_t lowest, highest; /* versions */
    uint64_t process;         /* 0: it does not say */
    bool resumes;
    uint8_t key[ZMQD_KEY_SIZE];
    struct zmqd_wish wish;
};

static bool is_text(broker_value v, const char *text)
{
    return v.type == BROKER_STR && v.size == strlen(text) && memcmp(v.data, text, v.size) == 0;
}

static bool take_versions(struct options *o, broker_value v)
{
    broker_value lowest, highest;
    struct zmqd_walk w;

    if (!zmqd_walk_begin(&w, v, BRI_KIND_ARRAY) || !zmqd_walk_next(&w, &lowest) ||
        !zmqd_walk_next(&w, &highest) || w.left > 0 || !zmqd_is_unsigned(lowest) ||
        !zmqd_is_unsigned(highest) || lowest.u > highest.u)
        return false;
    o->lowest = lowest.u;
    o->highest = highest.u;
    return true;
}

static bool take_arena(struct options *o, broker_value v)
{
    if (v.type != BROKER_STR || v.size == 0 || v.size >= sizeof(o->wish.arena) ||
        memchr(v.data, '\0', v.size) != NULL)
        return false;
    memset(o->wish.arena, 0, sizeof(o->wish.arena));
    memcpy(o->wish.arena, v.data, v.size);
    return true;
}

static bool take_access(struct options *o, broker_value v)
{
    o->wish.read_only = is_text(v, "ro");
    return o->wish.read_only || is_text(v, "rw");
}

static bool take_timeout(struct options *o, broker_value v)
{
    if (!zmqd_is_unsigned(v) || v.u > INT64_MAX)
        return false;
    o->wish.timeout_ns = v.i;
    return true;
}

static bool take_client(struct options *o, broker_value v)
{
    if (v.type != BROKER_STR || v.size >= sizeof(o->wish.client) ||
        memchr(v.data, '\0', v.size) != NULL)
        return false;
    memset(o->wish.client, 0, sizeof(o->wish.client));
    memcpy(o->wish.client, v.data, v.size);
    return true;
}

static bool take_process(struct options *o, broker_value v)
{
    o->process = zmqd_is_unsigned(v) ? v.u : 0;
    return o->process > 0 && o->process <= INT32_MAX;
}

static bool take_resume(struct options *o, broker_value v)
{
    if (v.type != BROKER_BIN || v.size != sizeof(o->key))
        return false;
    memcpy(o->key, v.data, sizeof(o->key));
    o->resumes = true;
    return true;
}

/* Options that are not known are those of a later version. */
static int take_options(struct options *o, const struct bri_wire_request *q)
{
    static const struct {
        const char *name;
        bool (*take)(struct options *o, broker_value v);
    } known[] = {
        {"versions", take_versions},
        {"arena", take_arena},
        {"access", take_access},
        {"timeout", take_timeout},
        {"client", take_client},
        {"process", take_process},
        {"resume", take_resume},
    };
    broker_value name, value;
    struct zmqd_walk w = {.left = 0};

    if (q->object.type != BROKER_NIL || q->n_args > 1 ||
        (q->n_args == 1 && q->args[0].type != BROKER_NIL &&
            !zmqd_walk_begin(&w, q->args[0], BRI_KIND_MAP)))
        return bri_fail_text(BROKER_INVALID, "session.hello takes a map of options");
    while (zmqd_walk_next(&w, &name)) {
        if (!zmqd_walk_next(&w, &value))
            return bri_fail_text(BROKER_INVALID, "an option has no value");
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (is_text(name, known[i].name) && !known[i].take(o, value))
                return bri_fail_text(
                    BROKER_INVALID, "the option %s is not what it should be", known[i].name);
    }
    if (o->lowest > BRI_WIRE_VERSION || o->highest < BRI_WIRE_VERSION)
        return bri_fail_text(
            BROKER_VERSION, "this broker speaks version %u only", BRI_WIRE_VERSION);
    return 0;
}

/* ---- what was agreed ---- */

static void pack_session(struct bri_pack *p, const struct zmqd_session *s)
{
    bri_pack_entry(p, "session", broker_bin(s->key, sizeof(s->key)));
    bri_pack_entry(
        p, "number", s->broker->read_only ? broker_nil() : broker_int(s->broker->session_number));
    bri_pack_entry(p, "timeout", broker_int(s->timeout_ns));
    bri_pack_entry(p, "arena", broker_bin(s->broker->arena->id, sizeof(s->broker->arena->id)));
}

static int pack_agreed(
    broker_buffer *buffer, const struct zmqd_session *s, bool resumed, broker_value *out)
{
    const struct zmqd_settings *settings = &s->z->settings;
    struct bri_pack p;

    bri_pack_start(&p, buffer);
    bri_pack_map(&p, 10);
    bri_pack_entry(&p, "version", broker_int(BRI_WIRE_VERSION));
    pack_session(&p, s);
    bri_pack_entry(&p, "resumed", broker_bool(resumed));
    bri_pack_entry(&p, "max_message", broker_uint(settings->max_message));
    bri_pack_entry(&p, "max_pending", broker_uint(settings->max_pending));
    bri_pack_entry(&p, "broker", broker_str(broker_version()));
    bri_pack_value(&p, broker_str("unsupported"));
    bri_pack_array(&p, 0);
    return bri_pack_end(&p, out);
}

static int find_session(struct zmqd *z, const struct options *o, struct zmqd_session **out)
{
    struct zmqd_session *s = zmqd_session_find(z, o->key);

    if (s == NULL || !zmqd_same_user(&s->user, &o->wish.user))
        return bri_fail_text(BROKER_LOST, "there is no such session any more");
    zmqd_session_heard(s);
    *out = s;
    return 0;
}

/* Who comes through a relay is another process than the one that the kernel tells of, and may come
 * again when that is gone. */
static bool is_its_own_process(const struct options *o)
{
    return o->process != 0 && o->process == (uint64_t)o->wish.user.pid;
}

static int begin_session(struct zmqd_incoming *from, struct options *o, struct zmqd_session **out)
{
    const struct zmqd_settings *settings = &from->z->settings;
    uint64_t hello = ++from->z->n_hellos;
    int r;

    if (zmqd_is_crowded(from->z))
        return bri_fail_text(BROKER_LIMIT, "too many requests are waiting");
    if (o->wish.timeout_ns < settings->min_timeout_ns)
        o->wish.timeout_ns = settings->min_timeout_ns;
    if (o->wish.timeout_ns > settings->max_timeout_ns)
        o->wish.timeout_ns = settings->max_timeout_ns;
    r = o->resumes ? find_session(from->z, o, out) : zmqd_session_new(from->z, &o->wish, out);
    if (r < 0)
        return r;
    r = zmqd_peer_take(from->z, *out, &from->routing, &from->message, hello);
    if (r < 0) {
        if (!o->resumes)
            zmqd_session_end(*out, false);
        return r;
    }
    if (zmqd_session_watch(*out, is_its_own_process(o) ? o->wish.user.pid : 0))
        return 0;
    zmqd_session_end(*out, true);
    return bri_fail_text(BROKER_LOST, "the process has ended");
}

void zmqd_hello(struct zmqd_incoming *from, const struct bri_wire_request *request)
{
    struct options o = {.lowest = 1,
        .highest = 1,
        .wish = {.arena = "default", .timeout_ns = from->z->settings.timeout_ns}};
    struct bri_wire_answer answer = {.id = request->id, .n_results = 1};
    struct zmqd_worker *w = zmqd_operation_begin(request->thread);
    struct zmqd_session *s;
    int r = take_options(&o, request);

    if (r == 0 && !zmqd_sender_user(from->z, from->name, &o.wish.user))
        r = bri_fail_text(BROKER_ACCESS, "this user may not use the broker");
    if (r == 0) /* here others may come first, while the broker is asked */
        r = begin_session(from, &o, &s);
    if (r == 0)
        r = pack_agreed(zmqd_operation_results(w), s, o.resumes, &answer.results[0]);
    if (r < 0)
        answer = zmqd_failure(request->id, r, broker_last_error());
    else if (!o.resumes)
        s->last_id = request->id;
    zmqd_answer(from, &answer);
    zmqd_operation_end(w);
}
