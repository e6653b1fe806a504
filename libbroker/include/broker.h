/**
 * @file
 * The broker: dicts, queues and locks that processes of one machine share by name.
 *
 * A program opens a broker, opens objects in it by name, and works on them in shared memory,
 * without asking a server:
 *
 *     broker *b;
 *     broker_dict *stock;
 *     int64_t left;
 *
 *     if (broker_open(NULL, &b) < 0 || broker_dict_open(b, "stock", NULL, &stock) < 0) {
 *         fprintf(stderr, "%s\n", broker_last_error());
 *         return 1;
 *     }
 *     r = broker_dict_add(stock, broker_str("tickets"), -1, &left);
 *
 * Every operation happens wholly or not at all, also when its process is killed in the middle of
 * it. Functions return 0, a positive notice (BROKER_OWNER_DIED), or one negative code of
 * broker/errors.h; outputs are written on success only.
 *
 * Caveats:
 * - fork: the child is a session of its own. It attaches by itself at its first operation; what the
 * parent holds stays the parent's. Nothing may be called between vfork and exec.
 * - kill -9: locks, leases and sleepers of the dead come back: at once while the daemon runs,
 * within a second otherwise.
 * - The daemon may be stopped, killed or upgraded at any time; programs that are attached do not
 * notice.
 * - exec ends the session when the daemon sees that the process no longer maps the memory; so does
 * exit without broker_close(). Without a daemon, what a program held that left by exec stays with
 * its process.
 * - Signal handlers and other threads' cancellation: an operation called from a handler that
 * interrupted another one returns BROKER_BUSY; leave no operation by longjmp.
 * - A process that is stopped (SIGSTOP, a debugger) in the middle of an operation holds up those
 * who need the same object: they get BROKER_TIMEDOUT.
 * - Memory is reserved before it is used: a full /dev/shm is BROKER_NOMEM, never SIGBUS.
 */
#ifndef BROKER_H
#define BROKER_H

#include <broker/errors.h>
#include <broker/objects.h>
#include <broker/types.h>
#include <broker/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Attach to a broker.
 *
 * Addresses: `unix:` or NULL is $BROKER_ADDRESS, else this user's instance, else the system's;
 * `unix:PATH` the instance whose attach socket is PATH; `private:` starts an instance for this
 * program and its children, which ends with its last handle. `ipc://PATH` goes to the instance
 * whose ZeroMQ socket is PATH (without PATH the user's, else the system's), and
 * `tcp://HOST:PORT?server=FILE&key=FILE` to one of another machine, by the files of its public key
 * and of this client's keys. All but `private:` take `arena=NAME` (default: `default`),
 * `access=ro` for reading only and `wait=SECONDS` (1 to 99999), behind a `?` and with `&` between
 * them.
 *
 * Where no socket is, and where nobody keeps it, the answer is BROKER_NODAEMON at once. A broker
 * that is there and does not answer is waited for, up to `wait` seconds (60, by ZeroMQ 5): it is
 * being started, restarted or upgraded, and systemd keeps the socket meanwhile, or it hangs. So
 * does the first operation of a child after fork, which attaches, whatever its own timeout.
 *
 * By `ipc://` and `tcp://` all operations are there and mean the same; the memory itself is not, so
 * that broker_array_data(), broker_fd(), and what writes and reads items in place answer
 * BROKER_UNSUPPORTED. A connection that is lost is made again by itself, and the session goes on;
 * if that takes longer than the session lives without a word (10 s), or the broker was restarted,
 * everything gives BROKER_LOST from then on, and a change that was under way BROKER_UNKNOWN.
 * In shared memory BROKER_LOST says that the broker was upgraded to another layout of memory: the
 * change did not happen. Close the broker and open it again; if that gives BROKER_VERSION, the
 * program needs the new library.
 *
 * @param[in]  address     one of the above, or NULL
 * @param[out] out_broker  the handle; give it back with broker_close()
 * @retval 0                 attached
 * @retval BROKER_INVALID    @p out_broker is NULL
 * @retval BROKER_ADDRESS    the address is malformed, or a key file of it is
 * @retval BROKER_NODAEMON   no daemon answers there in time, or none could be started
 * @retval BROKER_ACCESS     the arena's rules do not let this user in
 * @retval BROKER_NOTFOUND   there is no such arena
 * @retval BROKER_VERSION    the daemon or its memory is of a version that this library does not
 * understand
 * @retval BROKER_LIMIT      too many sessions or descriptors
 * @retval BROKER_NOMEM      no memory
 * @retval BROKER_PROTO      what answers there is no broker
 * @retval BROKER_SYSTEM     a system call failed, or libzmq is needed and not installed
 *
 * Blocks: up to `wait` seconds, for the daemon's answer.  Threads: any.
 * Crash: killed inside, the session ends as with any death.  Owns: the caller owns *out_broker.
 */
