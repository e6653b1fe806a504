/*
 * image.c - see image.h
 *
 * The size of a process may be read by everybody, its mappings only by its own user and root. A
 * daemon that may not read them still tells most cases by the size, since an arena is mapped at its
 * maximum from the start.
 */
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool brokerd_image_is_smaller(pid_t pid, uint64_t size)
{
    unsigned long long pages;
    char path[40];
    bool known;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    known = fscanf(f, "%llu", &pages) == 1;
    (void)fclose(f);
    /* 0: the first thread has ended; others may go on. */
    return known && pages > 0 && pages < size / (uint64_t)sysconf(_SC_PAGESIZE);
}

bool brokerd_image_lacks(pid_t pid, int fd)
{
    unsigned long long inode;
    unsigned major_no, minor_no, n_lines = 0;
    char path[40], *line = NULL;
    size_t size = 0;
    bool found = false;
    struct stat st;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    f = fstat(fd, &st) == 0 ? fopen(path, "re") : NULL;
    if (f == NULL)
        return false;
    for (; !found && getline(&line, &size, f) > 0; n_lines++)
        found = sscanf(line, "%*s %*s %*s %x:%x %llu", &major_no, &minor_no, &inode) == 3 &&
                inode == st.st_ino && major_no == major(st.st_dev) && minor_no == minor(st.st_dev);
    found |= ferror(f) != 0;
    free(line);
    (void)fclose(f);
    return !found && n_lines > 0;
}
