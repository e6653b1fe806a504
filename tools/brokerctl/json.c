/*
 * JSON to values, by json-c: the text becomes json-c's tree, and the tree msgpack. Nothing outlives
 * a call but the caller's buffer. The text is checked by ctl_text_check() first, since json-c is
 * more lenient than JSON.
 */
#include "json.h"

#include "json_text.h"
#include "value/head.h"
#include "value/value.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

/*
 * Each level of a value may be spelled out as $map, which makes three levels of JSON of one; the
 * innermost value may be an extension, which takes two.
 */
#define JSON_DEPTH (3 * BRI_VALUE_DEPTH + 3)

/* Where a document is written as msgpack. */
struct writer {
    broker_buffer *buf;
    const char *message; /* why the document was refused */
    unsigned int depth;  /* containers that are open */
};

static int refuse(struct writer *w, const char *message)
{
    w->message = message;
    return BROKER_INVALID;
}

/* Room for @size bytes more at *out. */
static int extend(struct writer *w, size_t size, uint8_t **out)
{
    int r = bri_buffer_reserve(w->buf, w->buf->size + size);

    if (r < 0)
        return r;
    *out = (uint8_t *)w->buf->data + w->buf->size;
    w->buf->size += size;
    return 0;
}

static int write_value(struct writer *w, broker_value v)
{
    uint8_t *out;
    size_t size;
    int r = bri_value_measure(v, &size);

    if (r < 0)
        return r;
    r = extend(w, size, &out);
    if (r == 0)
        (void)bri_value_encode(v, out);
    return r;
}

static int write_bytes(struct writer *w, const void *bytes, size_t size)
{
    uint8_t *out;
    int r = extend(w, size, &out);

    if (r == 0)
        memcpy(out, bytes, size);
    return r;
}

/*
 * Begin an array or map; its elements follow. The caller counts it as open until they are written.
 */
static int open_container(struct writer *w, bool is_map, size_t n)
{
    uint8_t header[5];

    if (w->depth == BRI_VALUE_DEPTH) {
        w->message = "the value is nested too deeply";
        return BROKER_TOODEEP;
    }
    if (n > UINT32_MAX)
        return BROKER_TOOBIG;
    w->depth++;
    return write_bytes(w, header,
        is_map ? bri_map_header((uint32_t)n, header) : bri_array_header((uint32_t)n, header));
}

static int write_json(struct writer *w, json_object *o);

static int write_array(struct writer *w, json_object *o)
{
    size_t n = json_object_array_length(o);
    int r = open_container(w, false, n);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = write_json(w, json_object_array_get_idx(o, i));
    w->depth--;
    return r;
}

/* The bytes of the base64 in @o; the caller frees them. */
static int read_base64(struct writer *w, json_object *o, uint8_t **out, size_t *out_size)
{
    size_t n = (size_t)json_object_get_string_len(o);
    uint8_t *bytes;

    if (json_object_get_type(o) != json_type_string)
        return refuse(w, "bytes are given as a string of base64");
    bytes = malloc(n + 1);
    if (bytes == NULL)
        return BROKER_NOMEM;
    if (ctl_base64_decode(json_object_get_string(o), n, bytes, out_size) < 0) {
        free(bytes);
        return refuse(w, "the base64 is not valid");
    }
    *out = bytes;
    return 0;
}

static int write_bin(struct writer *w, json_object *o)
{
    uint8_t *bytes;
    size_t size;
    int r = read_base64(w, o, &bytes, &size);

    if (r < 0)
        return r;
    r = write_value(w, broker_bin(bytes, size));
    free(bytes);
    return r;
}

static int write_raw_str(struct writer *w, json_object *o)
{
    uint8_t *bytes;
    size_t size;
    int r = read_base64(w, o, &bytes, &size);

    if (r < 0)
        return r;
    r = write_value(w, broker_strn((const char *)bytes, size));
    free(bytes);
    return r;
}

static int write_ext(struct writer *w, json_object *o)
{
    json_object *type = NULL;
    uint8_t header[6];
    uint8_t *bytes;
    size_t size;
    int64_t number;
    int r;

    if (json_object_get_type(o) == json_type_array && json_object_array_length(o) == 2)
        type = json_object_array_get_idx(o, 0);
    if (json_object_get_type(type) != json_type_int)
        return refuse(w, "an extension is given as {\"$ext\": [type, \"base64\"]}");
    number = json_object_get_int64(type);
    if (number < INT8_MIN || number > INT8_MAX)
        return refuse(w, "an extension's type is a number from -128 to 127");
    r = read_base64(w, json_object_array_get_idx(o, 1), &bytes, &size);
    if (r < 0)
        return r;
    r = write_bytes(w, header, bri_ext_header((uint32_t)size, (int8_t)number, header));
    if (r == 0)
        r = write_bytes(w, bytes, size);
    free(bytes);
    return r;
}

static int write_ref(struct writer *w, json_object *o)
{
    const char *text = json_object_get_type(o) == json_type_string ? json_object_get_string(o) : "";
    struct bri_ref ref;

    if (!ctl_ref_parse(text, &ref))
        return refuse(w, "a reference is given as {\"$ref\": \"slot:generation:arena\"}");
    return write_value(w, bri_ref_value(ref));
}

