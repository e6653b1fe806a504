/*
 * run.c - see run.h
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>

#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define MAX_WORDS 64

static const char *program(void)
{
    const char *path = getenv("BROKERCTL");

    cr_assert_not_null(path, "BROKERCTL is not set: run by CTest");
    return path;
}

static int new_file(const char *bytes, size_t size)
{
    int fd = memfd_create("brokerctl", MFD_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static char *read_file(int fd, size_t *out_size)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *bytes = calloc(1, (size_t)size + 1);

    cr_assert_not_null(bytes);
    cr_assert_eq(pread(fd, bytes, (size_t)size, 0), size);
    (void)close(fd);
    *out_size = (size_t)size;
    return bytes;
}

/* Leaks are looked for in what goes on for long. Who does one thing gives all back by its end; to
 * look there would take more than a third of the time of all these tests. */
static void spare_the_short_lived(const char *command)
{
    static const char *const lasting[] = {"events", "monitor", "shell", "top", "watch", "worker"};
    const char *options = getenv("ASAN_OPTIONS");
    char spared[300];

    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
        if (command == NULL || strcmp(command, lasting[i]) == 0)
            return;
    (void)snprintf(spared, sizeof(spared), "%s:detect_leaks=0", options != NULL ? options : "");
    (void)setenv("ASAN_OPTIONS", spared, 1);
}

static _Noreturn void become(const char *const words[], const int fds[3])
{
    char *argv[MAX_WORDS + 2] = {(char *)program()};
    size_t n = 0;

    for (; words[n] != NULL && n < MAX_WORDS; n++)
        argv[n + 1] = (char *)words[n];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 3; i++)
        if (fds[i] < 0)
            (void)close(i);
        else
            (void)dup2(fds[i], i);
    (void)signal(SIGPIPE, SIG_DFL);
    spare_the_short_lived(words[0]);
    (void)execv(argv[0], argv);
    _exit(99);
}

static pid_t start(const char *const words[], const int fds[3])
{
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        become(words, fds);
    return child;
}