BROKER_API int broker_open(const char *address, broker **out_broker);

/**
 * End the session in good order: what it holds is given back, its memory is unmapped.
 *
 * Handles to objects that are still open become invalid with it.
 * @param[in] b  the broker, or NULL
 *
 * Blocks: for guards that others hold, some milliseconds each.  Threads: no other thread may use @p
 * b or its handles. Crash: killed inside, the daemon completes it.  Owns: takes @p b.
 */
BROKER_API void broker_close(broker *b);

/**
 * The address by which other programs of this user can open the same instance and arena.
 *
 * @param[in] b  the broker, not NULL
 * @return a string that lives as long as @p b
 *
 * Blocks: no.  Threads: any.  Crash: nothing.  Owns: @p b owns the string.
 */
BROKER_API const char *broker_address(const broker *b);

/**
 * A reference to an object, as a value that can be stored in any object of the same arena.
 *
 * A stored reference keeps the object: one without a name lives until no session has it open and
 * no value that is stored in an object that lives refers to it. Objects may refer to each other and
 * to themselves; circles that nobody can reach any more are found. A value that has references in
 * it can be at most 64 KiB long. To use an object that a value refers to, open it:
 * broker_dict_open_ref() and the like. A reference that is only held in the program's memory keeps
 * nothing: storing or opening it may give BROKER_GONE.
 *
 * @param[in] object  a handle to an object, as its open gives it
 * @return a value of type BROKER_REF; one that every operation refuses with BROKER_INVALID if @p
 * object is no open handle
 *
 * Blocks: no.  Threads: any.  Crash: nothing was changed.  Owns: nothing.
 */
BROKER_API broker_value broker_ref(const void *object);

/**
 * Wait until one of several objects is ready: until what its type waits for need not be waited for.
 *
 * A queue is ready when it has an item or was shut down, an end of a pipe when there is a message
 * for it or the end of file, a lock or an rlock when it is free, a semaphore when it has a permit,
 * an event when it is set; so is an object that was destroyed. An rlock is not ready for the thread
 * that has it, which need not wait for it. An event that is cleared again at once may be missed,
 * which broker_event_wait() never does. Nothing is taken: try the operation with a timeout of 0,
 * another may have been faster. If several are ready, the first in the list is told.
 * @param[in]  objects     handles to objects, as their opens give them; of several types and
 * brokers
 * @param[in]  n           how many, 1 to 127
 * @param[in]  timeout_ns  how long to wait, in nanoseconds; 0 does not wait, BROKER_FOREVER waits
 * without end
 * @param[out] out_index   which is ready, 0 to @p n - 1
 *
 * @retval 0                    it is
 * @retval BROKER_TIMEDOUT      none was in all that time; at once if @p timeout_ns is 0
 * @retval BROKER_INVALID       a handle is not open, a pointer is NULL, or a number is out of range
 * @retval BROKER_UNSUPPORTED   an object is of a type that is never waited for; or one is behind
 * ipc:// or tcp:// and another is not of the same broker
 * @retval BROKER_ACCESS        this client may only read
 *
 * Blocks: as long as @p timeout_ns says.  Threads: any.
 * Crash: nothing was changed.  Owns: nothing.
 */
