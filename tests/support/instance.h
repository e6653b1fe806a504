/*
 * instance.h - a brokerd for one test
 *
 * Runs the brokerd of the build ($BROKERD, which CTest sets) under a name and in a folder of its
 * own, as a child of the test. It ends with the test, however that ends. What fails in here ends
 * the test program with a message. The ZeroMQ endpoint runs only if the configuration has [zmq].
 *
 *     struct instance *i = instance_start(NULL);
 *     r = broker_open(instance_address(i), &b);
 *     ...
 *     instance_stop(i);
 */
#ifndef TESTS_INSTANCE_H
#define TESTS_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct instance;

/* Starts an instance with the configuration file @config (NULL: none), and waits until it is ready.
 */
struct instance *instance_start(const char *config);

/* The same with sockets that are there also while the daemon is not, as systemd keeps them: to
 * attach, and for ZeroMQ. */
struct instance *instance_start_by_socket(const char *config);

/* That for ZeroMQ: readable while somebody has come whom nobody has served. */
int instance_zmq_socket(const struct instance *i);

/* Waits until somebody has come to the attach socket whom no daemon has let in. */
void instance_await_visitor(const struct instance *i);

/* For broker_open(). Lives as long as the instance. */
const char *instance_address(const struct instance *i);

/* The folder with the attach socket, and the file behind the default arena. */
const char *instance_dir(const struct instance *i);
const char *instance_arena_path(const struct instance *i);

/* Of the ZeroMQ endpoint, if the configuration has one: where it listens by ipc, and its process; 0
 * while there is none. */
const char *instance_zmq_address(const struct instance *i);
pid_t instance_zmq_pid(const struct instance *i);

/* Of the daemon; 0 while none runs. */
pid_t instance_pid(const struct instance *i);

/* Kills the daemon with SIGKILL, and waits until it is gone. */
void instance_kill(struct instance *i);

/* Stops the daemon with SIGTERM, and waits for it. Gives its exit status; -1 if a signal ended it.
 */
int instance_end(struct instance *i);

/* The same for one that was told already, or ends by itself. */
int instance_await_end(struct instance *i);

/* Starts the daemon again, in the same place and with the same configuration; ends it before if it
 * runs. */
void instance_restart(struct instance *i);

/* Writes another configuration file and asks the daemon to read it; what it said before is
 * forgotten. */
void instance_ask_reload(struct instance *i, const char *config);

/* Writes another configuration file and has the daemon read it; returns when it has. */
void instance_reload(struct instance *i, const char *config);

/*
 * Waits until the daemon tells the service manager something with @text in it, and gives that in
 * @out_message (@size bytes). False if, before, it says something with @unless in it (NULL: there
 * is no such thing).
 */
bool instance_hear(
    struct instance *i, const char *text, const char *unless, char *out_message, size_t size);

/*
 * From here on the daemon's descriptors are kept, as a service manager does: instance_restart()
 * gives them to the next daemon if one runs or was killed, and drops them if it was ended before.
 */
void instance_keep_descriptors(struct instance *i);

/* How many are kept by now. */
unsigned instance_n_kept(struct instance *i);

/* Forgets what the daemon has said so far. */
void instance_drain(struct instance *i);

/* Ends the daemon if it runs, and removes everything, arenas included. NULL is allowed. */
void instance_stop(struct instance *i);

/*
 * Runs brokerd with these arguments (the last is NULL) to its end. Gives its exit status, -1 if a
 * signal ended it, and in @out_text (@size bytes) what it printed.
 */
int instance_run(const char *const arguments[], char *out_text, size_t size);

#endif
