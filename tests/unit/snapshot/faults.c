/*
 * faults.c - see faults.h; the linker puts these in the place of the calls (--wrap)
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACE_MAX 4096

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t n);
int __real_fsync(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t n);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);

static struct {
    bool armed;
    enum fault fault;
    unsigned at, n;
    int error;
    char trace[TRACE_MAX];
} state;

void faults_arm(enum fault fault, unsigned at, int error)
{
    state.fault = fault;
    state.at = at;
    state.error = error;
    state.n = 0;
    state.trace[0] = '\0';
    state.armed = true;
}

unsigned faults_disarm(void)
{
    state.armed = false;
    return state.n;
}

const char *faults_trace(void)
{
    return state.trace;
}

/* True if the call is to fail. */
static bool meet(char letter)
{
    if (!state.armed)
        return false;
    if (state.n < TRACE_MAX - 1) {
        state.trace[state.n] = letter;
        state.trace[state.n + 1] = '\0';
    }
    if (++state.n != state.at || state.fault == FAULT_NONE)
        return false;
    if (state.fault == FAULT_KILL)
        _exit(FAULT_EXIT);
    errno = state.error;
    return true;
}

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    va_start(args, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(args, mode_t);
    va_end(args);
    return meet('o') ? -1 : __real_open(path, flags, mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t n)
{
    if (state.armed && state.fault == FAULT_KILL && state.n + 1 == state.at)
        (void)!__real_write(fd, data, n / 2);
    return meet('w') ? -1 : __real_write(fd, data, n);
}

int __wrap_fsync(int fd)
{
    return meet('s') ? -1 : __real_fsync(fd);
}

/* A close that fails has closed all the same. */
int __wrap_close(int fd)
{
    bool fails = meet('c');
    int r = __real_close(fd);

    if (fails)
        errno = state.error;
    return fails ? -1 : r;
}

int __wrap_rename(const char *from, const char *to)
{
    return meet('r') ? -1 : __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
    return meet('u') ? -1 : __real_unlink(path);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return meet('m') ? -1 : __real_mkdir(path, mode);
}