BROKER_API int broker_wait_any(
    void *const objects[], size_t n, int64_t timeout_ns, size_t *out_index);

/**
 * A descriptor that is readable when an object is ready, for poll, epoll and event loops.
 *
 * Ready is what broker_wait_any() says. The first call starts a thread that sleeps for all watched
 * objects of the broker. When the descriptor is readable: call broker_fd_clear(), then try the
 * operation with a timeout of 0. While the object stays ready, the descriptor becomes readable
 * again after each broker_fd_clear(); do not read it otherwise. It is closed with the object's last
 * handle of this process. At most 127 objects of a broker can be watched.
 * @param[in]  object  handle to an object, as its open gives it
 * @param[out] out_fd  the descriptor, always the same for one object
 *
 * @retval 0                    it can be polled
 * @retval BROKER_INVALID       the handle is not open, or a pointer is NULL
 * @retval BROKER_UNSUPPORTED   the object is of a type that is never waited for, or behind ipc://
 * or tcp://
 * @retval BROKER_ACCESS        this client may only read
 * @retval BROKER_LIMIT         too many watched objects or descriptors
 * @retval BROKER_NOMEM         no memory
 * @retval BROKER_SYSTEM        the system has no descriptor or thread left
 *
 * Blocks: no.  Threads: any. A child after fork has to ask for a descriptor of its own.
 * Crash: nothing was changed.  Owns: the library owns the descriptor.
 */
BROKER_API int broker_fd(void *object, int *out_fd);

/**
 * Make an object's descriptor unreadable until the object is found ready again.
 *
 * @param[in] object  handle to an object that broker_fd() was called for
 *
 * @retval 0                    from now on it becomes readable when the object is ready
 * @retval BROKER_INVALID       the handle is not open, or there is no descriptor in this process
 *
 * Blocks: no.  Threads: any.  Crash: nothing was changed.  Owns: nothing.
 */
BROKER_API int broker_fd_clear(void *object);

/**
 * What went wrong last in this thread, as a sentence that names the operation and the object.
 *
 * @return a string that lives until the next failure in this thread; empty if there was none
 *
 * Blocks: no.  Threads: each has its own.  Crash: nothing.  Owns: the library owns the string.
 */
BROKER_API const char *broker_last_error(void);

/**
 * The version of this library, such as "0.1.0".
 *
 * Blocks: no.  Threads: any.  Crash: nothing.  Owns: a constant.
 */
BROKER_API const char *broker_version(void);

/** What broker_condition_wait_for() waits for; called with the condition's lock held. */
typedef bool broker_predicate(void *arg);

/**
 * Wait on a condition until @p predicate says true: now, or after one of the notifications.
 *
 * As CPython 3.11's threading.Condition.wait_for, with one deadline for all its waits. The caller
 * holds the lock, and holds it again when this returns. An owner that dies meanwhile ends it,
 * whatever the predicate would have said of what that owner left.
 *
 * @param[in] condition   an open handle, not NULL
 * @param[in] predicate   looks at what the lock protects, not NULL; may use the broker
 * @param[in] arg         for @p predicate
 * @param[in] timeout_ns  how long to wait, in nanoseconds; 0 does not wait, BROKER_FOREVER waits
 *                        without end
 * @retval 0                  the predicate said true
 * @retval BROKER_TIMEDOUT    it said false to the end
 * @retval BROKER_OWNER_DIED  an owner of the lock died meanwhile: check what it protects
 * @retval BROKER_INVALID     a handle is not open, @p predicate is NULL, or the timeout is negative
 *
 * and all that broker_condition_wait() gives.
 *
 * Blocks: up to the given time, and for the lock.  Threads: any.  Crash: as
 * broker_condition_wait().  Owns: nothing changes hands.
 */
