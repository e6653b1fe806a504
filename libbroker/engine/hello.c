/*
 * hello.c - see hello.h
 */
#include "engine/hello.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>

#include "objects/pack.h"
#include "value/value.h"

#define OP "session.hello"

/* ---- writing ---- */

static void pack_options(struct bri_pack *p, const struct bri_hello *hello)
{
    const char *client = program_invocation_short_name;

    bri_pack_map(p, 4 + (hello->resume != NULL));
    bri_pack_entry(p, "arena", broker_str(hello->arena));
    bri_pack_entry(p, "access", broker_str(hello->read_only ? "ro" : "rw"));
    bri_pack_entry(p, "client", broker_strn(client, strnlen(client, BRI_CLIENT_NAME_MAX)));
    bri_pack_entry(p, "process", broker_int(getpid()));
    if (hello->resume != NULL)
        bri_pack_entry(p, "resume", broker_bin(hello->resume, BRI_SESSION_KEY));
}

int bri_hello_write(broker_buffer *buffer, uint64_t id, const struct bri_hello *hello)
{
    struct bri_wire_request request = {
        .id = id, .op = OP, .op_size = sizeof(OP) - 1, .object = broker_nil(), .n_args = 1};
    broker_buffer options = BROKER_BUFFER_INIT;
    struct bri_pack p;
    int r;

    bri_pack_start(&p, &options);
    pack_options(&p, hello);
    r = bri_pack_end(&p, &request.args[0]);
    if (r == 0)
        r = bri_wire_write_request(buffer, &request);
    broker_buffer_free(&options);
    return r;
}

/* ---- reading ---- */

static bool take_key(const broker_value *v, void *out)
{
    if (v->type != BROKER_BIN || v->size != BRI_SESSION_KEY)
        return false;
    memcpy(out, v->data, BRI_SESSION_KEY);
    return true;
}

static bool take_bool(const broker_value *v, void *out)
{
    if (v->type != BROKER_BOOL)
        return false;
    memcpy(out, &v->b, sizeof(v->b));
    return true;
}

static bool take_positive(const broker_value *v, void *out)
{
    if (v->type != BROKER_INT || v->i <= 0)
        return false;
    memcpy(out, &v->i, sizeof(v->i));
    return true;
}

static bool take_version(const broker_value *v, void *out)
{
    (void)out;
    return v->type == BROKER_INT && v->i == BRI_WIRE_VERSION;
}

#define FIELD(name, take, member)                                                                  \
    {                                                                                              \
        name, take, offsetof(struct bri_agreed, member)                                            \
    }
static const struct field {
    const char *name;
    bool (*take)(const broker_value *v, void *out);
    size_t at;
} fields[] = {
    {"version", take_version, 0},
    FIELD("session", take_key, session),
    FIELD("arena", take_key, arena),
    FIELD("resumed", take_bool, resumed),
    FIELD("timeout", take_positive, timeout_ns),
    FIELD("max_message", take_positive, max_message),
    FIELD("max_pending", take_positive, max_pending),
};
#undef FIELD
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static bool next(struct bri_iter *it, broker_value *out)
{
    const void *data;
    size_t size;

    return bri_iter_next(it, &data, &size) == 0 && bri_value_decode(data, size, out) == 0;
}

/* What is not known here is for others. */
static bool take_field(
    const broker_value *key, const broker_value *value, struct bri_agreed *out, unsigned *found)
{
    for (unsigned i = 0; i < N_FIELDS; i++)
        if (key->type == BROKER_STR && key->size == strlen(fields[i].name) &&
            memcmp(key->data, fields[i].name, key->size) == 0) {
            *found |= 1u << i;
            return fields[i].take(value, (char *)out + fields[i].at);
        }
    return true;
}

int bri_hello_read(const struct bri_wire_answer *answer, struct bri_agreed *out_agreed)
{
    struct bri_agreed agreed = {.resumed = false};
    const broker_value *map = &answer->results[0];
    broker_value key, value;
    struct bri_iter it;
    unsigned found = 0;

    if (answer->n_results != 1 || map->type != BROKER_PACKED ||
        bri_iter_map(&it, map->data, map->size) < 0)
        return BROKER_PROTO;
    while (it.left > 0)
        if (!next(&it, &key) || !next(&it, &value) || !take_field(&key, &value, &agreed, &found))
            return BROKER_PROTO;
    if (found != (1u << N_FIELDS) - 1)
        return BROKER_PROTO;
    *out_agreed = agreed;
    return 0;
}
