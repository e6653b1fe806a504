/*
 * worker.h - carrying out requests, one after the other, on a stack that may be left in the middle
 *
 * A worker takes the next thing to do, and does it, as long as there is some. When an operation has
 * to wait, its worker is parked with it and another one takes over. So what need not wait costs no
 * change of stacks, and requests are begun in the order in which they came.
 */
#ifndef ZMQD_WORKER_H
#define ZMQD_WORKER_H

#include "core/stand_in.h"
#include "park.h"
#include "server.h"

/* Something to do other than a request. Runs once. */
struct zmqd_job {
    struct zmqd_job *next;
    void (*run)(struct zmqd *z, struct zmqd_job *job);
};

/* To be done at the next chance, before further requests. */
void zmqd_job_add(struct zmqd *z, struct zmqd_job *job);

/* Does the jobs, and takes @budget messages at most. */
void zmqd_work(struct zmqd *z, uint32_t budget);

/* Goes on with one that was parked. */
void zmqd_worker_resume(struct zmqd_parked *p);

/* True when one more waiting operation is too many. */
bool zmqd_is_crowded(const struct zmqd *z);

/*
 * On a worker: what is done from here to the end is done in the name of the client's @thread.
 * Returns what may be given to zmqd_order(), until the end.
 */
struct zmqd_worker *zmqd_operation_begin(uint32_t thread);
void zmqd_operation_end(struct zmqd_worker *w);

/* For the results of the operation, until its end. */
broker_buffer *zmqd_operation_results(struct zmqd_worker *w);

/* Tells an operation, which may be parked, what to do with its wait. */
void zmqd_order(struct zmqd *z, struct zmqd_worker *w, enum bri_wait_order order);

/* Frees the workers; none is parked. */
void zmqd_workers_free(struct zmqd *z);

#endif