static int wait_for(pid_t pid)
{
    int status;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void note_end(struct run *r, int status)
{
    r->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    r->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static struct run run_all(const char *const words[], const char *input, size_t size)
{
    int fds[3] = {new_file(input, size), new_file("", 0), new_file("", 0)};
    struct run r = {0};
    size_t err_size;

    note_end(&r, wait_for(start(words, fds)));
    (void)close(fds[0]);
    r.out = read_file(fds[1], &r.out_size);
    r.err = read_file(fds[2], &err_size);
    return r;
}

struct run run_to(const char *const words[], int out_fd)
{
    int fds[3] = {new_file("", 0), out_fd, new_file("", 0)};
    struct run r = {0};
    size_t err_size;

    note_end(&r, wait_for(start(words, fds)));
    (void)close(fds[0]);
    r.err = read_file(fds[2], &err_size);
    return r;
}

/* Splits in place. */
static void split(char *line, const char *words[MAX_WORDS + 1])
{
    size_t n = 0;

    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        cr_assert_lt(n, MAX_WORDS);
        words[n++] = word;
    }
    words[n] = NULL;
}

struct run run_input(const char *line, const char *input, size_t size)
{
    const char *words[MAX_WORDS + 1];
    char *copy = strdup(line);
    struct run r;

    split(copy, words);
    r = run_all(words, input, size);
    free(copy);
    return r;
}

struct run run(const char *line)
{
    return run_input(line, "", 0);
}

struct run run_words(const char *const words[])
{
    return run_all(words, "", 0);
}

/* A terminal's other end reads as broken once the program is gone. */
static char *read_terminal(int fd, size_t *out_size)
{
    size_t size = 0, capacity = 1 << 20;
    char *bytes = calloc(1, capacity);
    ssize_t n;

    cr_assert_not_null(bytes);
    while ((n = read(fd, bytes + size, capacity - size - 1)) > 0 || (n < 0 && errno == EINTR))
        size += n > 0 ? (size_t)n : 0;
    (void)close(fd);
    *out_size = size;
    return bytes;
}

struct run run_terminal(const char *line)
{
    const struct winsize window = {.ws_row = 24, .ws_col = 120};
    const char *words[MAX_WORDS + 1];
    char *copy = strdup(line);
    int terminal, fds[3] = {new_file("", 0), -1, new_file("", 0)};
    struct run r = {0};
    size_t err_size;
    pid_t child;

    split(copy, words);
    cr_assert_eq(openpty(&terminal, &fds[1], NULL, NULL, &window), 0);
    child = start(words, fds);
    (void)close(fds[1]);
    r.out = read_terminal(terminal, &r.out_size);
    note_end(&r, wait_for(child));
    (void)close(fds[0]);
    r.err = read_file(fds[2], &err_size);
    free(copy);
    return r;
}

void run_free(struct run *r)
{
    free(r->out);
    free(r->err);
    *r = (struct run){0};
}

void run_expect(const char *file, int file_line, const char *line, int wanted_code,
    const char *wanted_out, const char *said)
{
    struct run r = run(line);

    cr_assert_eq(r.code, wanted_code, "%s:%d: brokerctl %s: exit code %d, not %d; it said: %s",
        file, file_line, line, r.code, wanted_code, r.err);
    if (wanted_out != NULL)
        cr_assert_str_eq(r.out, wanted_out, "%s:%d: brokerctl %s: printed \"%s\", not \"%s\"", file,
            file_line, line, r.out, wanted_out);
    if (said != NULL)
        cr_assert_not_null(strstr(r.err, said), "%s:%d: brokerctl %s: said \"%s\", not \"%s\"",
            file, file_line, line, r.err, said);
    else if (wanted_code == 0)
        cr_assert_str_eq(
            r.err, "", "%s:%d: brokerctl %s: said \"%s\"", file, file_line, line, r.err);
    run_free(&r);
}

void run_expect_texts(const char *file, int file_line, const char *line, struct run r,
    int wanted_code, const char *const texts[])
{
    for (size_t i = 0; texts[i] != NULL; i++)
        cr_assert(strstr(r.out, texts[i]) != NULL ||
                      (texts[i][0] == '\n' && run_starts(r.out, texts[i] + 1)),
            "%s:%d: brokerctl %s: \"%s\" is not in \"%s\"; it said: %s", file, file_line, line,
            texts[i], r.out, r.err);
    cr_assert_eq(r.code, wanted_code, "%s:%d: brokerctl %s: exit code %d, not %d; it said: %s",
        file, file_line, line, r.code, wanted_code, r.err);
    run_free(&r);
}

struct running run_start(const char *const words[])
{
    int in[2], out[2], fds[3];
    struct running r;

    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    fds[0] = in[0];
    fds[1] = out[1];
    fds[2] = STDERR_FILENO;
    r.pid = start(words, fds);
    r.in = in[1];
    r.out = out[0];
    (void)close(in[0]);
    (void)close(out[1]);
    return r;
}

struct running run_start_terminal(const char *const words[])
{
    struct termios quiet = {.c_lflag = ISIG}; /* keys are signals, and nothing is shown */
    int fds[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct running r;

    quiet.c_cc[VINTR] = 3;
    r.pid = forkpty(&r.in, NULL, &quiet, NULL);
    cr_assert_geq(r.pid, 0);
    if (r.pid == 0)
        become(words, fds);
    r.out = dup(r.in);
    cr_assert_geq(r.out, 0);
    return r;
}

int run_answer(const char *line, const char *typed, char *out_seen, size_t size)
{
    const char *words[MAX_WORDS + 1];
    char *copy = strdup(line);
    struct running r;
    size_t n = 0;
    ssize_t got;
    int status;

    split(copy, words);
    r = run_start_terminal(words);
    free(copy);
    cr_assert_eq(write(r.in, typed, strlen(typed)), (ssize_t)strlen(typed));
    while (n + 1 < size && (got = read(r.out, out_seen + n, size - n - 1)) > 0)
        n += (size_t)got;
    out_seen[n] = '\0';
    status = run_end(&r);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void run_expect_line(const struct running *r, const char *wanted)
{
    char line[256];
    size_t n = 0;

    while (n < sizeof(line) - 1 && read(r->out, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    cr_assert_str_eq(line, wanted);
}

int run_end(struct running *r)
{
    int status = wait_for(r->pid);

    (void)close(r->in);
    (void)close(r->out);
    return status;
}

bool run_starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}
