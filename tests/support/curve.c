/*
 * curve.c - see curve.h
 */
#include "support/curve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "curve: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* It prints the public key. */
static void run_keygen(const char *path, int out)
{
    const char *program = getenv("BROKERCTL");

    (void)dup2(out, STDOUT_FILENO);
    (void)execlp(program != NULL ? program : "brokerctl", "brokerctl", "keygen", path, NULL);
    (void)fprintf(stderr, "curve: cannot run brokerctl; is BROKERCTL set to its path?\n");
    _exit(99);
}

void curve_make_key(const char *path, char out_public[CURVE_KEY_TEXT])
{
    int line[2], status = 0;
    ssize_t n;
    pid_t pid;

    if (pipe2(line, O_CLOEXEC) != 0)
        die("cannot make a pipe");
    pid = fork();
    if (pid < 0)
        die("cannot fork");
    if (pid == 0)
        run_keygen(path, line[1]);
    (void)close(line[1]);
    n = read(line[0], out_public, CURVE_KEY_TEXT - 1);
    (void)close(line[0]);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            die("brokerctl is no child any more");
    if (status != 0 || n != CURVE_KEY_TEXT - 1)
        die("brokerctl makes no key");
    out_public[CURVE_KEY_TEXT - 1] = '\0';
}

/* It is kept bound: the kernel then gives it to nobody, and who asks for it by number, and allows
 * to share it as libzmq does, has it. */
unsigned curve_take_port(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(sock, (const struct sockaddr *)&address, size) != 0 ||
        getsockname(sock, (struct sockaddr *)&address, &size) != 0)
        die("there is no port");
    return ntohs(address.sin_port);
}
