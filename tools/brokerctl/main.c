/*
 * brokerctl: objects of a broker from the command line.
 */
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include "ctl.h"

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
    struct ctl ctl = {0};

    occupy_standard_files();
    /* Letters of the user's language in tables, but the same numbers everywhere. */
    (void)setlocale(LC_CTYPE, "");
    return ctl_main(&ctl, argc, argv);
}
