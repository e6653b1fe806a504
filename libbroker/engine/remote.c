/*
 * remote.c - see remote.h
 *
 * A session counts how often it opened an object, and so does each handle here, so that the last
 * close gives back all of it. A process killed in here leaves its session, which ends when the
 * broker has not heard of it for long enough.
 */
#include "engine/remote.h"

#include <stdlib.h>
#include <string.h>

#include <broker.h>

#include "client/open.h"
#include "core/clock.h"
#include "engine/link.h"
#include "objects/owner.h"
#include "objects/pack.h"
#include "value/value.h"

#define REQUEST_BYTES 256u /* room for most requests */
#define OVERDUE_NS (250 * BRI_MILLISECOND)
#define MAX_HANDLE UINT32_MAX

static const char not_of_its_kind[] = "the broker's answer is not what the operation gives";

static uint32_t thread_number(void)
{
    return bri_owner_thread != 0 ? bri_owner_thread : bri_owner_number_thread();
}

/* ---- asking ---- */

static int write_request(struct bri_exchange *x, struct bri_wire_request *request)
{
    int r = bri_buffer_reserve(&x->request, REQUEST_BYTES);

    request->id = BRI_WIRE_FIXED_ID;
    return r < 0 ? r : bri_wire_write_request(&x->request, request);
}

/* Asks and checks the status. With 0 or a notice there is an answer, which bri_link_done() ends. */
static int ask(broker *b, struct bri_exchange *x)
{
    int r = bri_link_ask(b->link, x), status = x->answer.status;

    if (r < 0)
        return r;
    if (status >= 0 && (status == 0 || broker_error_name(status)[0] != '?'))
        return status;
    if (broker_error_name(status)[0] == '?')
        r = bri_fail_detail(BROKER_PROTO, "the broker's answer has a status that is none");
    else
        r = bri_fail_sentence(status, x->answer.text.data, x->answer.text.size);
    bri_link_done(b->link, x);
    return r;
}

/* A request whose answer has nothing in it. */
static int ask_plainly(broker *b, struct bri_wire_request *request)
{
    struct bri_exchange x = {.is_small = true, .overdue_ns = BRI_NEVER};
    int r = write_request(&x, request);

    if (r == 0) {
        r = ask(b, &x);
        if (r >= 0)
            bri_link_done(b->link, &x);
    }
    broker_buffer_free(&x.request);
    return r;
}

/* ---- operations ---- */

static bool is_container(const broker_value *v, uint8_t fix, uint8_t wide)
{
    uint8_t first;

    if (v->type != BROKER_PACKED)
        return false;
    first = *(const uint8_t *)v->data;
    return (first & 0xf0) == fix || (first & 0xfe) == wide;
}

static bool is_of_kind(const broker_value *v, enum bri_arg kind)
{
    switch (kind) {
    case BRI_ARG_KEY:
    case BRI_ARG_VALUE:
        return true;
    case BRI_ARG_MAP:
        return is_container(v, 0x80, 0xde);
    case BRI_ARG_ARRAY:
        return is_container(v, 0x90, 0xdc);
    case BRI_ARG_NUMBER:
        return v->type == BROKER_INT || v->type == BROKER_UINT || v->type == BROKER_DOUBLE;
    case BRI_ARG_I64:
        return v->type == BROKER_INT;
    case BRI_ARG_U64:
    case BRI_ARG_COUNT:
    case BRI_ARG_TOKEN:
        return v->type == BROKER_UINT || (v->type == BROKER_INT && v->i >= 0);
    case BRI_ARG_BOOL:
        return v->type == BROKER_BOOL;
    case BRI_ARG_DURATION:
    case BRI_ARG_PERIOD:
    case BRI_ARG_STRING:
    case BRI_ARG_MODE:
        break;
    }
    return false; /* no results */
}

static bool points_somewhere(const broker_value *v)
{
    return v->type == BROKER_STR || v->type == BROKER_BIN || v->type == BROKER_PACKED;
}

/* The message goes with the exchange: from the first byte that a result points to on, it is copied
 * to the caller's buffer. */
