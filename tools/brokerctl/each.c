/*
 * each.c - see each.h
 */
#include "each.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "view.h"

#define SPECIAL "*?[\\"

bool ctl_is_glob(const char *word)
{
    return strpbrk(word, SPECIAL) != NULL;
}

/* Packs the rows of @objects whose names match into @buffer. */
static int keep_matching(
    broker_value objects, const char *glob, broker_buffer *buffer, broker_value *out_rows)
{
    struct ctl_rows rows = {0};
    struct bri_iter walk;
    broker_value row, name, all;
    char text[BRI_NAME_MAX + 1];
    int r;

    ctl_rows_start(&rows);
    for (bool more = ctl_walk_start(&walk, objects); more && ctl_walk_next(&walk, &row);)
        if (ctl_map_get(row, "name", &name) && ctl_copy_text(name, text, sizeof(text)) &&
            fnmatch(glob, text, 0) == 0)
            ctl_rows_value(&rows, row);
    r = ctl_rows_end(&rows, &all);
    if (r == 0) {
        broker_buffer_free(buffer);
        *buffer = rows.all;
        rows.all = (broker_buffer)BROKER_BUFFER_INIT;
        *out_rows = all;
    }
    ctl_rows_free(&rows);
    return r;
}

int ctl_list_objects(struct ctl *ctl, const struct ctl_filter *filter, broker_buffer *buffer,
    broker_value *out_objects)
{
    const char *word = filter->word != NULL ? filter->word : "";
    char prefix[BRI_NAME_MAX + 1];
    broker_value objects;
    int r;

    /* What no special character precedes is a prefix: the library need not copy the others. */
    (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)strcspn(word, SPECIAL), word);
    r = broker_objects(ctl->broker, filter->type, prefix, buffer, &objects);
    if (r >= 0 && ctl_is_glob(word))
        r = keep_matching(objects, word, buffer, &objects);
    else if (r >= 0 && strlen(word) > BRI_NAME_MAX) /* nothing is called so */
        r = keep_matching(objects, "", buffer, &objects);
    if (r >= 0)
        *out_objects = objects;
    return r;
}

int ctl_each_object(struct ctl *ctl, const struct ctl_filter *filter, ctl_each_fn *fn, void *arg)
{
    broker_buffer buffer = BROKER_BUFFER_INIT, one = BROKER_BUFFER_INIT;
    struct bri_iter walk;
    broker_value objects, row, name, stat;
    char text[BRI_NAME_MAX + 1];
    int r = ctl_list_objects(ctl, filter, &buffer, &objects);

    for (bool more = r >= 0 && ctl_walk_start(&walk, objects);
         more && r >= 0 && ctl_walk_next(&walk, &row);) {
        if (!ctl_map_get(row, "name", &name) || !ctl_copy_text(name, text, sizeof(text)))
            continue;
        r = broker_stat(ctl->broker, text, &one, &stat);
        if (r >= 0)
            r = fn(arg, text, stat);
        else if (r == BROKER_NOTFOUND)
            r = 0;
    }
    broker_buffer_free(&one);
    broker_buffer_free(&buffer);
    return r;
}

bool ctl_contents(broker_value stat, uint64_t *out_n)
{
    static const char *const keys[] = {"items", "entries", "elements", "length"};
    broker_value v;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (ctl_map_get(stat, keys[i], &v)) {
            *out_n = ctl_map_number(stat, keys[i]);
            return true;
        }
    if (!ctl_map_get(stat, "messages_0", &v))
        return false;
    *out_n = ctl_map_number(stat, "messages_0") + ctl_map_number(stat, "messages_1");
    return true;
}
