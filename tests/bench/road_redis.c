/*
 * road_redis.c - see road_redis.h
 */
#include "road_redis.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "probes.h"

#define MOST_KEYS 64

struct redis {
    pid_t pid;
    char path[64];
};

/* Its log says when it listens; the log ends if it does before. */
static bool await_readiness(int log)
{
    FILE *f = fdopen(log, "r");
    bool ready = false;
    char line[512];

    if (f == NULL)
        bench_fail("no memory");
    while (!ready && fgets(line, sizeof(line), f) != NULL)
        ready = strstr(line, "ready to accept connections at") != NULL;
    (void)fclose(f);
    return ready;
}

static void fill(redisContext *c)
{
    uint8_t value[BENCH_VALUE];
    char key[BENCH_KEY];

    for (uint64_t i = 0; i < BENCH_ENTRIES; i++) {
        redisReply *reply;

        bench_key(key, i);
        bench_fill(value, sizeof(value), i);
        reply = redisCommand(c, "SET %b %b", key, sizeof(key), value, sizeof(value));
        bench_expect(reply != NULL && reply->type == REDIS_REPLY_STATUS, "SET");
        freeReplyObject(reply);
    }
}

/* Runs the server in this process. */
static void become(const struct redis *r, int log)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(log, STDOUT_FILENO);
    (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->path, "--save",
        "", "--appendonly", "no", "--loglevel", "notice", "--dir", "/tmp", (char *)NULL);
    _exit(127);
}

struct redis *redis_start(void)
{
    struct redis *r = calloc(1, sizeof(*r));
    redisContext *c;
    int log[2];

    if (r == NULL || pipe2(log, O_CLOEXEC) != 0)
        bench_fail("no memory");
    (void)snprintf(r->path, sizeof(r->path), "/tmp/broker-bench-redis.%d", (int)getpid());
    r->pid = fork();
    if (r->pid == 0)
        become(r, log[1]);
    (void)close(log[1]);
    if (!await_readiness(log[0]))
        bench_fail("redis-server does not run: is it installed?");
    c = redis_connect(r);
    fill(c);
    redisFree(c);
    return r;
}

pid_t redis_pid(const struct redis *r)
{
    return r->pid;
}

void redis_stop(struct redis *r)
{
    (void)kill(r->pid, SIGKILL);
    (void)waitpid(r->pid, NULL, 0);
    (void)unlink(r->path);
    free(r);
}

void *redis_connect(struct redis *r)
{
    redisContext *c = redisConnectUnix(r->path);

    if (c == NULL || c->err != 0)
        bench_fail("redis-server takes no connection");
    return c;
}

int redis_fd(void *peer)
{
    return ((redisContext *)peer)->fd;
}

/* Written at once, as the others do. */
static void flush(redisContext *c)
{
    int done = 0;

    while (done == 0)
        if (redisBufferWrite(c, &done) != REDIS_OK)
            bench_fail("Redis: %s", c->errstr);
}

void redis_ask(void *peer, uint64_t first, unsigned n)
{
    char keys[MOST_KEYS][BENCH_KEY];
    const char *words[MOST_KEYS + 1] = {n == 1 ? "GET" : "MGET"};
    size_t sizes[MOST_KEYS + 1] = {strlen(words[0])};

    bench_expect(n <= MOST_KEYS, "number of keys");
    for (unsigned i = 0; i < n; i++) {
        bench_key(keys[i], first + i);
        words[i + 1] = keys[i];
        sizes[i + 1] = BENCH_KEY;
    }
    if (redisAppendCommandArgv(peer, (int)n + 1, words, sizes) != REDIS_OK)
        bench_fail("Redis: %s", ((redisContext *)peer)->errstr);
    flush(peer);
}

void redis_take(void *peer, unsigned n)
{
    redisReply *reply = NULL;

    if (redisGetReply(peer, (void **)&reply) != REDIS_OK)
        bench_fail("Redis: %s", ((redisContext *)peer)->errstr);
    if (n == 1)
        bench_expect(reply->type == REDIS_REPLY_STRING && reply->len == BENCH_VALUE, "GET");
    else
        bench_expect(reply->type == REDIS_REPLY_ARRAY && reply->elements == n &&
                         reply->element[n - 1]->len == BENCH_VALUE,
            "MGET");
    freeReplyObject(reply);
}