static int copy_to(broker_buffer *buffer, broker *b, struct bri_exchange *x)
{
    const void *message, *from = NULL;
    size_t size = bri_link_message(b->link, x, &message);
    int r;

    for (uint32_t i = x->answer.n_results; i-- > 0;)
        if (points_somewhere(&x->answer.results[i]))
            from = x->answer.results[i].data;
    size = from != NULL ? size - (size_t)((const char *)from - (const char *)message) : 0;
    r = bri_buffer_reserve(buffer, size + 1); /* never NULL */
    if (r < 0)
        return r;
    if (size > 0)
        memcpy(buffer->data, from, size);
    buffer->size = size;
    bri_wire_move_answer(&x->answer, from, buffer->data);
    return 0;
}

static int take_results(struct bri_remote_call *call, struct bri_exchange *x)
{
    const struct bri_remote_shape *shape = call->shape;
    int r = 0;

    if (x->answer.n_results != shape->n_results)
        return bri_fail_detail(BROKER_PROTO, not_of_its_kind);
    for (uint32_t i = 0; i < shape->n_results; i++)
        if (!is_of_kind(&x->answer.results[i], shape->results[i]))
            return bri_fail_detail(BROKER_PROTO, not_of_its_kind);
    if (call->buffer != NULL)
        r = copy_to(call->buffer, call->broker, x);
    if (r == 0)
        memcpy(call->results, x->answer.results, shape->n_results * sizeof(call->results[0]));
    return r;
}

static int64_t overdue_ns(const struct bri_remote_call *call)
{
    if (!bri_op_info[call->shape->op].blocks || call->timeout_ns > BRI_NEVER - OVERDUE_NS)
        return BRI_NEVER;
    return bri_deadline(call->timeout_ns + OVERDUE_NS);
}

static int pack_call(const struct bri_remote_call *call, struct bri_exchange *x)
{
    const struct bri_remote_shape *shape = call->shape;
    const char *name = bri_op_info[shape->op].name;
    struct bri_wire_request request = {.op = name,
        .op_size = (uint32_t)strlen(name),
        .object = broker_nil(),
        .n_args = shape->n_args};

    if (call->handle != NULL) {
        request.object = broker_uint(call->handle->remote.number);
        request.thread = thread_number();
    }
    while (request.n_args > shape->n_required && call->args[request.n_args - 1].type == BROKER_NIL)
        request.n_args--;
    if (request.n_args > 0)
        memcpy(request.args, call->args, request.n_args * sizeof(request.args[0]));
    return write_request(x, &request);
}

static int carry_out(struct bri_remote_call *call)
{
    struct bri_exchange x = {
        .changes = bri_op_info[call->shape->op].changes, .overdue_ns = overdue_ns(call)};
    int r = pack_call(call, &x), taken;

    if (r == 0) {
        r = ask(call->broker, &x);
        if (r >= 0) {
            taken = take_results(call, &x);
            r = taken < 0 ? taken : r;
            bri_link_done(call->broker->link, &x);
        }
    }
    broker_buffer_free(&x.request);
    return r;
}

int bri_remote_call(struct bri_remote_call *call)
{
    int r = bri_link_enter();

    if (call->handle != NULL)
        call->broker = call->handle->broker;
    if (r == 0) {
        r = carry_out(call);
        bri_link_leave();
    }
    return r;
}

/* ---- handles ---- */

/* What the session gives for an open. */
struct opened {
    uint32_t number;
    struct bri_ref ref;
};

static int pack_options(const struct bri_remote_open *open, broker_buffer *to, broker_value *out)
{
    struct bri_pack p;
    uint32_t n = 0;

    for (size_t i = 0; i < open->n_options; i++)
        n += open->options[i].value.type != BROKER_NIL;
    bri_pack_start(&p, to);
    bri_pack_map(&p, n);
    for (size_t i = 0; i < open->n_options; i++)
        if (open->options[i].value.type != BROKER_NIL)
            bri_pack_entry(&p, open->options[i].name, open->options[i].value);
    return bri_pack_end(&p, out);
}

static int take_opened(const struct bri_wire_answer *answer, struct opened *out)
{
    const broker_value *number = &answer->results[0], *ref = &answer->results[1];

    if (answer->n_results != 2 || number->type != BROKER_INT || number->i < 1 ||
        number->i > MAX_HANDLE || ref->type != BROKER_REF)
        return bri_fail_detail(BROKER_PROTO, not_of_its_kind);
    out->number = (uint32_t)number->i;
    out->ref = (struct bri_ref){.slot = ref->size, .identity = ref->u};
    return 0;
}

