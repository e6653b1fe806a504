/*
 * Walking over packed containers, writing their headers, and buffers.
 */
#include "failing.h"
#include "value/head.h"
#include "value/value.h"

#include <broker.h>
#include <criterion/criterion.h>
#include <stdlib.h>

#define BYTES(literal) (literal), sizeof(literal) - 1

/* The elements of a walk as their sizes, one digit each, and how the walk ended. */
static int walk(struct bri_iter *it, const uint8_t *data, char *out_sizes)
{
    const void *element;
    size_t size;
    int r;

    while ((r = bri_iter_next(it, &element, &size)) == 0) {
        cr_assert_eq(bri_value_check(element, size), 0);
        cr_assert_geq((const uint8_t *)element, data);
        *out_sizes++ = (char)('0' + size);
    }
    *out_sizes = '\0';
    return r;
}

static void assert_array(const char *data, size_t size, const char *expected, int expected_end)
{
    struct bri_iter it;
    char sizes[64];

    cr_assert_eq(bri_iter_array(&it, data, size), 0);
    cr_assert_eq(walk(&it, (const uint8_t *)data, sizes), expected_end);
    cr_assert_str_eq(sizes, expected);
}

static void assert_map(const char *data, size_t size, const char *expected, int expected_end)
{
    struct bri_iter it;
    char sizes[64];

    cr_assert_eq(bri_iter_map(&it, data, size), 0);
    cr_assert_eq(it.left % 2, 0);
    cr_assert_eq(walk(&it, (const uint8_t *)data, sizes), expected_end);
    cr_assert_str_eq(sizes, expected);
}

Test(value_iter, gives_each_element_and_then_empty)
{
    assert_array(BYTES("\x90"), "", BROKER_EMPTY);
    assert_array(BYTES("\x93\x01\xa2xy\xcd\x01\x00"), "133", BROKER_EMPTY);
    assert_array(BYTES("\xdc\x00\x02\x92\x01\x02\x81\x01\x92\x01\x02"), "35", BROKER_EMPTY);
    assert_array(BYTES("\xdd\x00\x00\x00\x01\xd6\x05wxyz"), "6", BROKER_EMPTY);
    assert_map(BYTES("\x80"), "", BROKER_EMPTY);
    assert_map(BYTES("\x82\xa1k\x01\xc0\x91\x05"), "2112", BROKER_EMPTY);
    assert_map(BYTES("\xde\x00\x01\x01\x02"), "11", BROKER_EMPTY);
    assert_map(BYTES("\xdf\x00\x00\x00\x01\x01\x02"), "11", BROKER_EMPTY);
}

Test(value_iter, stays_empty_after_the_end)
{
    struct bri_iter it;
    const void *element = NULL;
    size_t size = 12345;

    cr_assert_eq(bri_iter_array(&it, "\x90", 1), 0);
    cr_assert_eq(bri_iter_next(&it, &element, &size), BROKER_EMPTY);
    cr_assert_eq(bri_iter_next(&it, &element, &size), BROKER_EMPTY);
    cr_assert_null(element);
    cr_assert_eq(size, 12345);
}

Test(value_iter, ends_at_what_is_no_value)
{
    assert_array(BYTES("\x92\x01\xc1"), "1", BROKER_INVALID);
    assert_array(BYTES("\x92\x01\xa5x"), "1", BROKER_INVALID);
    assert_array(BYTES("\x92\x92\x01\x02\xcd\x01"), "3", BROKER_INVALID);
    assert_array(BYTES("\x92\x92\x01\x02"), "3", BROKER_INVALID);
    assert_array(BYTES("\x91\x01\x02"), "1", BROKER_INVALID);
    assert_array(BYTES("\x90\x01"), "", BROKER_INVALID);
    assert_map(BYTES("\x81\x01\xdd\xff\xff\xff\xff"), "1", BROKER_INVALID);
    assert_map(BYTES("\x81\x91\x01\xc1"), "2", BROKER_INVALID);
}

Test(value_iter, starts_only_at_its_container)
{
    struct bri_iter it = {0};

    cr_assert_eq(bri_iter_array(&it, NULL, 0), BROKER_INVALID);
    cr_assert_eq(bri_iter_array(&it, BYTES("\x80")), BROKER_INVALID);
    cr_assert_eq(bri_iter_array(&it, BYTES("\xa1x")), BROKER_INVALID);
    cr_assert_eq(bri_iter_array(&it, BYTES("\x92\x01")), BROKER_INVALID);
    cr_assert_eq(bri_iter_array(&it, BYTES("\xdc\x00")), BROKER_INVALID);
    cr_assert_eq(bri_iter_array(&it, BYTES("\xdd\xff\xff\xff\xff\x01")), BROKER_INVALID);
    cr_assert_eq(bri_iter_map(&it, NULL, 0), BROKER_INVALID);
    cr_assert_eq(bri_iter_map(&it, BYTES("\x90")), BROKER_INVALID);
    cr_assert_eq(bri_iter_map(&it, BYTES("\x81\x01")), BROKER_INVALID);
    cr_assert_eq(bri_iter_map(&it, BYTES("\xdf\xff\xff\xff\xff\x01")), BROKER_INVALID);
    cr_assert_eq(it.left, 0);
    cr_assert_null(it.p);
}

