/*
 * test_words.c - what is typed becomes values, or is refused with a reason
 */
#include <string.h>

#include <criterion/criterion.h>

#include "words.h"

TestSuite(ctl_words, .timeout = 30);

static void expect_duration(const char *text, int64_t wanted)
{
    struct ctl_remark why;
    int64_t ns = -1;

    cr_assert_eq(ctl_read_duration(text, &ns, &why), 0, "%s", text);
    cr_assert_eq(ns, wanted, "%s: %lld", text, (long long)ns);
}

Test(ctl_words, durations_have_units)
{
    expect_duration("0", 0);
    expect_duration("0.0", 0);
    expect_duration("0s", 0);
    expect_duration("forever", BROKER_FOREVER);
    expect_duration("7ns", 7);
    expect_duration("7us", 7000);
    expect_duration("500ms", 500 * BROKER_MILLISECOND);
    expect_duration("3s", 3 * BROKER_SECOND);
    expect_duration("1.5s", 1500 * BROKER_MILLISECOND);
    expect_duration("0.123456789s", 123456789);
    expect_duration("2m", 120 * BROKER_SECOND);
    expect_duration("1.25h", 4500 * BROKER_SECOND);
    expect_duration("1d", 86400 * BROKER_SECOND);
    expect_duration("106751d", 106751LL * 86400 * BROKER_SECOND);
}

Test(ctl_words, bad_durations_are_refused_with_a_reason)
{
    static const char *const bad[] = {"", "3", "1.5", "s", "-1s", "+1s", " 1s", "1s ", "1 s", "1.s",
        ".5s", "3S", "3sec", "1e3s", "nan", "inf", "Forever", "106752d", "9223372036854775808ns",
        "99999999999999999999s", "1.1234567890s", "0x10s"};
    struct ctl_remark why;
    int64_t ns = -1;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why.text[0] = '\0';
        cr_assert_eq(ctl_read_duration(bad[i], &ns, &why), BROKER_INVALID, "\"%s\"", bad[i]);
        cr_assert_neq(why.text[0], '\0');
        cr_assert_eq(ns, -1);
    }
}

Test(ctl_words, sizes_have_units_of_1024)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0}, {"65536", 65536}, {"64K", 65536}, {"10M", 10 << 20}, {"1G", 1 << 30},
        {"3T", UINT64_C(3) << 40}, {"18446744073709551615", UINT64_MAX},
        {"16777215T", UINT64_C(16777215) << 40}};
    static const char *const bad[] = {"", "K", "-1", "+1", "1k", "1KB", "1.5K", " 1", "1 K", "1P",
        "18446744073709551616", "16777216T", "0x10"};
    struct ctl_remark why;
    uint64_t bytes = 1;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert_eq(ctl_read_size(good[i].text, &bytes, &why), 0, "%s", good[i].text);
        cr_assert_eq(bytes, good[i].bytes, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(ctl_read_size(bad[i], &bytes, &why), BROKER_INVALID, "\"%s\"", bad[i]);
}

/* An argument as the operations read it. */
static int read_as(enum bri_arg kind, const char *name, const char *text, enum ctl_form form,
    broker_value *out, struct ctl_remark *remark)
{
    static broker_buffer buffer;

    const struct ctl_parameter parameter = {kind, name, form};

    return ctl_read_argument(
        &parameter, (struct ctl_text){text, strlen(text)}, &buffer, out, remark);
}

