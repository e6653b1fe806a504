/*
 * test_answers.c - answers are input: what is taken from them, and what is refused
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake.h"

TestSuite(answers, .init = fake_start, .fini = fake_stop, .timeout = 60);

static int read_key(struct calling *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    uint64_t revision = 0;
    int r = broker_dict_read(c->object, broker_int(1), &buffer, &c->value, &revision);

    c->number = (int64_t)revision;
    if (r == 0 && c->value.type == BROKER_STR) {
        cr_assert_leq(c->value.size, 63);
        cr_assert(buffer.data <= c->value.data && (const char *)c->value.data + c->value.size <=
                                                      (const char *)buffer.data + buffer.size,
            "it does not lie in the caller's buffer");
        memcpy(c->text, c->value.data, c->value.size);
    }
    broker_buffer_free(&buffer);
    return r;
}

static int ask_for(broker_dict *d, struct calling *c, const broker_value *results, uint32_t n)
{
    static struct asked a;

    call(c, read_key, d, 0);
    fake_expect(&a, "dict.read");
    fake_answer(&a, results, n);
    return called(c);
}

Test(answers, results_lie_in_the_callers_buffer)
{
    static const char *const texts[] = {"", "short", "one that is too long to lie in a zmq_msg_t"};
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;

    for (size_t i = 0; i < 3; i++) {
        broker_value results[] = {broker_str(texts[i]), broker_uint(UINT64_MAX - i)};

        cr_assert_eq(ask_for(d, &c, results, 2), 0);
        cr_assert_eq(c.value.size, strlen(texts[i]));
        cr_assert_str_eq(c.text, texts[i]);
        cr_assert_eq((uint64_t)c.number, UINT64_MAX - i);
    }
    fake_close(b);
}

Test(answers, wrong_number_or_kind_of_results_is_refused)
{
    broker_value good[] = {broker_int(1), broker_int(2), broker_int(3)};
    broker_value negative[] = {broker_int(1), broker_int(-2)};
    broker_value text[] = {broker_int(1), broker_str("2")};
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;

    cr_assert_eq(ask_for(d, &c, good, 2), 0);
    for (uint32_t n = 0; n <= 3; n++)
        if (n != 2) {
            cr_assert_eq(ask_for(d, &c, good, n), BROKER_PROTO);
            cr_assert_eq(c.number, 0, "an output was written");
        }
    cr_assert_eq(ask_for(d, &c, negative, 2), BROKER_PROTO);
    cr_assert_eq(ask_for(d, &c, text, 2), BROKER_PROTO);
    cr_assert_not_null(strstr(c.error, "\"stock\""), "%s", c.error);
    fake_close(b);
}

static int add(struct calling *c)
{
    return broker_dict_add(c->object, broker_int(1), 1, &c->number);
}

static int contains(struct calling *c)
{
    bool found;

    return broker_dict_contains(c->object, broker_int(1), &found);
}

static int copy(struct calling *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value map;
    int r = broker_dict_copy(c->object, &buffer, &map);

    broker_buffer_free(&buffer);
    return r;
}

static int keys(struct calling *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value array;
    int r = broker_dict_keys(c->object, &buffer, &array);

    broker_buffer_free(&buffer);
    return r;
}

Test(answers, every_kind_is_checked)
{
    static const struct {
        int (*run)(struct calling *c);
        const char *op;
        broker_value good, bad;
    } rows[] = {
        {add, "dict.add", {.type = BROKER_INT, .i = -5}, {.type = BROKER_UINT, .u = UINT64_MAX}},
        {add, "dict.add", {.type = BROKER_INT, .i = 5}, {.type = BROKER_DOUBLE, .d = 1}},
        {contains, "dict.contains", {.type = BROKER_BOOL, .b = true}, {.type = BROKER_INT, .i = 1}},
        {copy, "dict.copy", {.type = BROKER_PACKED, .size = 1, .data = "\x80"},
            {.type = BROKER_PACKED, .size = 1, .data = "\x90"}},
        {copy, "dict.copy", {.type = BROKER_PACKED, .size = 3, .data = "\xde\0\0"},
            {.type = BROKER_NIL}},
        {keys, "dict.keys", {.type = BROKER_PACKED, .size = 1, .data = "\x90"},
            {.type = BROKER_PACKED, .size = 1, .data = "\x80"}},
        {keys, "dict.keys", {.type = BROKER_PACKED, .size = 3, .data = "\xdc\0\0"},
            {.type = BROKER_PACKED, .size = 6, .data = "\xc7\x03\x05xyz"}},
    };
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;
    struct asked a;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        call(&c, rows[i].run, d, 0);
        fake_expect(&a, rows[i].op);
        fake_give(&a, rows[i].good);
        cr_assert_eq(called(&c), 0, "row %zu: %s", i, c.error);
        call(&c, rows[i].run, d, 0);
        fake_expect(&a, rows[i].op);
        fake_give(&a, rows[i].bad);
        cr_assert_eq(called(&c), BROKER_PROTO, "row %zu", i);
    }
    fake_close(b);
}

Test(answers, failures_speak_in_the_brokers_words)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;
    struct asked a;

    call(&c, add, d, 0);
    fake_expect(&a, "dict.add");
    fake_refuse(&a, BROKER_OVERFLOW, "it is \x1b[31m\xc2\x9btoo much");
    cr_assert_eq(called(&c), BROKER_OVERFLOW);
    cr_assert_str_eq(c.error, "it is ?[31m??too much", "nothing of it acts on a terminal");
    call(&c, add, d, 0);
    fake_expect(&a, "dict.add");
    fake_refuse(&a, BROKER_GONE, "");
    cr_assert_eq(called(&c), BROKER_GONE);
    cr_assert_not_null(strstr(c.error, "dict.add \"stock\""), "%s", c.error);
    fake_close(b);
}

static int acquire(struct calling *c)
{
    return broker_lock_acquire(c->object, BROKER_FOREVER, (uint64_t *)&c->number);
}

Test(answers, notices_come_through_and_unknown_numbers_do_not)
{
    static const uint8_t notice[] = {0x93, 0xcf, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x91, 9};
    uint8_t bytes[sizeof(notice)];
    broker *b = fake_open();
    broker_lock *l = fake_lock(b, "till", 2);
    struct calling c;
    struct asked a;

    for (uint8_t status = 1; status <= 99; status = (uint8_t)(status + 98)) {
        call(&c, acquire, l, 0);
        fake_expect(&a, "lock.acquire");
        memcpy(bytes, notice, sizeof(notice));
        for (int i = 0; i < 8; i++)
            bytes[2 + i] = (uint8_t)(a.request.id >> (56 - 8 * i));
        bytes[10] = status;
        fake_send(&a, bytes, sizeof(bytes));
        cr_assert_eq(called(&c), status == 1 ? BROKER_OWNER_DIED : BROKER_PROTO);
        cr_assert_eq(c.number, status == 1 ? 9 : 0);
    }
    call(&c, acquire, l, 0);
    fake_expect(&a, "lock.acquire");
    fake_refuse(&a, -1000, "what is that?");
    cr_assert_eq(called(&c), BROKER_PROTO);
    fake_close(b);
}

Test(answers, ids_of_nobody_are_passed_over)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;
    struct asked a, other;

    call(&c, add, d, 0);
    fake_expect(&a, "dict.add");
    other = a;
    other.request.id += 5;
    fake_give(&other, broker_int(1));
    fake_give(&a, broker_int(2));
    fake_give(&a, broker_int(3));
    cr_assert_eq(called(&c), 0);
    cr_assert_eq(c.number, 2);
    call(&c, add, d, 0);
    fake_expect(&a, "dict.add");
    fake_give(&a, broker_int(4));
    cr_assert_eq(called(&c), 0);
    cr_assert_eq(c.number, 4);
    fake_close(b);
}

/* What is no answer ends the session: nobody can tell whose it was. */
Test(answers, what_is_no_answer_ends_the_session)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {{"", 0}, {"\xc1", 1}, {"\x93\x01\x00", 3}, {"\x93\x01\x00\x90\x00", 5},
        {"\x93\x01\xff\x90", 4}, {"\x93\x00\xe3\xa0", 4}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        broker *b = fake_open();
        broker_dict *d = fake_dict(b, "stock", 4);
        struct calling reads, changes;
        struct asked a;

        call(&reads, contains, d, 0);
        fake_expect(&a, "dict.contains");
        call(&changes, add, d, 0);
        fake_expect(&a, "dict.add");
        fake_send(&a, bad[i].bytes, bad[i].size);
        cr_assert_eq(called(&reads), BROKER_PROTO, "%zu", i);
        cr_assert_eq(called(&changes), BROKER_UNKNOWN, "%zu", i);
        cr_assert_eq(contains(&reads), BROKER_PROTO);
        broker_close(b);
    }
}

Test(answers, hello_must_be_agreed_in_full)
{
    static const char *const fields[] = {
        "version", "session", "arena", "resumed", "timeout", "max_message", "max_pending"};
    broker *b;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        fake.terms.missing = fields[i];
        cr_assert_eq(fake_open_gives(&b), BROKER_PROTO, "%s", fields[i]);
    }
    fake.terms.missing = NULL;
    fake.terms.timeout_ns = 0;
    cr_assert_eq(fake_open_gives(&b), BROKER_PROTO);
}

static int open_it(struct calling *c)
{
    return broker_open(fake.address, (broker **)&c->object);
}

Test(answers, hello_that_is_refused_says_why)
{
    struct calling c;

    fake.terms.status = BROKER_NOTFOUND;
    fake.terms.text = "there is no arena \"default\"";
    call(&c, open_it, NULL, 0);
    fake_serve_until(is_over, &c);
    cr_assert_eq(called(&c), BROKER_NOTFOUND);
    cr_assert_null(c.object);
    cr_assert_not_null(strstr(c.error, fake.terms.text), "%s", c.error);
    cr_assert_not_null(strstr(c.error, fake.address), "%s", c.error);
}
