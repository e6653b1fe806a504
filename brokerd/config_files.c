/*
 * config_files.c - see config_files.h
 */
#include "config_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAIN_FILE "brokerd.conf"
#define DROP_IN_SUFFIX ".conf"
#define SYSTEM_STATE_DIR "/var/lib/brokerd"

static void set_folder(char out[BROKERD_PATH_MAX], const char *base, const char *name)
{
    int n = snprintf(out, BROKERD_PATH_MAX, "%s/brokerd%s%s", base, name != NULL ? "/" : "",
        name != NULL ? name : "");

    if (n >= BROKERD_PATH_MAX)
        out[0] = '\0';
}

void brokerd_config_places(
    bool of_system, const char *name, struct brokerd_config_source *out_source)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char base[BROKERD_PATH_MAX];

    *out_source = (struct brokerd_config_source){0};
    if (of_system) {
        set_folder(out_source->own, BROKERD_SYSCONFDIR, name);
        set_folder(out_source->standard, BROKERD_VENDORDIR, name);
    } else if (xdg != NULL && xdg[0] == '/') {
        set_folder(out_source->own, xdg, name);
    } else if (home != NULL && home[0] == '/' &&
               snprintf(base, sizeof(base), "%s/.config", home) < (int)sizeof(base)) {
        set_folder(out_source->own, base, name);
    }
}

static bool add(struct brokerd_config_files *files, const char *folder, const char *name)
{
    char **paths = reallocarray(files->paths, files->n + 1, sizeof(*paths));

    if (paths == NULL)
        return false;
    files->paths = paths;
    if (asprintf(&paths[files->n], "%s%s%s", folder, name != NULL ? "/" : "",
            name != NULL ? name : "") < 0)
        return false;
    files->n++;
    return true;
}

static bool is_there(const char *folder)
{
    char path[BROKERD_PATH_MAX + sizeof(MAIN_FILE)];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, MAIN_FILE);
    return folder[0] != '\0' && (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR));
}

static int is_drop_in(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name), suffix = strlen(DROP_IN_SUFFIX);

    return entry->d_name[0] != '.' && n > suffix &&
           strcmp(entry->d_name + n - suffix, DROP_IN_SUFFIX) == 0;
}

/* All drop-ins of one folder; one that is missing has none. */
static bool add_folder(struct brokerd_config_files *files, const char *folder, char **problem)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_drop_in, NULL);
    bool ok = true;

    if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
        return true;
    if (n < 0) {
        if (asprintf(problem, "cannot look through %s: %s", folder, strerror(errno)) < 0)
            *problem = NULL;
        return false;
    }
    for (int i = 0; i < n; i++) {
        ok = ok && add(files, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static const char *name_of(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* By name alone: what comes first of two equals is settled before. */
static int compare(const void *a, const void *b)
{
    return strcmp(name_of(*(char *const *)a), name_of(*(char *const *)b));
}

/* Of drop-ins with one name the first stays. */
static void mask(struct brokerd_config_files *files, unsigned first)
{
    for (unsigned i = first; i < files->n; i++)
        for (unsigned k = i + 1; k < files->n;) {
            if (compare(&files->paths[i], &files->paths[k]) != 0) {
                k++;
                continue;
            }
            free(files->paths[k]);
            files->n--;
            memmove(&files->paths[k], &files->paths[k + 1], (files->n - k) * sizeof(*files->paths));
        }
}

static bool add_drop_ins(struct brokerd_config_files *files, const char *main_file, char **problem)
{
    char folder[BROKERD_PATH_MAX + sizeof(MAIN_FILE) + 2];

    if (snprintf(folder, sizeof(folder), "%s.d", main_file) >= (int)sizeof(folder))
        return true; /* no file can have such a long name either */
    return add_folder(files, folder, problem);
}

static bool list(
    const struct brokerd_config_source *source, struct brokerd_config_files *files, char **problem)
{
    char path[BROKERD_PATH_MAX + sizeof(MAIN_FILE)];
    const char *const folders[] = {source->own, source->standard};
    unsigned first;
    bool ok = true;

    if (source->file != NULL)
        ok = add(files, source->file, NULL);
    else if (is_there(source->own))
        ok = add(files, source->own, MAIN_FILE);
    else if (is_there(source->standard))
        ok = add(files, source->standard, MAIN_FILE);
    first = files->n;
    if (source->file != NULL)
        ok = ok && add_drop_ins(files, source->file, problem);
    for (unsigned i = 0; source->file == NULL && i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folders[i], MAIN_FILE);
        ok = ok && (folders[i][0] == '\0' || add_drop_ins(files, path, problem));
    }
    mask(files, first);
    if (files->n > first)
        qsort(files->paths + first, files->n - first, sizeof(*files->paths), compare);
    return ok;
}

bool brokerd_config_list(const struct brokerd_config_source *source,
    struct brokerd_config_files *out_files, char **problem)
{
    struct brokerd_config_files files = {0};

    *problem = NULL;
    if (!list(source, &files, problem)) {
        brokerd_config_files_free(&files);
        return false;
    }
    *out_files = files;
    return true;
}

void brokerd_config_files_free(struct brokerd_config_files *files)
{
    for (unsigned i = 0; i < files->n; i++)
        free(files->paths[i]);
    free(files->paths);
    *files = (struct brokerd_config_files){0};
}

void brokerd_config_state(bool of_system, char out_path[BROKERD_PATH_MAX])
{
    const char *given = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n = 0;

    out_path[0] = '\0';
    if (given != NULL && given[0] == '/') /* systemd's; the first of several */
        n = snprintf(out_path, BROKERD_PATH_MAX, "%.*s", (int)strcspn(given, ":"), given);
    else if (of_system)
        n = snprintf(out_path, BROKERD_PATH_MAX, "%s", SYSTEM_STATE_DIR);
    else if (xdg != NULL && xdg[0] == '/')
        n = snprintf(out_path, BROKERD_PATH_MAX, "%s/brokerd", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out_path, BROKERD_PATH_MAX, "%s/.local/state/brokerd", home);
    if (n >= BROKERD_PATH_MAX)
        out_path[0] = '\0';
}
