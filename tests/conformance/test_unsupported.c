/*
 * test_unsupported.c - by ZeroMQ: what hands out memory or descriptors is refused, and changes
 * nothing (docs/guide/remote.md has the list)
 */
#include "conformance/kit.h"
#include "conformance/roads.h"

static void open_remote(void)
{
    kit_open();
    if (road_is_local())
        cr_skip_test("all operations are there");
}

TestSuite(unsupported, .init = open_remote, .fini = kit_close, .timeout = KIT_TIMEOUT);

Test(unsupported, items_in_place)
{
    broker_queue *q = kit_queue("q", NULL);
    uint8_t own[16];
    void *memory = own;
    broker_value item;
    uint64_t token, n;

    OK(broker_queue_put(q, broker_int(1), 0));
    GIVES(broker_queue_reserve(q, sizeof(own), &memory), BROKER_UNSUPPORTED);
    GIVES(broker_queue_commit(q, own, sizeof(own), 0), BROKER_UNSUPPORTED);
    GIVES(broker_queue_cancel(q, own), BROKER_UNSUPPORTED);
    GIVES(broker_queue_lease_in_place(q, 0, BROKER_SECOND, &kit_buffer, &item, &token, NULL),
        BROKER_UNSUPPORTED);
    OK(broker_queue_qsize(q, &n));
    cr_assert_eq(n, 1);
}

Test(unsupported, the_pointer_to_an_array)
{
    broker_array *a = kit_array("a", &(broker_array_options){.typecode = "q", .length = 4});
    void *data = a;
    uint64_t n;

    GIVES(broker_array_data(a, &data, &n), BROKER_UNSUPPORTED);
}

Test(unsupported, descriptors)
{
    broker_queue *q = kit_queue("q", NULL);
    int fd = -7;

    GIVES(broker_fd(q, &fd), BROKER_UNSUPPORTED);
    GIVES(broker_fd_clear(q), BROKER_UNSUPPORTED);
    cr_assert_eq(fd, -7);
}

Test(unsupported, objects_of_several_brokers_waited_for_at_once)
{
    void *objects[2] = {kit_queue("q", NULL)};
    size_t index;
    broker *other;
    broker_queue *q;

    OK(broker_open("private:", &other));
    OK(broker_queue_open(other, "q", NULL, &q));
    objects[1] = q;
    GIVES(broker_wait_any(objects, 2, 0, &index), BROKER_UNSUPPORTED);
    broker_queue_close(q);
    broker_close(other);
}
