/*
 * Values to JSON, by json-c: the value becomes json-c's tree, and the tree text. Nothing outlives a
 * call but the caller's buffer.
 */
#include "json.h"

#include "json_text.h"
#include "value/head.h"
#include "value/value.h"

#include <json-c/json.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The packed value that is being printed; it was checked. */
struct reader {
    const uint8_t *p;
    const uint8_t *end;
};

static int read_tree(struct reader *reader, json_object **out);

/* json-c says by NULL that it has no memory. */
static int made(json_object *o, json_object **out)
{
    if (o == NULL)
        return BROKER_NOMEM;
    *out = o;
    return 0;
}

/* Append @item (NULL is null), which is taken over whatever comes of it, to @array. */
static int append(json_object *array, json_object *item)
{
    if (json_object_array_add(array, item) == 0)
        return 0;
    json_object_put(item);
    return BROKER_NOMEM;
}

/* Set @key of @object to @item (NULL is null), which is taken over whatever comes of it. */
static int set(json_object *object, const char *key, json_object *item)
{
    if (json_object_object_add(object, key, item) == 0)
        return 0;
    json_object_put(item);
    return BROKER_NOMEM;
}

/*
 * {@name: @item}, a spelled-out form. Takes over @item, which is NULL if there was no memory for
 * it.
 */
static int make_form(const char *name, json_object *item, json_object **out)
{
    json_object *form;

    if (item == NULL)
        return BROKER_NOMEM;
    form = json_object_new_object();
    if (form == NULL) {
        json_object_put(item);
        return BROKER_NOMEM;
    }
    if (set(form, name, item) < 0) {
        json_object_put(form);
        return BROKER_NOMEM;
    }
    *out = form;
    return 0;
}

static json_object *make_base64(const void *data, size_t n)
{
    size_t size = ctl_base64_size(n);
    json_object *o = NULL;
    char *text = malloc(size + 1);

    if (text == NULL)
        return NULL;
    ctl_base64_encode(data, n, text);
    o = json_object_new_string_len(text, (int)size);
    free(text);
    return o;
}

static int make_str(const struct bri_head *h, json_object **out)
{
    if (!ctl_utf8_valid(h->body, h->count))
        return make_form("$str", make_base64(h->body, h->count), out);
    return made(json_object_new_string_len((const char *)h->body, (int)h->count), out);
}

static int make_ref(struct bri_ref ref, json_object **out)
{
    char text[CTL_REF_TEXT];

    ctl_ref_print(ref, text);
    return make_form("$ref", json_object_new_string(text), out);
}

static int make_ext(const struct bri_head *h, json_object **out)
{
    json_object *pair = json_object_new_array();
    json_object *part;
    int r = pair == NULL ? BROKER_NOMEM : 0;

    if (r == 0)
        r = made(json_object_new_int(h->ext_type), &part);
    if (r == 0)
        r = append(pair, part);
    if (r == 0)
        r = made(make_base64(h->body, h->count), &part);
    if (r == 0)
        r = append(pair, part);
    if (r == 0)
        return make_form("$ext", pair, out);
    json_object_put(pair);
    return r;
}

/*
 * The fewest digits, from 15 up, that are read back as the same double; with a point or an
 * exponent.
 */
static int make_double(double d, json_object **out)
{
    char text[32];

    if (isnan(d))
        return make_form("$float", json_object_new_string("nan"), out);
    if (isinf(d))
        return make_form("$float", json_object_new_string(d > 0 ? "inf" : "-inf"), out);
    for (int n_digits = 15; n_digits <= 17; n_digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", n_digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    if (strpbrk(text, ".e") == NULL)
        (void)snprintf(text, sizeof(text), "%.1f", d);
    return made(json_object_new_double_s(d, text), out);
}

/* json-c would spread an empty container over two lines. */
static int print_brackets(json_object *o, struct printbuf *text, int level, int flags)
{
    const char *brackets = json_object_get_userdata(o);

    (void)level;
    (void)flags;
    return printbuf_memappend(text, brackets, (int)strlen(brackets));
}

static int read_array(struct reader *reader, uint32_t n, json_object **out)
{
    json_object *array = json_object_new_array();
    json_object *item;
    int r = array == NULL ? BROKER_NOMEM : 0;

    if (r == 0 && n == 0)
        json_object_set_serializer(array, print_brackets, "[]", NULL);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = read_tree(reader, &item);
        if (r == 0)
            r = append(array, item);
    }
    if (r < 0)
        json_object_put(array);
    else
        *out = array;
    return r;
}

/* A map as a list of pairs. */
static int read_pairs(struct reader *reader, uint32_t n, json_object **out)
{
    json_object *pairs = json_object_new_array();
    json_object *pair;
    int r = pairs == NULL ? BROKER_NOMEM : 0;

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = read_array(reader, 2, &pair);
        if (r == 0)
            r = append(pairs, pair);
    }
    if (r == 0)
        return make_form("$map", pairs, out);
    json_object_put(pairs);
    return r;
}

/* Read a key into @key. BROKER_BADKEY if no object of JSON can have it. */
static int read_key(struct reader *reader, broker_buffer *key)
{
    struct bri_head h;
    char *text;
    int r;

    reader->p = bri_head_read(reader->p, reader->end, &h);
    if (reader->p == NULL)
        return BROKER_INVALID;
    if (h.kind != BRI_KIND_STR || (h.count > 0 && h.body[0] == '$') ||
        memchr(h.body, '\0', h.count) != NULL || !ctl_utf8_valid(h.body, h.count))
        return BROKER_BADKEY;
    r = bri_buffer_reserve(key, (size_t)h.count + 1);
    if (r < 0)
        return r;
    text = key->data;
    memcpy(text, h.body, h.count);
    text[h.count] = '\0';
    return 0;
}