Test(ctl_words, numbers_are_whole_and_in_range)
{
    struct ctl_remark remark;
    broker_value v;

    cr_assert_eq(
        read_as(BRI_ARG_I64, "delta", "-9223372036854775808", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert(v.type == BROKER_INT && v.i == INT64_MIN);
    cr_assert_eq(read_as(BRI_ARG_I64, "delta", "9223372036854775808", CTL_FORM_JSON, &v, &remark),
        BROKER_INVALID);
    cr_assert_eq(read_as(BRI_ARG_I64, "delta", "1.5", CTL_FORM_JSON, &v, &remark), BROKER_INVALID);
    cr_assert_eq(read_as(BRI_ARG_I64, "delta", "--1", CTL_FORM_JSON, &v, &remark), BROKER_INVALID);
    cr_assert_eq(
        read_as(BRI_ARG_U64, "revision", "18446744073709551615", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert(v.type == BROKER_UINT && v.u == UINT64_MAX);
    cr_assert_eq(
        read_as(BRI_ARG_U64, "revision", "-1", CTL_FORM_JSON, &v, &remark), BROKER_INVALID);
    cr_assert_eq(
        read_as(BRI_ARG_U64, "revision", "1K", CTL_FORM_JSON, &v, &remark), BROKER_INVALID);
    cr_assert_eq(read_as(BRI_ARG_U64, "max_bytes", "1K", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert_eq(v.u, 1024);
    cr_assert_eq(read_as(BRI_ARG_BOOL, "flag", "true", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert(v.type == BROKER_BOOL && v.b);
    cr_assert_eq(read_as(BRI_ARG_BOOL, "flag", "yes", CTL_FORM_JSON, &v, &remark), BROKER_INVALID);
    cr_assert_eq(read_as(BRI_ARG_STRING, "type", "5", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert_eq(v.type, BROKER_STR);
}

static void expect_str(broker_value v, const char *wanted)
{
    cr_assert_eq(v.type, BROKER_STR);
    cr_assert(v.size == strlen(wanted) && memcmp(v.data, wanted, v.size) == 0);
}

Test(ctl_words, values_are_json_and_everything_else_is_a_string)
{
    struct ctl_remark remark;
    broker_value v;

    cr_assert_eq(read_as(BRI_ARG_VALUE, "value", "100", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert(v.type == BROKER_INT && v.i == 100);
    cr_assert_eq(read_as(BRI_ARG_KEY, "key", "true", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert_eq(v.type, BROKER_BOOL);
    cr_assert_eq(read_as(BRI_ARG_VALUE, "value", "\"100\"", CTL_FORM_JSON, &v, &remark), 0);
    expect_str(v, "100");
    cr_assert_eq(read_as(BRI_ARG_VALUE, "value", "[1,2]", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert_eq(v.type, BROKER_PACKED);
    cr_assert_str_empty(remark.text);
    cr_assert_eq(read_as(BRI_ARG_VALUE, "value", "hello world", CTL_FORM_JSON, &v, &remark), 0);
    expect_str(v, "hello world");
    cr_assert_str_empty(remark.text);
    cr_assert_eq(read_as(BRI_ARG_VALUE, "value", "", CTL_FORM_JSON, &v, &remark), 0);
    expect_str(v, "");
}

Test(ctl_words, broken_json_is_a_string_with_a_remark)
{
    static const char *const texts[] = {"{\"a\":1", "[1,", "\"open"};
    struct ctl_remark remark;
    broker_value v;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_assert_eq(read_as(BRI_ARG_VALUE, "value", texts[i], CTL_FORM_JSON, &v, &remark), 0);
        expect_str(v, texts[i]);
        cr_assert_neq(remark.text[0], '\0');
        cr_assert_eq(read_as(BRI_ARG_VALUE, "value", texts[i], CTL_FORM_STRING, &v, &remark), 0);
        cr_assert_str_empty(remark.text);
    }
}

Test(ctl_words, forms_are_forced)
{
    struct ctl_remark remark;
    broker_value v;

    cr_assert_eq(read_as(BRI_ARG_KEY, "key", "100", CTL_FORM_STRING, &v, &remark), 0);
    expect_str(v, "100");
    cr_assert_eq(read_as(BRI_ARG_VALUE, "value", "\xff\xfe", CTL_FORM_BIN, &v, &remark), 0);
    cr_assert(v.type == BROKER_BIN && v.size == 2);
    cr_assert_eq(
        read_as(BRI_ARG_VALUE, "value", "\xff\xfe", CTL_FORM_STRING, &v, &remark), BROKER_INVALID);
    cr_assert_not_null(strstr(remark.text, "--bin"));
    cr_assert_eq(
        read_as(BRI_ARG_VALUE, "value", "\xff", CTL_FORM_JSON, &v, &remark), BROKER_INVALID);
    /* Maps and arrays have only one form. */
    cr_assert_eq(read_as(BRI_ARG_MAP, "pairs", "{\"a\":1}", CTL_FORM_STRING, &v, &remark), 0);
    cr_assert_eq(v.type, BROKER_PACKED);
}

Test(ctl_words, maps_and_arrays_must_be_what_they_are)
{
    static const char *const no_map[] = {"[1]", "5", "x", "{\"a\":1", "null", "{\"$bin\":\"\"}"};
    static const char *const no_array[] = {"{}", "5", "x", "[1", "null"};
    struct ctl_remark remark;
    broker_value v;

    for (size_t i = 0; i < sizeof(no_map) / sizeof(no_map[0]); i++)
        cr_assert_eq(read_as(BRI_ARG_MAP, "pairs", no_map[i], CTL_FORM_JSON, &v, &remark),
            BROKER_INVALID, "%s", no_map[i]);
    for (size_t i = 0; i < sizeof(no_array) / sizeof(no_array[0]); i++)
        cr_assert_eq(read_as(BRI_ARG_ARRAY, "items", no_array[i], CTL_FORM_JSON, &v, &remark),
            BROKER_INVALID, "%s", no_array[i]);
    cr_assert_eq(read_as(BRI_ARG_ARRAY, "items", "[]", CTL_FORM_JSON, &v, &remark), 0);
    cr_assert_eq(
        read_as(BRI_ARG_MAP, "pairs", "{\"$map\":[[1,2]]}", CTL_FORM_JSON, &v, &remark), 0);
}

Test(ctl_words, nesting_has_a_limit)
{
    struct ctl_remark remark;
    char text[201];
    broker_value v;

    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    text[200] = '\0';
    cr_assert_eq(read_as(BRI_ARG_VALUE, "value", text, CTL_FORM_JSON, &v, &remark), BROKER_TOODEEP);
}
