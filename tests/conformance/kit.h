/*
 * kit.h - what the cases of the conformance suite share
 *
 * The suite is written against the public interface alone, so that every engine can be asked to
 * pass it: the broker is the one at $BROKER_TEST_ADDRESS, or an arena of its own for each case,
 * reached as roads.h says.
 * Objects get names that no other case and no other run uses. Nothing here hopes that a time is
 * long enough: who waits for another process waits for a pipe, for the process's end, or looks,
 * again and again, at what the broker says of its sleepers.
 *
 *     TestSuite(dict, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);
 */
#ifndef TESTS_KIT_H
#define TESTS_KIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "conformance/words.h"

#define KIT_TIMEOUT 60

/* For what must come about; long enough for a machine that has other things to do. */
#define KIT_SOON (20 * BROKER_SECOND)

/* ---- a case's broker ---- */

extern broker *kit_broker;       /* open from kit_open() to kit_close() */
extern broker_buffer kit_buffer; /* for outputs that are looked at at once */

void kit_open(void);
void kit_close(void);

/* With which another process opens the same. */
const char *kit_address(void);

/* A name of its own for the object that the case calls @base; the object is destroyed in the end.
 */
const char *kit_name(const char *base);

/* Opened under kit_name(@base), with these options. */
broker_dict *kit_dict(const char *base, const broker_dict_options *options);
broker_queue *kit_queue(const char *base, const broker_queue_options *options);
broker_list *kit_list(const char *base, const broker_list_options *options);
broker_lock *kit_lock(const char *base, const broker_lock_options *options);
broker_semaphore *kit_semaphore(const char *base, const broker_semaphore_options *options);
broker_event *kit_event(const char *base);
broker_barrier *kit_barrier(const char *base, const broker_barrier_options *options);
broker_rlock *kit_rlock(const char *base);
broker_condition *kit_condition(const char *base, const broker_condition_options *options);
broker_array *kit_array(const char *base, const broker_array_options *options);
broker_pipe *kit_pipe(const char *base, const broker_pipe_options *options);
broker_namespace *kit_namespace(const char *base, const broker_namespace_options *options);
broker_number *kit_number(const char *base, const broker_number_options *options);

/* ---- what came out ---- */

/* What @expression gave must be @code. */
#define GIVES(expression, code) kit_gives((expression), (code), #expression, __FILE__, __LINE__)
#define OK(expression) GIVES(expression, 0)
void kit_gives(int r, int code, const char *what, const char *file, int line);

/* The text of @value must be @text. */
#define SAYS(value, text) kit_says((value), (text), #value, __FILE__, __LINE__)
void kit_says(broker_value v, const char *text, const char *what, const char *file, int line);

/* The dict as a map; the name of the failure if it can't be had. */
const char *kit_dict_text(broker_dict *d);

/* The list as an array; the name of the failure if it can't be had. */
const char *kit_list_text(broker_list *l);

/* The text of a key's value, or the name of the failure. */
const char *kit_get(broker_dict *d, broker_value key);

/* Takes all that there is now: as an array, or the name of the failure. */
const char *kit_drain(broker_queue *q);

/* A number of an object's statistic; the case fails if there is none. */
uint64_t kit_stat(const char *name, const char *field);

/* The element of a packed map under a string key, or of a packed array; the case fails if there is
 * none. */
broker_value kit_field(broker_value map, const char *key);
broker_value kit_element(broker_value array, uint32_t i);
uint32_t kit_count(broker_value container);

/* ---- others ---- */

/* In processes and threads of a case, where a failed assertion must end the whole. */
#define REQUIRE(condition) kit_require((condition), #condition, __FILE__, __LINE__)
void kit_require(bool condition, const char *what, const char *file, int line);

/* One end of the line between a case and a process that it started. */
struct line {
    pid_t pid; /* of the child; 0 in the child */
    int to, from;
};

/* Runs @run in a new process, which then exits with 0. It gets SIGKILL when the case ends before
 * it. */
struct line kit_fork(void (*run)(struct line *parent, void *arg), void *arg);

/* Lets the other side go on from kit_hear(), with a number. */
void kit_tell(struct line *line, uint64_t number);
uint64_t kit_hear(struct line *line);

/* Kills the child; it is gone when this returns. */
void kit_kill(struct line *line);

/* The same, and nothing that it has asked for is done after this: by ZeroMQ that can be under way.
 */
void kit_bury(struct line *line);

/* Waits for the child's end, which must be a good one. */
void kit_end(struct line *line);

/* Waits until the object has (at least) this many sleepers. */
void kit_await_waiters(const char *name, uint64_t n);

/* Waits until the statistic's field is @value. */
void kit_await(const char *name, const char *field, uint64_t value);

/* A call in a thread of its own. */
struct call {
    pthread_t thread;
    int (*run)(struct call *c);
    void *object;
    int64_t number;
    int result;
    char text[64]; /* of a value that came out */
};
void kit_call(struct call *c, int (*run)(struct call *c), void *object, int64_t number);
int kit_return(struct call *c);

/* How often what is repeated @n times in shared memory is to be repeated here: a tenth of it where
 * each operation is a round trip, but in campaigns. */
int64_t kit_often(int64_t n);

/* CLOCK_MONOTONIC, in ns. */
int64_t kit_now(void);

#endif
