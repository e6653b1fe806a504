/*
 * words.c - see words.h
 */
#include "words.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <msgpack.h>

/* ---- memory ---- */

struct kept {
    struct kept *next;
    max_align_t bytes[];
};

static struct kept *all;

static _Noreturn void die(const char *what, const char *text)
{
    (void)fprintf(stderr, "words: %s: %s\n", what, text);
    exit(99);
}

void *words_keep(size_t size)
{
    struct kept *k = calloc(1, sizeof(*k) + size + 1); /* text ends with a NUL */

    if (k == NULL)
        die("no memory", "");
    k->next = all;
    all = k;
    return k->bytes;
}

broker_value words_packed(msgpack_sbuffer *buffer)
{
    char *bytes = words_keep(buffer->size);
    uint32_t size = (uint32_t)buffer->size;

    memcpy(bytes, buffer->data, size);
    msgpack_sbuffer_destroy(buffer);
    return broker_packed(bytes, size);
}

void words_free(void)
{
    while (all != NULL) {
        struct kept *k = all;

        all = k->next;
        free(k);
    }
}

/* Each line goes round the circle by sevens, and begins one further than the line before would go
 * on: 13 * 7 is 1 more than the circle. */
#define LINE 64u
#define CIRCLE 90u

const char *filling(size_t n, unsigned int seed)
{
    char *bytes = words_keep(n + 1), circle[CIRCLE + LINE];
    size_t begin, left;

    for (size_t i = 0; i < sizeof(circle); i++)
        circle[i] = (char)('!' + i * 7 % CIRCLE);
    for (size_t i = 0; i < n; i += LINE) {
        begin = (i + 13 * (i / LINE + 13 * (size_t)seed)) % CIRCLE;
        left = n - i;
        memcpy(bytes + i, circle + begin, left < LINE ? left : LINE);
    }
    return bytes;
}

/* ---- value to text ---- */

struct writer {
    char *text;
    size_t size, capacity;
};

