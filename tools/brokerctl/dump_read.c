/*
 * dump_read.c - see dump.h
 */
#include <stdlib.h>
#include <string.h>

#include <broker.h>

#include "dump.h"
#include "json.h"
#include "objects/save.h"
#include "snapshot/file.h"

#define COPY_SIZE 65536u

/* What can only be read once is read into a file without a name. */
static FILE *copy_of(FILE *file)
{
    FILE *copy = tmpfile();
    char *bytes = malloc(COPY_SIZE);
    bool ok = copy != NULL && bytes != NULL;
    size_t n;

    while (ok && (n = fread(bytes, 1, COPY_SIZE, file)) > 0)
        ok = fwrite(bytes, 1, n, copy) == n;
    ok = ok && ferror(file) == 0 && fflush(copy) == 0;
    free(bytes);
    if (!ok && copy != NULL)
        (void)fclose(copy);
    return ok ? copy : NULL;
}

bool ctl_dump_open(struct ctl_dump *dump, FILE *file)
{
    char start[sizeof(BRI_SNAPSHOT_MAGIC) - 1];

    *dump = (struct ctl_dump){.file = copy_of(file)};
    if (dump->file == NULL)
        return false;
    rewind(dump->file);
    dump->is_binary = fread(start, 1, sizeof(start), dump->file) == sizeof(start) &&
                      memcmp(start, BRI_SNAPSHOT_MAGIC, sizeof(start)) == 0;
    return true;
}

void ctl_dump_close(struct ctl_dump *dump)
{
    bri_snapshot_reader_free(dump->reader);
    broker_buffer_free(&dump->value);
    free(dump->line);
    if (dump->file != NULL)
        (void)fclose(dump->file);
}

/* ---- bytes ---- */

static int next_part(struct ctl_dump *d, bool again, broker_value *out)
{
    struct bri_snapshot_part part;
    int r = 0;

    if (again) {
        bri_snapshot_reader_free(d->reader);
        d->reader = NULL;
        r = bri_snapshot_read_begin(fileno(d->file), &d->reader);
    }
    do
        r = r == 0 ? bri_snapshot_read(d->reader, &part) : r;
    while (r == 0 && part.kind != BRI_SNAPSHOT_OBJECT);
    if (r == 0)
        *out = broker_packed(part.data, part.size);
    return r;
}

/* ---- text ---- */

static int refuse(struct ctl_dump *d, const char *message)
{
    d->message = message;
    return BROKER_INVALID;
}

static int next_line(struct ctl_dump *d, broker_value *out)
{
    ssize_t n = getline(&d->line, &d->capacity, d->file);

    if (n < 0)
        return ferror(d->file) != 0 ? BROKER_SYSTEM
                                    : refuse(d, "the dump ends before its last line");
    d->number++;
    d->value.size = 0;
    return ctl_json_parse(d->line, (size_t)n, &d->value, out, &d->message);
}

static int read_start(struct ctl_dump *d)
{
    broker_value v;
    int r;

    rewind(d->file);
    d->number = 0;
    r = next_line(d, &v);
    if (r < 0)
        return r;
    v = bri_load_get(v, "brokerdump");
    if (v.type != BROKER_INT)
        return refuse(d, "this is no dump: its first line is another");
    return v.i == CTL_DUMP_VERSION ? 0 : BROKER_VERSION;
}

static int next_text(struct ctl_dump *d, bool again, broker_value *out)
{
    broker_value v, end;
    int r = again ? read_start(d) : 0;

    if (r == 0)
        r = next_line(d, &v);
    if (r < 0)
        return r;
    if (v.type != BROKER_PACKED)
        return refuse(d, "this is no object");
    end = bri_load_get(v, "end");
    if (end.type == BROKER_NIL) {
        *out = v;
        return 0;
    }
    if (end.type != BROKER_INT || end.u != d->number - 2)
        return refuse(d, "lines are missing before this one");
    return BROKER_EMPTY;
}

int ctl_dump_next(void *dump, bool again, broker_value *out_record)
{
    struct ctl_dump *d = dump;

    return d->is_binary ? next_part(d, again, out_record) : next_text(d, again, out_record);
}
