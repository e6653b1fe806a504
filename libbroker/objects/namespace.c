/*
 * namespace.c - the namespace type: a dict whose keys are names
 *
 * The object is a dict's table and nothing else. What is done here is to look at names before
 * anything happens; the rest is the dict's, and so is what a crash leaves.
 */
#include "core/registry.h"
#include "engine_ops.h"
#include "objects/dict.h"

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static int check(const char *name)
{
    if (bri_name_check(name) < 0 || !is_letter((unsigned char)name[0]))
        return BROKER_BADNAME;
    for (const char *p = name + 1; *p != '\0'; p++)
        if (!is_letter((unsigned char)*p) && (*p < '0' || *p > '9') && *p != '_')
            return BROKER_BADNAME;
    return 0;
}

static int check_key(const void *key, size_t size)
{
    char name[BRI_NAME_MAX + 1];
    broker_value v;

    if (bri_value_decode(key, size, &v) < 0 || v.type != BROKER_STR || v.size > BRI_NAME_MAX ||
        memchr(v.data, '\0', v.size) != NULL)
        return BROKER_BADNAME;
    memcpy(name, v.data, v.size);
    name[v.size] = '\0';
    return check(name);
}

int bri_namespace_get(
    struct bri_handle *h, const char *attribute, broker_buffer *buffer, broker_value *out_value)
{
    int r = check(attribute);

    return r < 0 ? r : bri_dict_get(h, broker_str(attribute), buffer, out_value);
}

int bri_namespace_set(struct bri_handle *h, const char *attribute, broker_value value)
{
    int r = check(attribute);

    return r < 0 ? r : bri_dict_set(h, broker_str(attribute), value);
}

int bri_namespace_delete(struct bri_handle *h, const char *attribute)
{
    int r = check(attribute);

    return r < 0 ? r : bri_dict_delete(h, broker_str(attribute));
}

int bri_namespace_contains(struct bri_handle *h, const char *attribute, bool *out_found)
{
    int r = check(attribute);

    return r < 0 ? r : bri_dict_contains(h, broker_str(attribute), out_found);
}

int bri_namespace_update(struct bri_handle *h, broker_value pairs)
{
    struct bri_iter it;
    const void *item;
    size_t size;
    int r = bri_value_measure(pairs, &size);

    if (r == 0)
        r = pairs.type == BROKER_PACKED ? bri_iter_map(&it, pairs.data, pairs.size)
                                        : BROKER_INVALID;
    for (bool is_key = true; r == 0; is_key = !is_key) {
        r = bri_iter_next(&it, &item, &size);
        if (r == 0 && is_key)
            r = check_key(item, size);
    }
    return r == BROKER_EMPTY ? bri_dict_update(h, pairs) : r;
}

int bri_namespace_add(
    struct bri_handle *h, const char *attribute, int64_t delta, int64_t *out_total)
{
    int r = check(attribute);

    return r < 0 ? r : bri_dict_add(h, broker_str(attribute), delta, out_total);
}

int bri_namespace_compare_and_set(
    struct bri_handle *h, const char *attribute, broker_value expected, broker_value value)
{
    int r = check(attribute);

    return r < 0 ? r : bri_dict_compare_and_set(h, broker_str(attribute), expected, value);
}

int bri_namespace_keys(struct bri_handle *h, broker_buffer *buffer, broker_value *out_keys)
{
    return bri_dict_keys(h, buffer, out_keys);
}

int bri_namespace_items(struct bri_handle *h, broker_buffer *buffer, broker_value *out_items)
{
    return bri_dict_items(h, buffer, out_items);
}

int bri_namespace_copy(struct bri_handle *h, broker_buffer *buffer, broker_value *out_map)
{
    return bri_dict_copy(h, buffer, out_map);
}

const struct bri_type_ops bri_namespace_type = {
    .number = BRI_TYPE_NAMESPACE,
    .name = "namespace",
    .has_heap = true,
    .create = bri_dict_type_create,
    .match = bri_dict_type_match,
    .refs = bri_dict_type_refs,
    .audit = bri_dict_type_audit,
    .stat = bri_dict_type_stat,
    .save = bri_dict_type_save,
    .load = bri_dict_type_load,
};