static const struct {
    const char *name;
    double d;
} floats[] = {
    {"nan", NAN},
    {"inf", INFINITY},
    {"-inf", -INFINITY},
};

static int write_float(struct writer *w, json_object *o)
{
    const char *name = json_object_get_type(o) == json_type_string ? json_object_get_string(o) : "";

    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        if (strcmp(name, floats[i].name) == 0)
            return write_value(w, broker_double(floats[i].d));
    }
    return refuse(w, "{\"$float\": ...} is for \"nan\", \"inf\" and \"-inf\"");
}

static int write_map(struct writer *w, json_object *o)
{
    size_t n;
    int r;

    if (json_object_get_type(o) != json_type_array)
        return refuse(w, "a map is given as {\"$map\": [[key, value], ...]}");
    n = json_object_array_length(o);
    r = open_container(w, true, n);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < n; i++) {
        json_object *pair = json_object_array_get_idx(o, i);

        if (json_object_get_type(pair) != json_type_array || json_object_array_length(pair) != 2)
            return refuse(w, "a map is given as {\"$map\": [[key, value], ...]}");
        r = write_json(w, json_object_array_get_idx(pair, 0));
        if (r == 0)
            r = write_json(w, json_object_array_get_idx(pair, 1));
    }
    w->depth--;
    return r;
}

/* What JSON has no word for. */
static const struct {
    const char *name;
    int (*write)(struct writer *w, json_object *o);
} forms[] = {
    {"$bin", write_bin},
    {"$str", write_raw_str},
    {"$ext", write_ext},
    {"$ref", write_ref},
    {"$float", write_float},
    {"$map", write_map},
};

static int write_form(struct writer *w, json_object *o)
{
    json_object *inner;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (json_object_object_length(o) == 1 &&
            json_object_object_get_ex(o, forms[i].name, &inner))
            return forms[i].write(w, inner);
    }
    return refuse(w, "a key that begins with $ must be given by {\"$map\": [[key, value], ...]}");
}

static int write_object(struct writer *w, json_object *o)
{
    int r;

    json_object_object_foreach(o, first_key, first_value)
    {
        (void)first_value;
        if (first_key[0] == '$')
            return write_form(w, o);
    }
    r = open_container(w, true, (size_t)json_object_object_length(o));
    if (r < 0)
        return r;
    json_object_object_foreach(o, key, value)
    {
        if (r == 0)
            r = write_value(w, broker_str(key));
        if (r == 0)
            r = write_json(w, value);
    }
    w->depth--;
    return r;
}

static int write_integer(struct writer *w, json_object *o)
{
    int64_t i = json_object_get_int64(o); /* INT64_MAX also for all that is larger */

    return write_value(w, i < 0 ? broker_int(i) : broker_uint(json_object_get_uint64(o)));
}

static int write_double(struct writer *w, json_object *o)
{
    double d = json_object_get_double(o);

    return isinf(d) ? refuse(w, "the number is too large") : write_value(w, broker_double(d));
}

static int write_json(struct writer *w, json_object *o)
{
    switch (json_object_get_type(o)) {
    case json_type_null:
        return write_value(w, broker_nil());
    case json_type_boolean:
        return write_value(w, broker_bool(json_object_get_boolean(o)));
    case json_type_int:
        return write_integer(w, o);
    case json_type_double:
        return write_double(w, o);
    case json_type_string:
        return write_value(
            w, broker_strn(json_object_get_string(o), (size_t)json_object_get_string_len(o)));
    case json_type_array:
        return write_array(w, o);
    default:
        return write_object(w, o);
    }
}

/* The tree of a text that was checked. NULL is a tree as well: that of null. */
static int read_tree(const char *text, size_t n, json_object **out, const char **out_message)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
    enum json_tokener_error error;
    json_object *tree;

    if (tokener == NULL)
        return BROKER_NOMEM;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    tree = json_tokener_parse_ex(tokener, text, (int)n);
    if (json_tokener_get_error(tokener) == json_tokener_continue) /* a number ends with the text */
        tree = json_tokener_parse_ex(tokener, "", 1);
    error = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    if (error == json_tokener_success) {
        *out = tree;
        return 0;
    }
    *out_message = json_tokener_error_desc(error);
    return error == json_tokener_error_depth ? BROKER_TOODEEP : BROKER_INVALID;
}

int ctl_json_parse(
    const char *text, size_t n, broker_buffer *buf, broker_value *out, const char **out_message)
{
    struct writer w = {.buf = buf};
    json_object *tree;
    int r;

    *out_message = NULL;
    if (n > INT32_MAX)
        return BROKER_TOOBIG;
    r = ctl_text_check(text, n, out_message);
    if (r < 0)
        return r;
    r = read_tree(text, n, &tree, out_message);
    if (r < 0)
        return r;
    buf->size = 0;
    r = write_json(&w, tree);
    json_object_put(tree);
    if (r == 0)
        return bri_value_decode(buf->data, buf->size, out);
    *out_message = w.message;
    return r;
}