static int ask_to_open(broker *b, const struct bri_remote_open *open, struct opened *out)
{
    const char *name = bri_op_info[open->op].name;
    struct bri_exchange x = {.changes = open->mode != BROKER_OPEN, .overdue_ns = BRI_NEVER};
    struct bri_wire_request request = {.op = name,
        .op_size = (uint32_t)strlen(name),
        .object = open->object,
        .n_args = open->n_options > 0};
    broker_buffer options = BROKER_BUFFER_INIT;
    int r = pack_options(open, &options, &request.args[0]);

    if (r == 0)
        r = write_request(&x, &request);
    if (r == 0) {
        r = ask(b, &x);
        if (r >= 0) {
            r = take_opened(&x.answer, out);
            bri_link_done(b->link, &x);
        }
    }
    broker_buffer_free(&options);
    broker_buffer_free(&x.request);
    return r;
}

static void bind(struct bri_handle *h, const struct opened *opened)
{
    h->remote.number = opened->number;
    h->remote.ref = opened->ref;
    h->remote.n_opens = 1;
    atomic_store_explicit(&h->process, bri_process(), memory_order_release);
}

static struct bri_handle *find_handle(broker *b, uint32_t type, struct bri_ref ref)
{
    struct bri_handle *h = b->handles;

    while (h != NULL && (h->type != type || h->remote.ref.slot != ref.slot ||
                            h->remote.ref.identity != ref.identity))
        h = h->next;
    return h;
}

static struct bri_handle *make_handle(broker *b, const struct bri_remote_open *open)
{
    struct bri_handle *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->magic = BRI_HANDLE_MAGIC;
    h->type = open->type;
    h->engine = b->engine;
    h->broker = b;
    h->monitored = b->monitored;
    h->refs = 1;
    if (open->object.type == BROKER_STR && open->object.size <= BRI_NAME_MAX)
        memcpy(h->name, open->object.data, open->object.size);
    h->next = b->handles;
    b->handles = h;
    return h;
}

/* One that was made before a fork is as good as new with this. */
static int find_or_make_handle(broker *b, const struct bri_remote_open *open,
    const struct opened *opened, struct bri_handle **out_handle)
{
    struct bri_handle *h;

    (void)pthread_mutex_lock(&b->mutex);
    h = find_handle(b, open->type, opened->ref);
    if (h == NULL) {
        h = make_handle(b, open);
        if (h != NULL)
            bind(h, opened);
    } else {
        h->refs++;
        if (atomic_load(&h->process) == bri_process())
            h->remote.n_opens++;
        else
            bind(h, opened);
    }
    (void)pthread_mutex_unlock(&b->mutex);
    if (h == NULL)
        return BROKER_NOMEM;
    *out_handle = h;
    return 0;
}

static void close_number(broker *b, uint32_t number)
{
    static const char op[] = "object.close";
    struct bri_wire_request request = {
        .op = op, .op_size = sizeof(op) - 1, .object = broker_uint(number)};

    (void)ask_plainly(b, &request); /* a session that has ended has closed everything */
}

static int open_handle(
    broker *b, const struct bri_remote_open *open, struct bri_handle **out_handle)
{
    struct opened opened;
    int r = ask_to_open(b, open, &opened);

    if (r < 0)
        return r;
    r = find_or_make_handle(b, open, &opened, out_handle);
    if (r < 0)
        close_number(b, opened.number);
    return r;
}

int bri_remote_open(broker *b, const struct bri_remote_open *open, struct bri_handle **out_handle)
{
    int r = bri_link_enter();

    if (r == 0) {
        r = open_handle(b, open, out_handle);
        bri_link_leave();
    }
    return r;
}

void bri_remote_close_handle(struct bri_handle *h)
{
    if (!bri_handle_unref(h))
        return;
    /* In a child that never used it, it is the parent's. */
    for (; h->remote.n_opens > 0 && atomic_load(&h->process) == bri_process(); h->remote.n_opens--)
        close_number(h->broker, h->remote.number);
    h->magic = 0;
    free(h);
}

broker_value bri_remote_ref(const struct bri_handle *h)
{
    return bri_ref_value(h->remote.ref);
}

/* ---- several objects ---- */

