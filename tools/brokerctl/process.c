/*
 * process.c - see process.h
 */
#include "process.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The beginning of a file of the process; false if there is none. */
static bool read_file(pid_t pid, const char *name, char *out, size_t size)
{
    char path[48];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, out, size - 1);
    (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

char ctl_process_state(pid_t pid)
{
    char text[512];
    const char *p = read_file(pid, "stat", text, sizeof(text))
                        ? strrchr(text, ')') /* behind the name, which may have anything in it */
                        : NULL;

    return p != NULL && p[1] == ' ' ? p[2] : '\0';
}

const char *ctl_process_state_name(char state)
{
    static const struct {
        char state;
        const char *name;
    } names[] = {{'R', "running"}, {'S', "sleeping"}, {'D', "blocked"}, {'T', "stopped"},
        {'t', "traced"}, {'Z', "zombie"}, {'I', "idle"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].state == state)
            return names[i].name;
    return "gone";
}

/* The last part of the path of its control group that is a unit: a service makes groups below it.
 */
void ctl_process_unit(pid_t pid, char *out, size_t size)
{
    static const char *const suffixes[] = {".service", ".scope", ".socket"};
    char text[4096], *save = NULL;

    out[0] = '\0';
    if (!read_file(pid, "cgroup", text, sizeof(text)))
        return;
    for (char *part = strtok_r(text, "/\n", &save); part != NULL;
         part = strtok_r(NULL, "/\n", &save))
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
            size_t n = strlen(part), n_suffix = strlen(suffixes[i]);

            if (n > n_suffix && strcmp(part + n - n_suffix, suffixes[i]) == 0)
                (void)snprintf(out, size, "%s", part);
        }
}
