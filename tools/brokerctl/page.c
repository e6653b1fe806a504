/*
 * page.c - see page.h
 *
 * The pager is the user's own choice, from his environment. If it cannot be started, the text goes
 * to the terminal as it is. brokerctl waits for its end, so that the shell does not write into it.
 */
#include "page.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NO_COMMAND 127 /* as shells do */

bool ctl_wants_color(const struct ctl *ctl)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

    if (ctl->color != CTL_COLOR_AUTO)
        return ctl->color == CTL_COLOR_ALWAYS;
    return ctl->out_is_tty && (no == NULL || no[0] == '\0') && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

/* NULL: the standard ones. */
static const char *chosen_pager(void)
{
    const char *pager = getenv("BROKERCTL_PAGER");

    return pager != NULL ? pager : getenv("PAGER");
}

static bool is_longer_than_terminal(const char *text, size_t size)
{
    struct winsize window;
    unsigned lines = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_row == 0)
        return false;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    return lines >= window.ws_row; /* the prompt takes a line, too */
}

static bool wants_pager(const struct ctl *ctl, const char *text, size_t size)
{
    const char *pager = chosen_pager();

    return ctl->out_is_tty && !ctl->no_pager &&
           (pager == NULL || (pager[0] != '\0' && strcmp(pager, "cat") != 0)) &&
           is_longer_than_terminal(text, size);
}

/* less is told to end with a short text, to show colours, and to let nobody start other programs.
 */
static _Noreturn void become_pager(int in)
{
    const char *pager = chosen_pager();

    (void)dup2(in, STDIN_FILENO);
    (void)close(in);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setenv("LESS", "FRSXMK", 1);
    (void)setenv("LESSSECURE", "1", 1);
    if (pager != NULL) {
        (void)execl("/bin/sh", "sh", "-c", pager, (char *)NULL);
    } else {
        (void)execlp("less", "less", (char *)NULL);
        (void)execlp("more", "more", (char *)NULL);
    }
    _exit(EXIT_NO_COMMAND);
}

/* What the pager does not want any more is not written. */
static void feed(int fd, const char *text, size_t size)
{
    ssize_t n;

    while (size > 0 && ((n = write(fd, text, size)) > 0 || (n < 0 && errno == EINTR))) {
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

/* False if there is no such program. */
static bool run_pager(const char *text, size_t size)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, pipe_end;
    int status = 0, pipe_fds[2];
    pid_t child;

    if (pipe(pipe_fds) < 0)
        return false;
    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        (void)close(pipe_fds[1]);
        become_pager(pipe_fds[0]);
    }
    (void)close(pipe_fds[0]);
    /* A key that interrupts is the pager's business. */
    (void)sigaction(SIGINT, &ignore, &interrupt);
    (void)sigaction(SIGPIPE, &ignore, &pipe_end);
    if (child > 0)
        feed(pipe_fds[1], text, size);
    (void)close(pipe_fds[1]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)sigaction(SIGINT, &interrupt, NULL);
    (void)sigaction(SIGPIPE, &pipe_end, NULL);
    return child > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_COMMAND);
}

void ctl_page(const struct ctl *ctl, const char *text, size_t size)
{
    if (!wants_pager(ctl, text, size) || !run_pager(text, size))
        (void)fwrite(text, 1, size, stdout);
}
