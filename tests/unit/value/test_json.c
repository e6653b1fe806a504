/*
 * brokerctl's JSON: values to text and back.
 */
#include "brokerctl/json.h"

#include "brokerctl/json_text.h"
#include "failing.h"
#include "random.h"
#include "value/head.h"
#include "value/value.h"

#include <broker.h>
#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES(literal) (literal), sizeof(literal) - 1

/* Parse a copy that does not end with NUL, so that a sanitizer sees every byte read too many. */
static int parse(
    const char *text, size_t n, broker_buffer *buf, broker_value *out, const char **message)
{
    char *copy = malloc(n > 0 ? n : 1);
    int r;

    cr_assert_not_null(copy);
    memcpy(copy, text, n);
    r = ctl_json_parse(copy, n, buf, out, message);
    free(copy);
    return r;
}

/* @text is read as the msgpack @packed, and printed as @printed. */
static void assert_json(const char *text, const char *packed, size_t n_packed, const char *printed)
{
    broker_buffer buf = BROKER_BUFFER_INIT;
    broker_buffer back = BROKER_BUFFER_INIT;
    const char *message = "";
    broker_value v;

    cr_assert_eq(parse(text, strlen(text), &buf, &v, &message), 0, "%s: %s", text, message);
    cr_assert_null(message);
    cr_assert_eq(buf.size, n_packed, "%s", text);
    cr_assert_eq(memcmp(buf.data, packed, n_packed), 0, "%s", text);
    cr_assert_eq(ctl_json_print(v, false, &back), 0, "%s", text);
    cr_assert_eq(back.size, strlen(printed), "%s", text);
    cr_assert_str_eq(back.data, printed);
    broker_buffer_free(&buf);
    broker_buffer_free(&back);
}

/* @text is refused with the code @expected, and a message that has @words in it. */
static void assert_refused_n(const char *text, size_t n, int expected, const char *words)
{
    broker_buffer buf = BROKER_BUFFER_INIT;
    broker_value v = broker_int(12345);
    const char *message = NULL;

    cr_assert_eq(parse(text, n, &buf, &v, &message), expected, "%s", text);
    cr_assert_not_null(message, "%s", text);
    cr_assert_not_null(strstr(message, words), "%s: %s", text, message);
    cr_assert(v.type == BROKER_INT && v.i == 12345);
    broker_buffer_free(&buf);
}

static void assert_refused(const char *text, const char *words)
{
    assert_refused_n(text, strlen(text), BROKER_INVALID, words);
}

Test(json, scalars)
{
    assert_json("null", BYTES("\xc0"), "null");
    assert_json("true", BYTES("\xc3"), "true");
    assert_json("false", BYTES("\xc2"), "false");
    assert_json("0", BYTES("\x00"), "0");
    assert_json("-0", BYTES("\x00"), "0");
    assert_json("100", BYTES("\x64"), "100");
    assert_json(" \t\r\n100 \t\r\n", BYTES("\x64"), "100");
    assert_json("-1", BYTES("\xff"), "-1");
    assert_json(
        "9007199254740993", BYTES("\xcf\x00\x20\x00\x00\x00\x00\x00\x01"), "9007199254740993");
    assert_json("9223372036854775807", BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
        "9223372036854775807");
    assert_json("9223372036854775808", BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"),
        "9223372036854775808");
    assert_json("18446744073709551615", BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
        "18446744073709551615");
    assert_json("-9223372036854775808", BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
        "-9223372036854775808");
}