static int pack_handles(void *const objects[], size_t n, broker_buffer *to, broker_value *out_array)
{
    const struct bri_handle *first = objects[0];
    struct bri_pack p;

    bri_pack_start(&p, to);
    bri_pack_array(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        struct bri_handle *h = objects[i];
        int r = h == NULL || h->magic != BRI_HANDLE_MAGIC ? BROKER_INVALID : bri_enter(h, h->type);

        if (r < 0)
            return r;
        if (h->broker != first->broker)
            return bri_fail_detail(BROKER_UNSUPPORTED,
                "objects of a broker at ipc:// or tcp:// can be waited for among themselves only");
        bri_pack_value(&p, broker_uint(h->remote.number));
    }
    return bri_pack_end(&p, out_array);
}

static int take_index(const struct bri_wire_answer *answer, size_t n, size_t *out_index)
{
    const broker_value *index = &answer->results[0];

    if (answer->n_results != 1 || index->type != BROKER_INT || index->i < 0 ||
        (uint64_t)index->i >= n)
        return bri_fail_detail(BROKER_PROTO, not_of_its_kind);
    *out_index = (size_t)index->i;
    return 0;
}

static int wait_any(void *const objects[], size_t n, int64_t timeout_ns, size_t *out_index)
{
    static const char op[] = "object.wait_any";
    broker *b = ((const struct bri_handle *)objects[0])->broker;
    broker_buffer handles = BROKER_BUFFER_INIT;
    struct bri_exchange x = {.overdue_ns = timeout_ns > BRI_NEVER - OVERDUE_NS
                                               ? BRI_NEVER
                                               : bri_deadline(timeout_ns + OVERDUE_NS)};
    struct bri_wire_request request = {.op = op,
        .op_size = sizeof(op) - 1,
        .object = broker_nil(),
        .thread = thread_number(),
        .n_args = timeout_ns == BROKER_FOREVER ? 1 : 2};
    int r = pack_handles(objects, n, &handles, &request.args[0]);

    request.args[1] = broker_int(timeout_ns);
    if (r == 0)
        r = write_request(&x, &request);
    if (r == 0) {
        r = ask(b, &x);
        if (r >= 0) {
            r = take_index(&x.answer, n, out_index);
            bri_link_done(b->link, &x);
        }
    }
    broker_buffer_free(&handles);
    broker_buffer_free(&x.request);
    return r;
}

int bri_remote_wait_any(void *const objects[], size_t n, int64_t timeout_ns, size_t *out_index)
{
    int r = bri_link_enter();

    if (r == 0) {
        r = wait_any(objects, n, timeout_ns, out_index);
        bri_link_leave();
    }
    return r;
}

/* ---- sessions ---- */

int bri_remote_begin(broker *b, const struct bri_address *address, struct bri_arena *mapped)
{
    (void)mapped; /* there is none to be shared */
    return bri_link_open(address, &b->link);
}

void bri_remote_end(broker *b, bool died)
{
    (void)died; /* the broker itself finds that out */
    if (atomic_load(&b->process) == bri_process())
        bri_link_close(b->link);
    else
        bri_link_forget(b->link); /* the parent's: nothing of it is ours to end */
    b->link = NULL;
}

bool bri_remote_is_connected(broker *b)
{
    return atomic_load(&b->process) != bri_process() || !bri_link_has_ended(b->link);
}

int bri_remote_reattach(broker *b)
{
    struct bri_address address;
    struct bri_link *link;
    int r = bri_address_parse(b->address, &address);

    address.wait_ns = atomic_load(&b->wait_ns);
    if (r == 0)
        r = bri_link_open(&address, &link);
    if (r < 0)
        return r;
    if (memcmp(bri_link_agreed(link)->arena, bri_link_agreed(b->link)->arena,
            sizeof(bri_link_agreed(link)->arena)) != 0) {
        bri_link_close(link);
        return bri_fail_text(
            BROKER_GONE, "the broker at %s was restarted with a new arena", b->address);
    }
    bri_link_forget(b->link);
    b->link = link;
    return 0;
}

int bri_remote_reattach_handle(struct bri_handle *h)
{
    struct bri_remote_open open = {.op = bri_remote_opener(h->type),
        .type = h->type,
        .mode = BROKER_OPEN,
        .object = bri_remote_ref(h)};
    struct opened opened;
    int r = ask_to_open(h->broker, &open, &opened);

    if (r == 0)
        bind(h, &opened);
    return r;
}
