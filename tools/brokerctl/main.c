/*
 * brokerctl: objects of a broker from the command line.
 */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "options.h"
#include "print.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
    if (argc == 0)
        return ctl_cmd_status(ctl, argc, argv);
    if (strcmp(argv[0], "--" CTL_COMPLETE) == 0)
        return ctl_complete(ctl, argc - 1, argv + 1);
    return ctl_run(ctl, argc, argv);
}

/*
 * A standard descriptor that is closed must not become the connection to the daemon. Opened the
 * wrong way round, its use still fails as it would have.
 */
static void occupy_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.out_is_tty = isatty(STDOUT_FILENO) == 1};
    char **rest;
    int code, written;

    occupy_standard_files();
    /* Letters of the user's language in tables, but the same numbers everywhere. */
    (void)setlocale(LC_CTYPE, "");
    argc = ctl_parse_global(&ctl, argc, argv, &rest);
    code = run(&ctl, argc, rest);
    ctl_disconnect(&ctl);
    /* A full disk shows at the latest here. */
    written = ctl_flush(&ctl);
    return code != 0 ? code : written;
}