/*
 * Set the keys of a map in @object, without their values. BROKER_BADKEY if one is not for objects,
 * or comes twice. This is known before any value is read: to try, and then do it again, would
 * double the work at each level.
 */
static int read_keys(struct reader reader, uint32_t n, broker_buffer *key, json_object *object)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = read_key(&reader, key);
        if (r < 0)
            return r;
        if (json_object_object_get_ex(object, key->data, NULL))
            return BROKER_BADKEY;
        reader.p = bri_head_skip(reader.p, reader.end, NULL);
        if (reader.p == NULL)
            return BROKER_INVALID;
        r = set(object, key->data, NULL);
    }
    return r;
}

static int read_object(struct reader *reader, uint32_t n, broker_buffer *key, json_object *object)
{
    json_object *item;
    int r = read_keys(*reader, n, key, object);

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = read_key(reader, key);
        if (r == 0)
            r = read_tree(reader, &item);
        if (r == 0)
            r = set(object, key->data, item);
    }
    return r;
}

static int read_map(struct reader *reader, uint32_t n, json_object **out)
{
    json_object *object = json_object_new_object();
    broker_buffer key = BROKER_BUFFER_INIT;
    int r = object == NULL ? BROKER_NOMEM : read_object(reader, n, &key, object);

    free(key.data);
    if (r == 0) {
        if (n == 0)
            json_object_set_serializer(object, print_brackets, "{}", NULL);
        *out = object;
        return 0;
    }
    json_object_put(object);
    return r == BROKER_BADKEY ? read_pairs(reader, n, out) : r;
}

/* What came before the body of an extension of 16 bytes is its form and its type. */
static bool is_ref(const struct bri_head *h, struct bri_ref *out)
{
    return h->count == BRI_REF_BYTES - 2 && bri_ref_read(h->body - 2, BRI_REF_BYTES, out);
}

static int make_tree(struct reader *reader, const struct bri_head *h, json_object **out)
{
    struct bri_ref ref;

    switch (h->kind) {
    case BRI_KIND_NIL:
        *out = NULL; /* json-c's null */
        return 0;
    case BRI_KIND_BOOL:
        return made(json_object_new_boolean(h->b), out);
    case BRI_KIND_INT:
        return made(json_object_new_int64(h->i), out);
    case BRI_KIND_UINT:
        return made(json_object_new_uint64(h->u), out);
    case BRI_KIND_DOUBLE:
        return make_double(h->d, out);
    case BRI_KIND_STR:
        return make_str(h, out);
    case BRI_KIND_BIN:
        return make_form("$bin", make_base64(h->body, h->count), out);
    case BRI_KIND_EXT:
        return is_ref(h, &ref) ? make_ref(ref, out) : make_ext(h, out);
    case BRI_KIND_ARRAY:
        return read_array(reader, h->count, out);
    case BRI_KIND_MAP:
        return read_map(reader, h->count, out);
    }
    return BROKER_INVALID;
}

static int read_tree(struct reader *reader, json_object **out)
{
    struct bri_head h;

    reader->p = bri_head_read(reader->p, reader->end, &h);
    if (reader->p == NULL)
        return BROKER_INVALID;
    return make_tree(reader, &h, out);
}

/* The tree of @v, by way of its encoded form, so that there is one way only. */
static int value_tree(broker_value v, json_object **out)
{
    broker_buffer packed = BROKER_BUFFER_INIT;
    struct reader reader;
    size_t size;
    int r = bri_value_measure(v, &size);

    if (r == 0 && size > INT32_MAX / 4 * 3 - 3) /* in base64 json-c could not hold it */
        r = BROKER_TOOBIG;
    if (r == 0)
        r = bri_buffer_reserve(&packed, size);
    if (r < 0)
        return r;
    (void)bri_value_encode(v, packed.data);
    reader.p = packed.data;
    reader.end = reader.p + size;
    r = read_tree(&reader, out);
    free(packed.data);
    return r;
}

static int print_tree(json_object *tree, bool pretty, broker_buffer *text)
{
    int flags =
        JSON_C_TO_STRING_NOSLASHESCAPE |
        (pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN);
    size_t size = strlen("null");
    const char *printed =
        tree == NULL ? "null" : json_object_to_json_string_length(tree, flags, &size);
    int r;

    if (printed == NULL)
        return BROKER_NOMEM;
    r = bri_buffer_reserve(text, size + 1);
    if (r < 0)
        return r;
    memcpy(text->data, printed, size + 1);
    text->size = size;
    return 0;
}

int ctl_json_print(broker_value v, bool pretty, broker_buffer *text)
{
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    json_object *tree;
    locale_t users;
    int r;

    if (plain == (locale_t)0)
        return BROKER_NOMEM;
    users = uselocale(plain); /* JSON has a point, whatever the user's language has */
    r = value_tree(v, &tree);
    if (r == 0) {
        r = print_tree(tree, pretty, text);
        json_object_put(tree);
    }
    (void)uselocale(users);
    freelocale(plain);
    return r;
}
