/*
 * store.c - see store.h
 *
 * The order is all there is to it: the bytes, fsync of the file, the name, fsync of the folder, and
 * only then the old ones go. A death before the name leaves PREFIX.new, which the next save writes
 * over.
 */
#include "snapshot/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/errno.h"

#define SUFFIX ".snapshot"
#define NEW ".new"
#define DIGITS 12
#define NUMBER_MAX UINT64_C(999999999999)

int bri_store_path(const struct bri_store *store, uint64_t number, char out[BRI_STORE_PATH_MAX])
{
    int n = snprintf(out, BRI_STORE_PATH_MAX, "%s/%s.%0*" PRIu64 SUFFIX, store->dir, store->prefix,
        DIGITS, number);

    return n < BRI_STORE_PATH_MAX ? 0 : BROKER_INVALID;
}

/* ---- what is there ---- */

/* The number in a file's name; 0 if it is none of ours. */
static uint64_t number_of(const struct bri_store *store, const char *name)
{
    size_t n = strlen(store->prefix);
    uint64_t number = 0;

    if (strncmp(name, store->prefix, n) != 0 || name[n] != '.')
        return 0;
    name += n + 1;
    for (unsigned i = 0; i < DIGITS; i++, name++) {
        if (*name < '0' || *name > '9')
            return 0;
        number = number * 10 + (uint64_t)(*name - '0');
    }
    return strcmp(name, SUFFIX) == 0 ? number : 0;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

static int add_number(struct bri_store_list *list, size_t *capacity, uint64_t number)
{
    if (list->n == *capacity) {
        size_t more = *capacity != 0 ? 2 * *capacity : 16;
        uint64_t *numbers = realloc(list->numbers, more * sizeof(*numbers));

        if (numbers == NULL)
            return BROKER_NOMEM;
        list->numbers = numbers;
        *capacity = more;
    }
    list->numbers[list->n++] = number;
    return 0;
}

static int read_folder(const struct bri_store *store, DIR *dir, struct bri_store_list *list)
{
    const struct dirent *entry;
    size_t capacity = 0;
    int r = 0;

    while (r == 0) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL)
            return errno != 0 ? bri_from_errno(errno) : 0;
        if (number_of(store, entry->d_name) != 0)
            r = add_number(list, &capacity, number_of(store, entry->d_name));
    }
    return r;
}

int bri_store_list(const struct bri_store *store, struct bri_store_list *out_list)
{
    struct bri_store_list list = {0};
    DIR *dir = opendir(store->dir);
    int r;

    if (dir == NULL && errno != ENOENT)
        return bri_from_errno(errno);
    r = dir != NULL ? read_folder(store, dir, &list) : 0;
    if (dir != NULL)
        (void)closedir(dir);
    if (r < 0) {
        free(list.numbers);
        return r;
    }
    if (list.n > 0)
        qsort(list.numbers, list.n, sizeof(*list.numbers), newest_first);
    *out_list = list;
    return 0;
}

void bri_store_list_free(struct bri_store_list *list)
{
    free(list->numbers);
    *list = (struct bri_store_list){0};
}

/* ---- saving ---- */

/* The folder and those above it; a new one is the owner's alone. */
static int make_folders(const char *dir)
{
    char path[BRI_STORE_PATH_MAX];
    size_t n = strlen(dir);

    if (n >= sizeof(path))
        return BROKER_INVALID;
    memcpy(path, dir, n + 1);
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return bri_from_errno(errno);
        *p = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : bri_from_errno(errno);
}

static int sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

    if (fd < 0)
        return bri_from_errno(errno);
    if (fsync(fd) != 0)
        r = bri_from_errno(errno);
    (void)close(fd);
    return r;
}

/* The file under its first name, whole and on the disk; or not there. */
static int write_new(const char *path, bri_store_fill_fn *fill, void *arg)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), r;

    if (fd < 0)
        return bri_from_errno(errno);
    r = fill(fd, arg);
    if (r == 0 && fsync(fd) != 0)
        r = bri_from_errno(errno);
    if (close(fd) != 0 && r == 0)
        r = bri_from_errno(errno);
    if (r < 0)
        (void)unlink(path);
    return r;
}

/* What cannot be removed is in nobody's way: the next save tries again. */
static void remove_old(const struct bri_store *store, const struct bri_store_list *before)
{
    char path[BRI_STORE_PATH_MAX];

    for (size_t i = store->keep - 1; i < before->n; i++)
        if (bri_store_path(store, before->numbers[i], path) == 0)
            (void)unlink(path);
}

int bri_store_save(const struct bri_store *store, bri_store_fill_fn *fill, void *arg,
    char out_path[BRI_STORE_PATH_MAX])
{
    char new_path[BRI_STORE_PATH_MAX], path[BRI_STORE_PATH_MAX];
    struct bri_store_list before;
    uint64_t number;
    int r = store->keep > 0 ? make_folders(store->dir) : BROKER_INVALID;

    if (r == 0)
        r = bri_store_list(store, &before);
    if (r < 0)
        return r;
    number = before.n > 0 ? before.numbers[0] + 1 : 1;
    r = number <= NUMBER_MAX ? bri_store_path(store, number, path) : BROKER_LIMIT;
    if (r == 0 && snprintf(new_path, sizeof(new_path), "%s/%s" NEW, store->dir, store->prefix) >=
                      (int)sizeof(new_path))
        r = BROKER_INVALID;
    if (r == 0)
        r = write_new(new_path, fill, arg);
    if (r == 0 && rename(new_path, path) != 0) {
        r = bri_from_errno(errno);
        (void)unlink(new_path);
    }
    if (r == 0)
        r = sync_folder(store->dir);
    if (r == 0) {
        remove_old(store, &before);
        memcpy(out_path, path, sizeof(path));
    }
    bri_store_list_free(&before);
    return r;
}