static void say(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say_bytes(struct writer *w, const char *piece, size_t n)
{
    if (w->size + n + 1 > w->capacity) {
        size_t capacity = 2 * w->capacity + n + 64;
        char *text = words_keep(capacity);

        if (w->size > 0)
            memcpy(text, w->text, w->size);
        w->text = text;
        w->capacity = capacity;
    }
    memcpy(w->text + w->size, piece, n);
    w->size += n;
    w->text[w->size] = '\0';
}

static void say(struct writer *w, const char *format, ...)
{
    va_list args;
    char piece[64];
    int n;

    va_start(args, format);
    n = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    say_bytes(w, piece, (size_t)n);
}

static void say_str(struct writer *w, const char *s, size_t n)
{
    size_t said = 0;

    say(w, "'");
    for (size_t i = 0; i < n; i++)
        if (s[i] < ' ' || s[i] > '~' || s[i] == '\'' || s[i] == '\\') {
            say_bytes(w, s + said, i - said);
            say(w, "\\x%02x", (unsigned char)s[i]);
            said = i + 1;
        }
    if (said < n)
        say_bytes(w, s + said, n - said);
    say(w, "'");
}

static void say_hex(struct writer *w, const char *s, size_t n)
{
    say(w, "'");
    for (size_t i = 0; i < n; i++)
        say(w, "%02x", (unsigned char)s[i]);
    say(w, "'");
}

static void say_double(struct writer *w, double d)
{
    char digits[40];

    (void)snprintf(digits, sizeof(digits), "%.17g", d);
    if (strtod(digits, NULL) == d)
        for (int precision = 1; precision < 17; precision++) {
            (void)snprintf(digits, sizeof(digits), "%.*g", precision, d);
            if (strtod(digits, NULL) == d)
                break;
        }
    say(w, "%s%s", digits, strpbrk(digits, ".en") == NULL ? ".0" : "");
}

static void say_object(struct writer *w, const msgpack_object *o);

static void say_map(struct writer *w, const msgpack_object_map *map)
{
    say(w, "{");
    for (uint32_t i = 0; i < map->size; i++) {
        say(w, "%s", i > 0 ? ", " : "");
        say_object(w, &map->ptr[i].key);
        say(w, ": ");
        say_object(w, &map->ptr[i].val);
    }
    say(w, "}");
}

static void say_array(struct writer *w, const msgpack_object_array *array)
{
    say(w, "[");
    for (uint32_t i = 0; i < array->size; i++) {
        say(w, "%s", i > 0 ? ", " : "");
        say_object(w, &array->ptr[i]);
    }
    say(w, "]");
}

static void say_object(struct writer *w, const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        say(w, "nil");
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        say(w, "%s", o->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        say(w, "%llu", (unsigned long long)o->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        say(w, "%lld", (long long)o->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        say_double(w, o->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        say_str(w, o->via.str.ptr, o->via.str.size);
        break;
    case MSGPACK_OBJECT_BIN:
        say(w, "b");
        say_hex(w, o->via.bin.ptr, o->via.bin.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        say_array(w, &o->via.array);
        break;
    case MSGPACK_OBJECT_MAP:
        say_map(w, &o->via.map);
        break;
    case MSGPACK_OBJECT_EXT:
        say(w, "ext(%d, ", o->via.ext.type);
        say_hex(w, o->via.ext.ptr, o->via.ext.size);
        say(w, ")");
        break;
    }
}

static void say_packed(struct writer *w, const void *data, size_t size)
{
    msgpack_unpacked u;
    size_t at = 0;

    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, data, size, &at) == MSGPACK_UNPACK_SUCCESS && at == size)
        say_object(w, &u.data);
    else
        say(w, "? (%zu bytes that are not one value)", size);
    msgpack_unpacked_destroy(&u);
}

const char *text_of(broker_value v)
{
    struct writer w = {0};

    switch (v.type) {
    case BROKER_NIL:
        return "nil";
    case BROKER_BOOL:
        return v.b ? "true" : "false";
    case BROKER_INT:
        say(&w, "%lld", (long long)v.i);
        break;
    case BROKER_UINT:
        say(&w, "%llu", (unsigned long long)v.u);
        break;
    case BROKER_DOUBLE:
        say_double(&w, v.d);
        break;
    case BROKER_STR:
        say_str(&w, v.data, v.size);
        break;
    case BROKER_BIN:
        say(&w, "b");
        say_hex(&w, v.data, v.size);
        break;
    case BROKER_PACKED:
        say_packed(&w, v.data, v.size);
        break;
    default:
        say(&w, "? (type %u)", v.type);
    }
    return w.text;
}

/* ---- text to value ---- */

/* AddressSanitizer looks at the whole text that is left when strncmp() and its like are called, so
 * that long texts are read by hand. */
struct reader {
    const char *p;
    const char *text; /* the whole, for messages */
    msgpack_packer *out;
};

static void skip_space(struct reader *r)
{
    while (isspace((unsigned char)*r->p))
        r->p++;
}

static bool next_is(struct reader *r, const char *token)
{
    size_t n = 0;

    skip_space(r);
    while (token[n] != '\0' && r->p[n] == token[n])
        n++;
    if (token[n] != '\0')
        return false;
    r->p += n;
    return true;
}

/* What stands between quotes, as it stands there. */
static const char *quoted(struct reader *r, size_t *out_n)
{
    const char *start = r->p, *end = start;

    while (*end != '\0' && *end != '\'')
        end++;
    if (*end == '\0')
        die("a quote is not closed", r->text);
    *out_n = (size_t)(end - start);
    r->p = end + 1;
    return start;
}

static uint8_t *from_hex(struct reader *r, size_t *out_n)
{
    size_t n;
    const char *digits = quoted(r, &n);
    uint8_t *bytes = words_keep(n / 2 + 1);
    char pair[3] = "";

    for (size_t i = 0; i + 1 < n; i += 2) {
        memcpy(pair, digits + i, 2);
        bytes[i / 2] = (uint8_t)strtoul(pair, NULL, 16);
    }
    *out_n = n / 2;
    return bytes;
}

static void read_value(struct reader *r);

/* Elements (or pairs) up to @close; how many. Read twice: first to count. */
static size_t read_list(struct reader *r, const char *close, bool pairs)
{
    size_t n = 0;

    while (!next_is(r, close)) {
        if (n++ > 0 && !next_is(r, ","))
            die("a comma is missing", r->text);
        read_value(r);
        if (pairs) {
            if (!next_is(r, ":"))
                die("a colon is missing", r->text);
            read_value(r);
        }
    }
    return n;
}

static void read_container(struct reader *r, const char *close, bool pairs)
{
    msgpack_sbuffer nowhere;
    msgpack_packer counting;
    struct reader ahead = {r->p, r->text, &counting};
    size_t n;

    msgpack_sbuffer_init(&nowhere);
    msgpack_packer_init(&counting, &nowhere, msgpack_sbuffer_write);
    n = read_list(&ahead, close, pairs);
    msgpack_sbuffer_destroy(&nowhere);
    if (pairs)
        (void)msgpack_pack_map(r->out, n);
    else
        (void)msgpack_pack_array(r->out, n);
    (void)read_list(r, close, pairs);
}

static void read_ext(struct reader *r)
{
    char *end;
    long type = strtol(r->p, &end, 10);
    uint8_t *bytes;
    size_t n;

    r->p = end;
    if (!next_is(r, ",") || !next_is(r, "'"))
        die("this is no extension", r->text);
    bytes = from_hex(r, &n);
    (void)msgpack_pack_ext_with_body(r->out, bytes, n, (int8_t)type);
    if (!next_is(r, ")"))
        die("a parenthesis is not closed", r->text);
}

static void read_number(struct reader *r)
{
    size_t n = 0;
    char digits[64], *end;

    while (r->p[n] != '\0' && strchr("+-0123456789.einfa", r->p[n]) != NULL)
        n++;
    if (n == 0 || n >= sizeof(digits))
        die("this is no value", r->text);
    memcpy(digits, r->p, n);
    digits[n] = '\0';
    r->p += n;
    if (strpbrk(digits, ".ein") != NULL)
        (void)msgpack_pack_double(r->out, strtod(digits, &end));
    else if (digits[0] == '-')
        (void)msgpack_pack_int64(r->out, strtoll(digits, &end, 10));
    else
        (void)msgpack_pack_uint64(r->out, strtoull(digits, &end, 10));
    if (*end != '\0')
        die("this is no number", r->text);
}

static void read_value(struct reader *r)
{
    const void *bytes;
    size_t n;

    if (next_is(r, "nil")) {
        (void)msgpack_pack_nil(r->out);
    } else if (next_is(r, "true")) {
        (void)msgpack_pack_true(r->out);
    } else if (next_is(r, "false")) {
        (void)msgpack_pack_false(r->out);
    } else if (next_is(r, "'")) {
        bytes = quoted(r, &n);
        (void)msgpack_pack_str_with_body(r->out, bytes, n);
    } else if (next_is(r, "b'")) {
        bytes = from_hex(r, &n);
        (void)msgpack_pack_bin_with_body(r->out, bytes, n);
    } else if (next_is(r, "[")) {
        read_container(r, "]", false);
    } else if (next_is(r, "{")) {
        read_container(r, "}", true);
    } else if (next_is(r, "ext(")) {
        read_ext(r);
    } else {
        read_number(r);
    }
}

static broker_value as_value(const msgpack_object *o, const void *bytes, size_t n)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        return broker_nil();
    case MSGPACK_OBJECT_BOOLEAN:
        return broker_bool(o->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return o->via.u64 > INT64_MAX ? broker_uint(o->via.u64) : broker_int(o->via.i64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return broker_int(o->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return broker_double(o->via.f64);
    case MSGPACK_OBJECT_STR:
        return broker_strn(o->via.str.ptr, o->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return broker_bin(o->via.bin.ptr, o->via.bin.size);
    default:
        return broker_packed(bytes, n);
    }
}

broker_value value_of(const char *text)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_unpacked u;
    struct reader r = {text, text, &packer};
    broker_value v = broker_nil();
    char *bytes;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    read_value(&r);
    skip_space(&r);
    if (*r.p != '\0')
        die("something follows the value", text);
    bytes = words_keep(buffer.size);
    memcpy(bytes, buffer.data, buffer.size);
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, bytes, buffer.size, NULL) != MSGPACK_UNPACK_SUCCESS)
        die("cannot be packed", text);
    v = as_value(&u.data, bytes, buffer.size);
    msgpack_unpacked_destroy(&u);
    msgpack_sbuffer_destroy(&buffer);
    return v;
}