BROKER_API int broker_condition_wait_for(
    broker_condition *condition, broker_predicate *predicate, void *arg, int64_t timeout_ns);

/**
 * Reserve memory for a large item, to be written where it will lie; then commit or cancel it.
 *
 * Only this session knows of the memory. It is aligned to 64 bytes, not zeroed, counted in the
 * queue's quota, and the caller's to write until broker_queue_commit() has succeeded,
 * broker_queue_cancel() was called, or the queue's last handle of this process is closed. That is
 * so even if the queue is destroyed meanwhile, after which committing gives BROKER_GONE. It takes
 * whole pages: for items of some kilobytes or more.
 * @param[in]  queue       an open handle, not NULL
 * @param[in]  size        how many bytes to reserve
 * @param[out] out_memory  where they are
 *
 * @retval 0                    the memory is the caller's
 * @retval BROKER_CLOSED        the queue was shut down
 * @retval BROKER_TOOBIG        it would be larger than max_bytes, or than a queue can take
 * @retval BROKER_NOMEM         no memory left in the arena
 * @retval BROKER_QUOTA         the queue's quota is used up
 * @retval BROKER_UNSUPPORTED   the queue is not in shared memory
 *
 * and what every operation on an object gives.
 *
 * Blocks: only while another client is in the middle of a change of the same queue.  Threads: any
 * number at a time. Crash: the memory is given back.  Owns: the caller ends it.
 */
BROKER_API int broker_queue_reserve(broker_queue *queue, uint64_t size, void **out_memory);

/**
 * Put what was written into reserved memory as an item, a byte string, without copying it.
 *
 * As broker_queue_put() otherwise. If it fails, the memory still is the caller's, to commit again
 * or to cancel.
 * @param[in] queue       the handle that it was reserved with
 * @param[in] memory      what broker_queue_reserve() gave
 * @param[in] size        how many bytes from its start are the item, at most what was reserved
 * @param[in] timeout_ns  how long to wait for room, in nanoseconds; 0 does not wait, BROKER_FOREVER
 *                        waits without end
 *
 * @retval 0                    the item is in the queue, and its memory no longer the caller's
 * @retval BROKER_INVALID       the memory is not reserved by this session, or smaller than
 *                              @p size, or the timeout is negative
 * @retval BROKER_UNSUPPORTED   the queue is not in shared memory
 *
 * and all that broker_queue_put() gives.
 *
 * Blocks: up to the given time.  Threads: any; no other may write to the memory any more.
 * Crash: killed inside, the item is in the queue, or its memory is given back.
 * Owns: takes @p memory on success.
 */
BROKER_API int broker_queue_commit(
    broker_queue *queue, void *memory, uint64_t size, int64_t timeout_ns);

/**
 * Give reserved memory back without putting it.
 *
 * @param[in] queue   the handle that it was reserved with
 * @param[in] memory  what broker_queue_reserve() gave; NULL does nothing
 *
 * @retval 0                    it is given back
 * @retval BROKER_INVALID       the memory is not reserved by this session
 * @retval BROKER_GONE          the queue was destroyed: it is given back with the handle
 * @retval BROKER_UNSUPPORTED   the queue is not in shared memory
 *
 * and what every operation on an object gives.
 *
 * Blocks: only while another client is in the middle of a change of the same queue.  Threads: any.
 * Crash: the memory is given back.  Owns: takes @p memory.
 */
BROKER_API int broker_queue_cancel(broker_queue *queue, void *memory);