typedef size_t write_header(uint32_t n, uint8_t *out);

static size_t ext_header(uint32_t n, uint8_t *out)
{
    return bri_ext_header(n, -7, out);
}

static void assert_header(write_header *write, uint32_t n, const char *expected, size_t n_expected)
{
    uint8_t out[7];

    memset(out, 0xee, sizeof(out));
    cr_assert_eq(write(n, out), n_expected, "header of %u", n);
    cr_assert_eq(memcmp(out, expected, n_expected), 0, "header of %u", n);
    cr_assert_eq(out[n_expected], 0xee);
}

Test(value_header, takes_its_shortest_form)
{
    assert_header(bri_array_header, 0, BYTES("\x90"));
    assert_header(bri_array_header, 15, BYTES("\x9f"));
    assert_header(bri_array_header, 16, BYTES("\xdc\x00\x10"));
    assert_header(bri_array_header, 65535, BYTES("\xdc\xff\xff"));
    assert_header(bri_array_header, 65536, BYTES("\xdd\x00\x01\x00\x00"));
    assert_header(bri_array_header, UINT32_MAX, BYTES("\xdd\xff\xff\xff\xff"));
    assert_header(bri_map_header, 0, BYTES("\x80"));
    assert_header(bri_map_header, 15, BYTES("\x8f"));
    assert_header(bri_map_header, 16, BYTES("\xde\x00\x10"));
    assert_header(bri_map_header, 65535, BYTES("\xde\xff\xff"));
    assert_header(bri_map_header, 65536, BYTES("\xdf\x00\x01\x00\x00"));
    assert_header(bri_map_header, UINT32_MAX, BYTES("\xdf\xff\xff\xff\xff"));
    assert_header(bri_str_header, 31, BYTES("\xbf"));
    assert_header(bri_str_header, 32, BYTES("\xd9\x20"));
    assert_header(bri_str_header, 256, BYTES("\xda\x01\x00"));
    assert_header(bri_str_header, 65536, BYTES("\xdb\x00\x01\x00\x00"));
    assert_header(bri_bin_header, 0, BYTES("\xc4\x00"));
    assert_header(bri_bin_header, 256, BYTES("\xc5\x01\x00"));
    assert_header(bri_bin_header, 65536, BYTES("\xc6\x00\x01\x00\x00"));
    assert_header(ext_header, 1, BYTES("\xd4\xf9"));
    assert_header(ext_header, 16, BYTES("\xd8\xf9"));
    assert_header(ext_header, 17, BYTES("\xc7\x11\xf9"));
    assert_header(ext_header, 0, BYTES("\xc7\x00\xf9"));
    assert_header(ext_header, 256, BYTES("\xc8\x01\x00\xf9"));
    assert_header(ext_header, 65536, BYTES("\xc9\x00\x01\x00\x00\xf9"));
}

Test(value_head, steps_count_headers)
{
    static const uint8_t data[] = "\x93\x01\x81\xa1k\x02\x90";
    uint64_t n_steps = 10;

    cr_assert_eq(bri_head_skip(data, data + sizeof(data) - 1, &n_steps), data + sizeof(data) - 1);
    cr_assert_eq(n_steps, 10 + 6);
}

Test(value_buffer, grows_and_keeps_its_contents)
{
    broker_buffer b = BROKER_BUFFER_INIT;
    size_t n_grown = 0;

    for (size_t size = 1; size < 100000; size++) {
        size_t before = b.capacity;

        cr_assert_eq(bri_buffer_reserve(&b, size), 0);
        cr_assert_geq(b.capacity, size);
        n_grown += b.capacity != before;
        ((uint8_t *)b.data)[size - 1] = (uint8_t)size;
        b.size = size;
    }
    for (size_t i = 0; i < b.size; i++)
        cr_assert_eq(((uint8_t *)b.data)[i], (uint8_t)(i + 1));
    cr_assert_leq(n_grown, 12, "it must grow by doubling");
    broker_buffer_free(&b);
    cr_assert_null(b.data);
    cr_assert_eq(b.size, 0);
    cr_assert_eq(b.capacity, 0);
    broker_buffer_free(&b);
    broker_buffer_free(NULL);
}

Test(value_buffer, no_memory_leaves_it_as_it_was)
{
    static const size_t sizes[] = {101, 1000, SIZE_MAX / 2, SIZE_MAX};
    broker_buffer b = BROKER_BUFFER_INIT;
    void *data;

    cr_assert_eq(bri_buffer_reserve(&b, 0), 0);
    cr_assert_null(b.data);
    cr_assert_eq(bri_buffer_reserve(&b, 100), 0);
    data = b.data;
    b.size = 100;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        failing_after(0);
        cr_assert_eq(bri_buffer_reserve(&b, sizes[i]), BROKER_NOMEM);
        cr_assert(failing_end());
        cr_assert_eq(b.data, data);
        cr_assert_eq(b.size, 100);
        cr_assert_eq(b.capacity, 100);
    }
    broker_buffer_free(&b);
}