Test(json, doubles_keep_being_doubles)
{
    assert_json("1.0", BYTES("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), "1.0");
    assert_json("0.1", BYTES("\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"), "0.1");
    assert_json("-0.0", BYTES("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"), "-0.0");
    assert_json("1e2", BYTES("\xcb\x40\x59\x00\x00\x00\x00\x00\x00"), "100.0");
    assert_json("1E+2", BYTES("\xcb\x40\x59\x00\x00\x00\x00\x00\x00"), "100.0");
    assert_json("1e22", BYTES("\xcb\x44\x80\xf0\xcf\x06\x4d\xd5\x92"), "1e+22");
    assert_json("5e-324", BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x01"), "4.94065645841247e-324");
    assert_json("0.30000000000000004", BYTES("\xcb\x3f\xd3\x33\x33\x33\x33\x33\x34"),
        "0.30000000000000004");
    assert_json("1.7976931348623157e308", BYTES("\xcb\x7f\xef\xff\xff\xff\xff\xff\xff"),
        "1.7976931348623157e+308");
    assert_json("18446744073709551616.0", BYTES("\xcb\x43\xf0\x00\x00\x00\x00\x00\x00"),
        "1.8446744073709552e+19");
    assert_json("1e-400", BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), "0.0");
}

Test(json, strings)
{
    assert_json("\"\"", BYTES("\xa0"), "\"\"");
    assert_json("\"x\"", BYTES("\xa1x"), "\"x\"");
    assert_json("\"a/b\\/\"",
        BYTES("\xa4"
              "a/b/"),
        "\"a/b/\"");
    assert_json(
        "\"\\\"\\\\\\b\\f\\n\\r\\t\"", BYTES("\xa7\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    assert_json("\"a\\u0000b\"",
        BYTES("\xa3"
              "a\0b"),
        "\"a\\u0000b\"");
    assert_json(
        "\"\\u00e9\\u20AC\"", BYTES("\xa5\xc3\xa9\xe2\x82\xac"), "\"\xc3\xa9\xe2\x82\xac\"");
    assert_json("\"\\ud83d\\uDC0D\"", BYTES("\xa4\xf0\x9f\x90\x8d"), "\"\xf0\x9f\x90\x8d\"");
    assert_json("\"\xf0\x9f\x90\x8d\"", BYTES("\xa4\xf0\x9f\x90\x8d"), "\"\xf0\x9f\x90\x8d\"");
    assert_json("\"\x7f\"", BYTES("\xa1\x7f"), "\"\x7f\"");
}

Test(json, containers)
{
    assert_json("[]", BYTES("\x90"), "[]");
    assert_json("{}", BYTES("\x80"), "{}");
    assert_json("[1, [2, null], {\"a\": [true]}]",
        BYTES("\x93\x01\x92\x02\xc0\x81\xa1"
              "a\x91\xc3"),
        "[1,[2,null],{\"a\":[true]}]");
    assert_json("{\"b\":1,\"a\":2,\"\":3}",
        BYTES("\x83\xa1"
              "b\x01\xa1"
              "a\x02\xa0\x03"),
        "{\"b\":1,\"a\":2,\"\":3}");
    assert_json("{\"a\":1,\"a\":2}",
        BYTES("\x81\xa1"
              "a\x02"),
        "{\"a\":2}");
}

Test(json, what_json_has_no_word_for_is_spelled_out)
{
    assert_json("{\"$bin\":\"\"}", BYTES("\xc4\x00"), "{\"$bin\":\"\"}");
    assert_json("{\"$bin\":\"AP8=\"}", BYTES("\xc4\x02\x00\xff"), "{\"$bin\":\"AP8=\"}");
    assert_json("{\"$str\":\"/w==\"}", BYTES("\xa1\xff"), "{\"$str\":\"/w==\"}");
    assert_json("{\"$str\":\"eA==\"}", BYTES("\xa1x"), "\"x\"");
    assert_json("{\"$ext\":[5,\"eA==\"]}", BYTES("\xd4\x05x"), "{\"$ext\":[5,\"eA==\"]}");
    assert_json("{\"$ext\":[-128,\"\"]}", BYTES("\xc7\x00\x80"), "{\"$ext\":[-128,\"\"]}");
    assert_json("{\"$ext\":[127,\"\"]}", BYTES("\xc7\x00\x7f"), "{\"$ext\":[127,\"\"]}");
    assert_json("{\"$ext\":[-1,\"AAAAAQ==\"]}", BYTES("\xd6\xff\x00\x00\x00\x01"),
        "{\"$ext\":[-1,\"AAAAAQ==\"]}");
    assert_json("{\"$ref\":\"4711:258:beef\"}",
        BYTES("\xd8\x01\0\0\0\0\0\0\x12\x67\xbe\xef\0\0\0\0\x01\x02"),
        "{\"$ref\":\"4711:258:beef\"}");
    assert_json("{\"$float\":\"nan\"}", BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
        "{\"$float\":\"nan\"}");
    assert_json("{\"$float\":\"inf\"}", BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"),
        "{\"$float\":\"inf\"}");
    assert_json("{\"$float\":\"-inf\"}", BYTES("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"),
        "{\"$float\":\"-inf\"}");
    assert_json("{\"$map\":[]}", BYTES("\x80"), "{}");
    assert_json("{\"$map\":[[1,2],[\"a\",{\"b\":3}]]}",
        BYTES("\x82\x01\x02\xa1"
              "a\x81\xa1"
              "b\x03"),
        "{\"$map\":[[1,2],[\"a\",{\"b\":3}]]}");
    assert_json("{\"$map\":[[{\"$map\":[[1,2]]},3]]}", BYTES("\x81\x81\x01\x02\x03"),
        "{\"$map\":[[{\"$map\":[[1,2]]},3]]}");
}

/* Maps that an object could not hold, or that it would be taken for something else. */
Test(json, maps_that_are_no_objects)
{
    assert_json("{\"$map\":[[\"$bin\",\"x\"]]}", BYTES("\x81\xa4$bin\xa1x"),
        "{\"$map\":[[\"$bin\",\"x\"]]}");
    assert_json("{\"$map\":[[\"a\",1],[\"$\",2]]}",
        BYTES("\x82\xa1"
              "a\x01\xa1$\x02"),
        "{\"$map\":[[\"a\",1],[\"$\",2]]}");
    assert_json("{\"$map\":[[\"a\",1],[\"a\",1]]}",
        BYTES("\x82\xa1"
              "a\x01\xa1"
              "a\x01"),
        "{\"$map\":[[\"a\",1],[\"a\",1]]}");
    assert_json("{\"$map\":[[\"a\\u0000b\",1]]}",
        BYTES("\x81\xa3"
              "a\0b\x01"),
        "{\"$map\":[[\"a\\u0000b\",1]]}");
    assert_json("{\"$map\":[[{\"$str\":\"/w==\"},1]]}", BYTES("\x81\xa1\xff\x01"),
        "{\"$map\":[[{\"$str\":\"/w==\"},1]]}");
    assert_json("{\"$map\":[[\"a\",1],[null,2]]}",
        BYTES("\x82\xa1"
              "a\x01\xc0\x02"),
        "{\"$map\":[[\"a\",1],[null,2]]}");
}

Test(json, spelled_out_forms_that_are_wrong)
{
    assert_refused("{\"$foo\":1}", "begins with $");
    assert_refused("{\"$bin\":\"\",\"a\":1}", "begins with $");
    assert_refused("{\"a\":1,\"$\":1}", "begins with $");
    assert_refused("{\"$bin\":1}", "string of base64");
    assert_refused("{\"$bin\":null}", "string of base64");
    assert_refused("{\"$bin\":\"A\"}", "not valid");
    assert_refused("{\"$bin\":\"AAA\"}", "not valid");
    assert_refused("{\"$bin\":\"A===\"}", "not valid");
    assert_refused("{\"$bin\":\"AA=A\"}", "not valid");
    assert_refused("{\"$bin\":\"AB==\"}", "not valid");
    assert_refused("{\"$bin\":\"AAB=\"}", "not valid");
    assert_refused("{\"$bin\":\"AA==AAAA\"}", "not valid");
    assert_refused("{\"$bin\":\"AAA\\n\"}", "not valid");
    assert_refused("{\"$bin\":\"AAA\\u0000\"}", "not valid");
    assert_refused("{\"$str\":[]}", "string of base64");
    assert_refused("{\"$ext\":\"\"}", "$ext");
    assert_refused("{\"$ref\":5}", "slot:generation:arena");
    assert_refused("{\"$ref\":\"1:0:beef\"}", "slot:generation:arena");
    assert_refused("{\"$ref\":\"1:2\"}", "slot:generation:arena");
    assert_refused("{\"$ref\":\"01:2:beef\"}", "slot:generation:arena");
    assert_refused("{\"$ref\":\"1:2:beef \"}", "slot:generation:arena");
    assert_refused("{\"$ref\":\"1:281474976710656:beef\"}", "slot:generation:arena");
    assert_refused("{\"$ext\":[1]}", "$ext");
    assert_refused("{\"$ext\":[1,\"\",2]}", "$ext");
    assert_refused("{\"$ext\":[\"1\",\"\"]}", "$ext");
    assert_refused("{\"$ext\":[1.0,\"\"]}", "$ext");
    assert_refused("{\"$ext\":[128,\"\"]}", "-128 to 127");
    assert_refused("{\"$ext\":[-129,\"\"]}", "-128 to 127");
    assert_refused("{\"$ext\":[1,2]}", "string of base64");
    assert_refused("{\"$float\":1.5}", "$float");
    assert_refused("{\"$float\":\"NaN\"}", "$float");
    assert_refused("{\"$map\":1}", "$map");
    assert_refused("{\"$map\":[1]}", "$map");
    assert_refused("{\"$map\":[[1]]}", "$map");
    assert_refused("{\"$map\":[[1,2,3]]}", "$map");
    assert_refused("{\"$map\":[[1,2],{}]}", "$map");
    assert_refused("{\"$map\":[[{\"$bin\":1},2]]}", "string of base64");
}

/* What json-c would take and change. */
Test(json, numbers_that_do_not_fit)
{
    assert_refused("18446744073709551616", "64 bits");
    assert_refused("-9223372036854775809", "64 bits");
    assert_refused("100000000000000000000000000000000000000", "64 bits");
    assert_refused("[1, 18446744073709551616]", "64 bits");
    assert_refused("1e400", "too large");
    assert_refused("[-1e400]", "too large");
    assert_refused("NaN", "not JSON");
    assert_refused("[NaN]", "not JSON");
    assert_refused("Infinity", "not JSON");
    assert_refused("-Infinity", "digit");
    assert_refused("-", "digit");
    assert_refused("+1", "not JSON");
    assert_refused(".5", "not JSON");
    assert_refused("1.", "point");
    assert_refused("1.e5", "point");
    assert_refused("1e", "exponent");
    assert_refused("1e+", "exponent");
    assert_refused("01", "begin with 0");
    assert_refused("-01", "begin with 0");
    assert_refused("0x10", "not JSON");
    assert_refused("1a", "not JSON");
}

Test(json, strings_that_are_wrong)
{
    assert_refused("\"\\ud800\"", "surrogate");
    assert_refused("\"\\ud800x\"", "surrogate");
    assert_refused("\"\\ud800\\n\"", "surrogate");
    assert_refused("\"\\ud800\\u0041\"", "surrogate");
    assert_refused("\"\\udc00\"", "surrogate");
    assert_refused("\"\\udc00\\ud800\"", "surrogate");
    assert_refused("\"\\u12g4\"", "hexadecimal");
    assert_refused("\"\\u12\"", "hexadecimal");
    assert_refused("\"\\x\"", "escape");
    assert_refused("\"\\", "escape");
    assert_refused("\"abc", "no end");
    assert_refused("\"a\nb\"", "control character");
    assert_refused_n(BYTES("\"a\0b\""), BROKER_INVALID, "control character");
    assert_refused("{\"a\\u0000b\":1}", "$map");
    assert_refused("{\"a\\u0000b\" \n :1}", "$map");
    assert_refused("'a'", "double quotes");
    assert_refused("hello", "double quotes");
    assert_refused("\"\xff\"", "UTF-8");
    assert_refused("\"\xc0\x80\"", "UTF-8");
    assert_refused("\"\xed\xa0\x80\"", "UTF-8");
}

Test(json, texts_that_are_wrong)
{
    assert_refused("", "no value");
    assert_refused(" \n", "no value");
    assert_refused("[1", "");
    assert_refused("[1,]", "");
    assert_refused("[,1]", "");
    assert_refused("[1 2]", "");
    assert_refused("{\"a\":1,}", "");
    assert_refused("{\"a\" 1}", "");
    assert_refused("{a:1}", "not JSON");
    assert_refused("{1:2}", "");
    assert_refused("{\"a\":}", "");
    assert_refused("]", "");
    assert_refused("[1}", "");
    assert_refused("1 2", "");
    assert_refused("\"a\" \"b\"", "");
    assert_refused("[] []", "");
    assert_refused("null null", "");
    assert_refused("nul", "not JSON");
    assert_refused("nulll", "not JSON");
    assert_refused("True", "not JSON");
    assert_refused("TRUE", "not JSON");
    assert_refused("// comment", "not JSON");
    assert_refused("/* comment */ 1", "not JSON");
    assert_refused_n(BYTES("1\0"), BROKER_INVALID, "not JSON");
    assert_refused_n(BYTES("\0"), BROKER_INVALID, "not JSON");
    assert_refused_n(BYTES("1 \0 2"), BROKER_INVALID, "not JSON");
}

Test(json, texts_longer_than_json_c_can_take)
{
    broker_buffer buf = BROKER_BUFFER_INIT;
    const char *message = "";
    broker_value v;

    cr_assert_eq(ctl_json_parse("", (size_t)INT32_MAX + 1, &buf, &v, &message), BROKER_TOOBIG);
    cr_assert_null(message);
    cr_assert_null(buf.data);
}

/* @n times @opening, then @core, then @n times @closing. */
static char *nested(const char *opening, unsigned int n, const char *core, const char *closing)
{
    size_t n_opening = strlen(opening);
    size_t n_closing = strlen(closing);
    char *text = calloc(1, n * (n_opening + n_closing) + strlen(core) + 1);
    char *p = text;

    cr_assert_not_null(text);
    for (unsigned int i = 0; i < n; i++, p += n_opening)
        memcpy(p, opening, n_opening);
    memcpy(p, core, strlen(core));
    p += strlen(core);
    for (unsigned int i = 0; i < n; i++, p += n_closing)
        memcpy(p, closing, n_closing);
    return text;
}

static void assert_nested(const char *opening, unsigned int n, const char *closing, int expected)
{
    char *text = nested(opening, n, "{\"$ext\":[1,\"\"]}", closing);
    broker_buffer buf = BROKER_BUFFER_INIT;
    broker_buffer back = BROKER_BUFFER_INIT;
    const char *message;
    broker_value v;
    int r = parse(text, strlen(text), &buf, &v, &message);

    cr_assert_eq(r, expected, "%u of %s: %d", n, opening, r);
    if (r == 0) {
        cr_assert_eq(bri_value_check(buf.data, buf.size), 0);
        cr_assert_eq(ctl_json_print(v, false, &back), 0);
        cr_assert_str_eq(back.data, text);
    } else {
        cr_assert_not_null(message);
    }
    broker_buffer_free(&buf);
    broker_buffer_free(&back);
    free(text);
}

Test(json, nesting_ends_where_that_of_values_does)
{
    static const char *const kinds[][2] = {
        {"[", "]"}, {"{\"a\":", "}"}, {"{\"$map\":[[1,", "]]}"}, {"{\"$map\":[[", ",1]]}"}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_nested(kinds[i][0], BRI_VALUE_DEPTH, kinds[i][1], 0);
        assert_nested(kinds[i][0], BRI_VALUE_DEPTH + 1, kinds[i][1], BROKER_TOODEEP);
        assert_nested(kinds[i][0], 100000, kinds[i][1], BROKER_TOODEEP);
    }
}

/* Maps in maps, each with a key that an object cannot have after the one that nests. */
Test(json, printing_nested_maps_does_not_multiply, .timeout = 20)
{
    uint8_t data[512];
    size_t size = 0;
    broker_buffer text = BROKER_BUFFER_INIT;

    for (int level = 0; level < BRI_VALUE_DEPTH; level++) {
        memcpy(data + size,
            "\x82\xa1"
            "a",
            3);
        size += 3;
    }
    data[size++] = 0x01;
    for (int level = 0; level < BRI_VALUE_DEPTH; level++) {
        memcpy(data + size, "\x01\x02", 2);
        size += 2;
    }
    cr_assert_eq(bri_value_check(data, size), 0);
    cr_assert_eq(ctl_json_print(broker_packed(data, size), false, &text), 0);
    broker_buffer_free(&text);
}

Test(json, prints_scalars_that_are_not_packed)
{
    static const char text[] = "x\xff";
    broker_buffer out = BROKER_BUFFER_INIT;

    cr_assert_eq(ctl_json_print(broker_uint(UINT64_MAX), false, &out), 0);
    cr_assert_str_eq(out.data, "18446744073709551615");
    cr_assert_eq(out.size, 20);
    cr_assert_eq(ctl_json_print(broker_nil(), false, &out), 0);
    cr_assert_str_eq(out.data, "null");
    cr_assert_eq(ctl_json_print(broker_str("\xc3\xa9"), true, &out), 0);
    cr_assert_str_eq(out.data, "\"\xc3\xa9\"");
    cr_assert_eq(ctl_json_print(broker_strn(text, 2), false, &out), 0);
    cr_assert_str_eq(out.data, "{\"$str\":\"eP8=\"}");
    cr_assert_eq(ctl_json_print(broker_packed("\xca\x3f\xc0\x00\x00", 5), false, &out), 0);
    cr_assert_str_eq(out.data, "1.5");
    broker_buffer_free(&out);
}

Test(json, pretty_is_indented)
{
    broker_buffer out = BROKER_BUFFER_INIT;

    cr_assert_eq(ctl_json_print(broker_packed(BYTES("\x83\xa1"
                                                    "a\x01\xa1"
                                                    "b\x92\x02\x90\xa1"
                                                    "c\x80")),
                     true, &out),
        0);
    cr_assert_str_eq(out.data, "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    []\n  ],\n  \"c\": {}\n}");
    broker_buffer_free(&out);
}

Test(json, prints_no_value_that_is_none)
{
    broker_buffer out = BROKER_BUFFER_INIT;
    broker_value unknown = broker_nil();

    unknown.type = BROKER_REF + 1;
    cr_assert_eq(ctl_json_print(unknown, false, &out), BROKER_INVALID);
    cr_assert_eq(ctl_json_print(broker_packed("\x92\x01", 2), false, &out), BROKER_INVALID);
    cr_assert_eq(ctl_json_print(broker_strn(NULL, 1), false, &out), BROKER_INVALID);
    cr_assert_eq(ctl_json_print(broker_bin("", UINT32_MAX - 1), false, &out), BROKER_TOOBIG);
    cr_assert_null(out.data);
}

/*
 * Whichever of our own allocations fails, it is told, and nothing leaks (which a sanitizer sees).
 */
Test(json, no_memory)
{
    static const char text[] =
        "{\"a\":[1,2.5,\"x\",{\"$bin\":\"AP8=\"},{\"$str\":\"/w==\"},{\"$ext\":[1,\"AP8=\"]},"
        "{\"$map\":[[1,{\"$float\":\"nan\"}]]},\"a text that makes the buffer grow once more\"]}";
    const char *message;
    bool failed = true;
    broker_value v;

    for (unsigned int n = 0; failed; n++) {
        broker_buffer buf = BROKER_BUFFER_INIT;
        broker_buffer out = BROKER_BUFFER_INIT;
        int parsed;
        int printed;

        failing_after(n);
        parsed = ctl_json_parse(text, sizeof(text) - 1, &buf, &v, &message);
        failed = failing_end();
        cr_assert_eq(parsed, failed ? BROKER_NOMEM : 0, "allocation %u", n);
        cr_assert_null(message);
        if (parsed < 0) /* and it works when there is memory again */
            cr_assert_eq(ctl_json_parse(text, sizeof(text) - 1, &buf, &v, &message), 0);
        failing_after(n);
        printed = ctl_json_print(v, false, &out);
        failed |= failing_end();
        cr_assert(printed == 0 || printed == BROKER_NOMEM, "allocation %u", n);
        cr_assert_eq(printed == 0, out.data != NULL);
        if (printed == 0)
            cr_assert_str_eq(out.data, text);
        cr_assert(n < 1000);
        broker_buffer_free(&buf);
        broker_buffer_free(&out);
    }
}

/* In a language with a decimal comma, before and after. */
Test(json, numbers_do_not_depend_on_the_language)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    broker_buffer buf = BROKER_BUFFER_INIT;
    broker_buffer out = BROKER_BUFFER_INIT;
    const char *message;
    char before[16];
    char after[16];
    broker_value v;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && setlocale(LC_ALL, names[i]) == NULL;
         i++)
        ;
    (void)snprintf(before, sizeof(before), "%.1f", 1.5);
    cr_assert_eq(ctl_json_parse("[0.5,1e3]", 9, &buf, &v, &message), 0);
    cr_assert_eq(ctl_json_print(v, false, &out), 0);
    cr_assert_str_eq(out.data, "[0.5,1000.0]");
    (void)snprintf(after, sizeof(after), "%.1f", 1.5);
    cr_assert_str_eq(before, after);
    broker_buffer_free(&buf);
    broker_buffer_free(&out);
}

Test(json, utf8_at_the_bounds)
{
    static const struct {
        const char *text;
        bool valid;
    } texts[] = {{"", true}, {"\x7f", true}, {"\x80", false}, {"\xbf", false}, {"\xc0\xaf", false},
        {"\xc1\xbf", false}, {"\xc2\x80", true}, {"\xdf\xbf", true}, {"\xc2", false},
        {"\xc2"
         "a",
            false},
        {"\xe0\x9f\xbf", false}, {"\xe0\xa0\x80", true}, {"\xed\x9f\xbf", true},
        {"\xed\xa0\x80", false}, {"\xee\x80\x80", true}, {"\xef\xbf\xbf", true},
        {"\xe2\x82", false},
        {"\xe2\x82"
         "a",
            false},
        {"\xf0\x8f\xbf\xbf", false}, {"\xf0\x90\x80\x80", true}, {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false}, {"\xf5\x80\x80\x80", false}, {"\xf0\x90\x80", false},
        {"\xff", false}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        cr_assert_eq(
            ctl_utf8_valid(texts[i].text, strlen(texts[i].text)), texts[i].valid, "text %zu", i);
}

/*
 * The form in which @data comes back from a round trip: the shortest of everything, with one NaN
 * and no float32, but with bools, doubles and integers apart and every pair in its place.
 */
static size_t canonical(const uint8_t *data, size_t size, uint8_t *out)
{
    const uint8_t *end = data + size;
    struct bri_head h;
    uint8_t *p = out;

    while (data < end) {
        data = bri_head_read(data, end, &h);
        cr_assert_not_null(data);
        if (h.kind == BRI_KIND_ARRAY)
            p += bri_array_header(h.count, p);
        else if (h.kind == BRI_KIND_MAP)
            p += bri_map_header(h.count, p);
        else if (h.kind == BRI_KIND_NIL)
            p += bri_value_encode(broker_nil(), p);
        else if (h.kind == BRI_KIND_BOOL)
            p += bri_value_encode(broker_bool(h.b), p);
        else if (h.kind == BRI_KIND_INT)
            p += bri_value_encode(broker_int(h.i), p);
        else if (h.kind == BRI_KIND_UINT)
            p += bri_value_encode(broker_uint(h.u), p);
        else if (h.kind == BRI_KIND_DOUBLE)
            p += bri_value_encode(broker_double(isnan(h.d) ? (double)NAN : h.d), p);
        else if (h.kind == BRI_KIND_STR)
            p += bri_value_encode(broker_strn((const char *)h.body, h.count), p);
        else if (h.kind == BRI_KIND_BIN)
            p += bri_value_encode(broker_bin(h.body, h.count), p);
        else {
            p += bri_ext_header(h.count, h.ext_type, p);
            memcpy(p, h.body, h.count);
            p += h.count;
        }
    }
    return (size_t)(p - out);
}

Test(json, every_value_comes_back)
{
    const uint64_t seed = random_seed();
    struct random r = {seed};
    broker_buffer buf = BROKER_BUFFER_INIT;
    broker_buffer text = BROKER_BUFFER_INIT;

    for (unsigned int i = 0; i < 20000; i++) {
        uint8_t data[400];
        uint8_t expected[2 * sizeof(data)];
        size_t size = random_value(&r, data, 1 + random_below(&r, sizeof(data)), 6);
        size_t n_expected = canonical(data, size, expected);
        const char *message = "";
        broker_value v;

        cr_assert_eq(ctl_json_print(broker_packed(data, size), i % 2 == 0, &text), 0);
        cr_assert_eq(strlen(text.data), text.size);
        cr_assert_eq(parse(text.data, text.size, &buf, &v, &message), 0,
            "seed %#llx, input %u: %s: %s", (unsigned long long)seed, i, (char *)text.data,
            message);
        cr_assert_eq(buf.size, n_expected, "seed %#llx, input %u: %s", (unsigned long long)seed, i,
            (char *)text.data);
        cr_assert_eq(memcmp(buf.data, expected, n_expected), 0, "seed %#llx, input %u: %s",
            (unsigned long long)seed, i, (char *)text.data);
    }
    broker_buffer_free(&buf);
    broker_buffer_free(&text);
}

/* Damaged texts are refused with a reason, or are the text of something that comes back. */
Test(json, damaged_texts)
{
    const uint64_t seed = random_seed();
    struct random r = {seed};
    broker_buffer text = BROKER_BUFFER_INIT;
    broker_buffer buf = BROKER_BUFFER_INIT;
    unsigned int n_accepted = 0;

    for (unsigned int i = 0; i < 20000; i++) {
        uint8_t data[100];
        char damaged[2000];
        size_t size = random_value(&r, data, sizeof(data), 4);
        const char *message = NULL;
        broker_value v;
        int got;

        cr_assert_eq(ctl_json_print(broker_packed(data, size), i % 2 == 0, &text), 0);
        if (text.size > sizeof(damaged))
            continue;
        memcpy(damaged, text.data, text.size);
        size = random_damage(&r, (uint8_t *)damaged, text.size, sizeof(damaged));
        got = parse(damaged, size, &buf, &v, &message);
        cr_assert(got == 0 || got == BROKER_INVALID || got == BROKER_TOODEEP,
            "seed %#llx, input %u", (unsigned long long)seed, i);
        cr_assert_eq(
            got == 0, message == NULL, "seed %#llx, input %u", (unsigned long long)seed, i);
        if (got < 0)
            continue;
        n_accepted++;
        cr_assert_eq(bri_value_check(buf.data, buf.size), 0, "seed %#llx, input %u",
            (unsigned long long)seed, i);
        cr_assert_eq(ctl_json_print(v, false, &text), 0);
    }
    cr_assert_gt(n_accepted, 500);
    broker_buffer_free(&text);
    broker_buffer_free(&buf);
}
