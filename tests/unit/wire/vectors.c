/*
 * vectors.c - see vectors.h
 */
#include "unit/wire/vectors.h"

#include <broker.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brokerctl/json.h"
#include "brokerctl/json_text.h"
#include "value/value.h"

#define DEPTH 256 /* of JSON: values spelled out nest deeper than values */

json_object *vectors_load(const char *file)
{
    const char *folder = getenv("VECTORS");
    char path[512];
    json_object *rows;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : ".", file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "cannot open %s", path);
    rows = json_object_from_fd_ex(fd, DEPTH);
    (void)close(fd);
    cr_assert_not_null(rows, "%s: %s", path, json_util_get_last_err());
    cr_assert_gt(json_object_array_length(rows), 0);
    return rows;
}

json_object *vectors_field(json_object *row, const char *name)
{
    json_object *field;

    cr_assert(json_object_object_get_ex(row, name, &field), "a row has no %s", name);
    return field;
}

const char *vectors_text(json_object *row, const char *name)
{
    return json_object_get_string(vectors_field(row, name));
}

/* ---- bytes ---- */

struct bytes bytes_of(const void *data, size_t size)
{
    struct bytes bytes = {malloc(size > 0 ? size : 1), size};

    cr_assert_not_null(bytes.data);
    if (size > 0)
        memcpy(bytes.data, data, size);
    return bytes;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    bytes->data = NULL;
}

static void append(broker_buffer *to, const void *data, size_t size)
{
    cr_assert_eq(bri_buffer_reserve(to, to->size + size), 0);
    memcpy((uint8_t *)to->data + to->size, data, size);
    to->size += size;
}

static int nibble(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/* The digits at *@at, which is moved behind them. */
static size_t read_digits(const char **at, uint8_t *out, size_t room)
{
    size_t n = 0;

    for (; nibble((*at)[0]) >= 0 && nibble((*at)[1]) >= 0; *at += 2) {
        cr_assert_lt(n, room);
        out[n++] = (uint8_t)(nibble((*at)[0]) << 4 | nibble((*at)[1]));
    }
    return n;
}

static void append_counted(
    broker_buffer *to, uint8_t *number, const uint8_t *last, size_t width, const char **at)
{
    uint8_t behind[64];
    size_t n;

    cr_assert_eq(**at, ':');
    ++*at;
    n = read_digits(at, behind, sizeof(behind));
    for (;;) {
        append(to, number, width);
        append(to, behind, n);
        if (memcmp(number, last, width) == 0)
            return;
        for (size_t i = width; i-- > 0 && ++number[i] == 0;)
            continue;
    }
}

/* A piece such as 78, 78*300 or 00-7f:c0. */
static void append_piece(broker_buffer *to, const char **at)
{
    uint8_t piece[4096], last[sizeof(piece)];
    size_t n = read_digits(at, piece, sizeof(piece));
    unsigned long times = 1;
    char *end;

    if (**at == '-') {
        ++*at;
        cr_assert_eq(read_digits(at, last, sizeof(last)), n);
        append_counted(to, piece, last, n, at);
        return;
    }
    if (**at == '*') {
        times = strtoul(*at + 1, &end, 10);
        *at = end;
    }
    while (times-- > 0)
        append(to, piece, n);
}

struct bytes bytes_of_hex(const char *hex)
{
    broker_buffer long_one = BROKER_BUFFER_INIT;
    struct bytes bytes;

    for (const char *at = hex; *at != '\0'; at += *at == ' ') {
        append_piece(&long_one, &at);
        cr_assert(*at == '\0' || *at == ' ', "this is no hex: %s", at);
    }
    bytes = bytes_of(long_one.data, long_one.size);
    broker_buffer_free(&long_one);
    return bytes;
}

/* ---- values ---- */

static json_object *repeat_bytes(const char *kind, json_object *item, size_t n)
{
    const char *text = json_object_get_string(item);
    size_t size = strlen(text);
    broker_buffer all = BROKER_BUFFER_INIT;
    struct bytes base64 = {0};
    json_object *made;
    char *unit = malloc(size + 1);

    cr_assert_not_null(unit);
    if (strcmp(kind, "bin") == 0)
        cr_assert_eq(ctl_base64_decode(text, size, unit, &size), 0);
    else
        memcpy(unit, text, size);
    while (n-- > 0)
        append(&all, unit, size);
    free(unit);
    if (strcmp(kind, "str") == 0) {
        made = json_object_new_string_len((const char *)all.data, (int)all.size);
    } else {
        base64.size = ctl_base64_size(all.size);
        base64.data = malloc(base64.size + 1);
        ctl_base64_encode(all.data, all.size, (char *)base64.data);
        made = json_object_new_object();
        json_object_object_add(
            made, "$bin", json_object_new_string_len((const char *)base64.data, (int)base64.size));
        bytes_free(&base64);
    }
    broker_buffer_free(&all);
    return made;
}

static json_object *repeat_items(const char *kind, json_object *item, size_t n)
{
    json_object *items = json_object_new_array();
    bool is_map = strcmp(kind, "map") == 0;
    json_object *form, *pair;

    for (size_t i = 0; i < n; i++) {
        pair = json_object_get(item);
        if (is_map) {
            pair = json_object_new_array();
            json_object_array_add(pair, json_object_new_int64((int64_t)i));
            json_object_array_add(pair, json_object_get(item));
        }
        json_object_array_add(items, pair);
    }
    if (!is_map)
        return items;
    form = json_object_new_object();
    json_object_object_add(form, "$map", items);
    return form;
}

/* What {"$repeat": ...} stands for, in brokerctl's notation; anything else itself. */
static json_object *expand(json_object *json)
{
    json_object *repeat, *item;
    const char *kind;
    size_t n;

    if (json_object_get_type(json) != json_type_object ||
        !json_object_object_get_ex(json, "$repeat", &repeat))
        return json_object_get(json);
    kind = json_object_get_string(json_object_array_get_idx(repeat, 0));
    item = json_object_array_get_idx(repeat, 1);
    n = (size_t)json_object_get_int64(json_object_array_get_idx(repeat, 2));
    if (strcmp(kind, "str") == 0 || strcmp(kind, "bin") == 0)
        return repeat_bytes(kind, item, n);
    return repeat_items(kind, item, n);
}

broker_value vectors_value(json_object *json, broker_buffer *buffer)
{
    json_object *expanded = expand(json);
    const char *text = json_object_to_json_string_ext(expanded, JSON_C_TO_STRING_PLAIN);
    const char *message;
    broker_value v;
    int r = ctl_json_parse(text, strlen(text), buffer, &v, &message);

    cr_assert_eq(r, 0, "%s: %s", text, message);
    json_object_put(expanded);
    return v;
}
