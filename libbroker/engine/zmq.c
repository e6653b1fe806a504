/*
 * zmq.c - see zmq.h
 */
#include "engine/zmq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "client/handle.h"

#define LIBRARY "libzmq.so.5"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct bri_zmq table; /* [mutex] until it is loaded */
static bool is_loaded;       /* [mutex] */

static const struct function {
    const char *name;
    size_t at;
} functions[] = {
#define FUNCTION(member)                                                                           \
    {                                                                                              \
        "zmq_" #member, offsetof(struct bri_zmq, member)                                           \
    }
    FUNCTION(ctx_new), FUNCTION(ctx_set), FUNCTION(ctx_term), FUNCTION(socket), FUNCTION(close),
    FUNCTION(setsockopt), FUNCTION(getsockopt), FUNCTION(connect), FUNCTION(socket_monitor),
    FUNCTION(send), FUNCTION(msg_init), FUNCTION(msg_recv), FUNCTION(msg_move), FUNCTION(msg_close),
    FUNCTION(msg_data), FUNCTION(msg_size), FUNCTION(msg_more)
#undef FUNCTION
};

_Static_assert(
    sizeof(functions) / sizeof(functions[0]) == sizeof(struct bri_zmq) / sizeof(void (*)(void)),
    "every function is looked up");

/* It stays loaded: its threads run until their contexts end. */
static int load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (library == NULL)
        return bri_fail_text(BROKER_SYSTEM,
            "addresses with ipc:// and tcp:// need ZeroMQ (%s), which cannot be loaded: %s; in "
            "Debian it is in the package libzmq5",
            LIBRARY, dlerror());
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *address = dlsym(library, functions[i].name);

        if (address == NULL)
            return bri_fail_text(BROKER_SYSTEM, "%s has no %s()", LIBRARY, functions[i].name);
        memcpy((char *)&table + functions[i].at, &address, sizeof(address));
    }
    is_loaded = true;
    return 0;
}

int bri_zmq_load(const struct bri_zmq **out_zmq)
{
    int r;

    (void)pthread_mutex_lock(&mutex);
    r = is_loaded ? 0 : load();
    (void)pthread_mutex_unlock(&mutex);
    if (r == 0)
        *out_zmq = &table;
    return r;
}