/**
 * Take the first item as broker_queue_lease() does, and read it where it lies, without a copy.
 *
 * What @p out_item points to is for reading, and valid until the lease is over: until
 * broker_queue_done() or broker_queue_return(), until the time to hold it runs out, or until the
 * queue's last handle of this process is closed. If the queue is destroyed meanwhile, it stays
 * valid until that handle is closed. A byte string that broker_queue_commit() put is aligned to 64
 * bytes. An item of less than some kilobytes that was put by copying is copied into @p buffer.
 * @param[in]     queue           an open handle, not NULL
 * @param[in]     timeout_ns      how long to wait for an item, in nanoseconds; 0 does not wait,
 *                                BROKER_FOREVER waits without end
 * @param[in]     hold_ns         how long until the lease ends by itself; BROKER_FOREVER is without
 *                                end
 * @param[in,out] buffer          memory for an item that is copied, not NULL
 * @param[out]    out_item        the item
 * @param[out]    out_token       names the lease
 * @param[out]    out_deliveries  how often the item was given out, this time included; may be NULL
 *
 * @retval 0                    the item is yours until then
 * @retval BROKER_UNSUPPORTED   the queue is not in shared memory
 *
 * and all that broker_queue_lease() gives.
 *
 * Blocks: up to the given time.  Threads: any number at a time, each with a buffer of its own.
 * Crash: killed inside, the item is in the queue or goes back to its place.
 * Owns: the queue owns the memory.
 */
BROKER_API int broker_queue_lease_in_place(broker_queue *queue, int64_t timeout_ns, int64_t hold_ns,
    broker_buffer *buffer, broker_value *out_item, uint64_t *out_token, uint64_t *out_deliveries);

/**
 * Free a buffer's memory; it is empty and can be used again.
 *
 * @param[in,out] buffer  the buffer, or NULL
 *
 * Blocks: no.  Threads: one at a time per buffer.  Crash: nothing.  Owns: frees what the buffer
 * owned.
 */
BROKER_API void broker_buffer_free(broker_buffer *buffer);

/**
 * The elements of an array themselves, for numeric work.
 *
 * The memory holds the elements as C does (`double[]` for typecode "d", and so on) and is aligned
 * to a page. It stays at this place until the last handle of the array in this process is closed,
 * or the process ends, even if somebody destroys the array. A forked child asks anew.
 *
 * What is stored through the pointer is there at once, for everybody, and knows nothing of
 * operations: threads and processes that work on the same elements must agree among themselves, for
 * instance by a lock. A process that is killed in the middle of set_slice or write takes back what
 * was stored meanwhile in the same aligned eight bytes as an element of its own.
 *
 * When the broker is upgraded to another layout of memory, operations answer BROKER_LOST; stores
 * cannot. The old broker waits five seconds for programs with pointers to close it, which then have
 * lost nothing; if one does not, the upgrade does not take place. So look now and then at what an
 * operation answers.
 *
 * @param[in]  array       an open handle, not NULL
 * @param[out] out_data    the first element
 * @param[out] out_length  how many there are
 * @retval 0                  the outputs are set
 * @retval BROKER_INVALID     the handle is not open, or an output is NULL
 * @retval BROKER_GONE        the array was destroyed
 * @retval BROKER_ACCESS      this client may only read: nothing would keep the memory in its place
 * @retval BROKER_NOMEM       no memory left in the arena for the elements
 * @retval BROKER_QUOTA       the array's quota is too small for the elements
 * @retval BROKER_UNSUPPORTED the way this client is connected does not offer it
 * @retval BROKER_TIMEDOUT    a process that is stopped in the middle of a change is in the way
 * @retval BROKER_CORRUPT     the array's memory is damaged; it is quarantined
 * @retval BROKER_BUSY        called from inside another operation
 *
 * Blocks: only while another client is in the middle of a change of the array.  Threads: any.
 * Crash: nothing was changed.  Owns: the memory is the array's.
 */
BROKER_API int broker_array_data(broker_array *array, void **out_data, uint64_t *out_length);

#ifdef __cplusplus
}
#endif
#endif
