/*
 * brokerctl: objects of a broker from the command line.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "fail.h"
#include "options.h"

int ctl_connect(struct ctl *ctl)
{
    int r = ctl->broker != NULL ? 0 : broker_open(ctl->address, &ctl->broker);

    return r < 0 ? ctl_fail_last(r) : 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    if (argc == 0)
        return ctl_cmd_status(ctl, argc, argv);
    if (strcmp(argv[0], "--" CTL_COMPLETE) == 0)
        return ctl_complete(ctl, argc - 1, argv + 1);
    return ctl_run(ctl, argc, argv);
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.out_is_tty = isatty(STDOUT_FILENO) == 1};
    char **rest;
    int code;

    /* Letters of the user's language in tables, but the same numbers everywhere. */
    (void)setlocale(LC_CTYPE, "");
    argc = ctl_parse_global(&ctl, argc, argv, &rest);
    code = run(&ctl, argc, rest);
    broker_close(ctl.broker);
    /* A full disk shows at the latest here. */
    if (fflush(stdout) != 0 && code == 0) {
        (void)fprintf(stderr, CTL_PROGRAM ": cannot write the output: %s\n", strerror(errno));
        code = CTL_EXIT_FAILURE;
    }
    return code;
}
