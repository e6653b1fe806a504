/*
 * world.c - see world.h
 */
#include "world.h"

#include <criterion/criterion.h>

#include <string.h>

#include "core/audit.h"
#include "objects/save.h"

broker *world_open(void)
{
    broker *b;

    cr_assert_eq(broker_open("private:", &b), 0, "%s", broker_last_error());
    return b;
}

/* ---- saving ---- */

struct saver {
    struct dump *dump;
    const char *prefix;
};

static int add_record(void *arg, broker_value record)
{
    struct saver *x = arg;
    broker_buffer *to = &x->dump->bytes;
    uint32_t size = record.size;

    cr_assert_eq(record.type, BROKER_PACKED);
    cr_assert_eq(bri_buffer_reserve(to, to->size + sizeof(size) + size), 0);
    memcpy((char *)to->data + to->size, &size, sizeof(size));
    memcpy((char *)to->data + to->size + sizeof(size), record.data, size);
    to->size += sizeof(size) + size;
    x->dump->n++;
    return 0;
}

static bool begins(void *arg, const char *name)
{
    const struct saver *x = arg;

    return strncmp(name, x->prefix, strlen(x->prefix)) == 0;
}

void world_dump(broker *b, const char *prefix, struct dump *out)
{
    struct saver x = {.dump = out, .prefix = prefix};
    struct bri_saving saving = {
        .record = add_record, .wants = prefix != NULL ? begins : NULL, .arg = &x};

    *out = (struct dump){0};
    cr_assert_eq(bri_save_arena(b, &saving), 0);
    cr_assert_eq(saving.n_left_out, 0);
}

void dump_free(struct dump *dump)
{
    broker_buffer_free(&dump->bytes);
}

bool dump_same(const struct dump *a, const struct dump *b)
{
    return a->bytes.size == b->bytes.size &&
           (a->bytes.size == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.size) == 0);
}

/* ---- loading ---- */

static int next_record(void *arg, bool again, broker_value *out)
{
    struct dump *d = arg;
    const char *from;
    uint32_t size;

    if (again)
        d->at = 0;
    if (d->at == d->bytes.size)
        return BROKER_EMPTY;
    from = (const char *)d->bytes.data + d->at;
    memcpy(&size, from, sizeof(size));
    *out = broker_packed(from + sizeof(size), size);
    d->at += sizeof(size) + size;
    return 0;
}

int world_load(broker *b, struct dump *dump, struct bri_loading *loading)
{
    loading->next = next_record;
    loading->arg = dump;
    return bri_load_arena(b, loading);
}

static void tell(void *arg, const char *object, const char *problem)
{
    (void)arg;
    cr_log_error("%s: %s", object, problem);
}

void world_audit(broker *b)
{
    struct bri_audit audit = {.report = tell};

    cr_assert_eq(bri_audit_arena(b->arena, &audit), 0);
    cr_assert_eq(audit.n_problems, 0);
}

broker *world_again(broker *b)
{
    struct bri_loading loading = {0};
    struct dump first, second;
    broker *other = world_open();

    world_dump(b, NULL, &first);
    cr_assert_eq(world_load(other, &first, &loading), 0, "%s", loading.failed);
    world_audit(other);
    world_dump(other, NULL, &second);
    cr_assert(dump_same(&first, &second));
    dump_free(&first);
    dump_free(&second);
    return other;
}

broker_value dump_find(struct dump *dump, const char *name)
{
    broker_value record, found;
    bool again = true;

    while (next_record(dump, again, &record) == 0) {
        found = bri_load_get(record, "name");
        if (name == NULL ? found.type == BROKER_NIL
                         : found.type == BROKER_STR && found.size == strlen(name) &&
                               memcmp(found.data, name, found.size) == 0)
            return record;
        again = false;
    }
    cr_assert_fail("no record of %s", name != NULL ? name : "an anonymous object");
    return broker_nil();
}
