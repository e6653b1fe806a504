/*
 * recorder.h - an engine that notes what it was called with and answers as it is told
 *
 * It stands behind one handle of each type and one broker, which look open. It carries out those
 * operations that show every kind of argument and of result.
 */
#ifndef BRI_TEST_RECORDER_H
#define BRI_TEST_RECORDER_H

#include <broker.h>

#include "client/handle.h"
#include "engine_ops.h"

/* What the engine was called with last, and what it is to answer. */
struct recorder {
    unsigned n_calls;
    broker_value values[2];
    int64_t i;
    uint64_t u;
    char text[2][64];
    bool text_null[2];
    uint32_t type;
    broker_value ref;
    const void *options;
    broker_dict_options dict_options;
    broker_queue_options queue_options;
    int answer;
    uint64_t answer_u;
};

extern struct recorder seen;
extern struct bri_handle dict, queue, lock;
extern struct broker arena;

#define DICT ((broker_dict *)&dict)
#define QUEUE ((broker_queue *)&queue)
#define LOCK ((broker_lock *)&lock)

/* Everything as at first. */
void recorder_setup(void);

#endif
