/*
 * talk.c - a pipe has two ends, and an end of the file
 *
 * What is sent at one end is received at the other. When the last process that held an end has
 * closed it, ended or died, the other end gets what was sent before, and then CLOSED: the end of
 * the file. Unlike with the system's pipes, a forked child holds nothing that its parent holds, so
 * no forgotten descriptor keeps an end open.
 *
 * Expect: an answer to each question and the end of the file after the last one; then two writers,
 * of which the first to go is not yet the end, and the second is.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUESTIONS 3
#define PARENT 0 /* the ends; of a one-way pipe end 1 sends */
#define CHILD 1

static broker *b;
static broker_pipe *line, *news;
static broker_event *leave;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "talk: %s\n", broker_last_error());
    exit(1);
}

static void answer(void)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value question;

    for (int i = 0; i < QUESTIONS; i++) {
        must(broker_pipe_recv(line, CHILD, BROKER_FOREVER, &buffer, &question));
        must(broker_pipe_send(line, CHILD, broker_int(question.i * question.i), BROKER_FOREVER));
    }
    broker_buffer_free(&buffer);
}

static void write_and_go(void)
{
    must(broker_pipe_send(news, CHILD, broker_str("news"), BROKER_FOREVER));
}

static void write_and_stay(void)
{
    write_and_go();
    must(broker_event_wait(leave, BROKER_FOREVER));
}

static pid_t start(void (*work)(void))
{
    pid_t pid;

    (void)fflush(stdout); /* or a child that fails would print it once more */
    pid = fork();
    if (pid < 0) {
        perror("talk: fork");
        exit(1);
    }
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for a parent that failed */
        work();
        broker_close(b); /* its ends, too */
        _exit(0);
    }
    return pid;
}

static void finish(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    pid_t child, goes, stays;
    broker_value v;
    int r;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_pipe_open(b, "line", NULL, &line));
    must(broker_pipe_open(b, "news", &(broker_pipe_options){.one_way = true}, &news));
    must(broker_event_open(b, "leave", NULL, &leave));

    child = start(answer);
    for (int64_t i = 1; i <= QUESTIONS; i++)
        must(broker_pipe_send(line, PARENT, broker_int(i), BROKER_FOREVER));
    while ((r = broker_pipe_recv(line, PARENT, BROKER_FOREVER, &buffer, &v)) == 0)
        printf("the child answers %lld\n", (long long)v.i);
    printf("then: %s\n", broker_error_name(r));
    finish(child);

    /* A writer holds the end from its first message on: the one that stays must be there first. */
    stays = start(write_and_stay);
    must(broker_pipe_recv(news, PARENT, BROKER_FOREVER, &buffer, &v));
    goes = start(write_and_go);
    must(broker_pipe_recv(news, PARENT, BROKER_FOREVER, &buffer, &v));
    finish(goes);
    r = broker_pipe_recv(news, PARENT, 0, &buffer, &v);
    printf("one of two writers is gone: %s\n", broker_error_name(r));
    must(broker_event_set(leave));
    r = broker_pipe_recv(news, PARENT, BROKER_FOREVER, &buffer, &v);
    printf("both are gone: %s\n", broker_error_name(r));
    finish(stays);

    broker_buffer_free(&buffer);
    broker_close(b);
    return 0;
}
