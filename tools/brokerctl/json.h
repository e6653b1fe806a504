/*
 * JSON to values and back, for the command line.
 *
 * Every value can be written as JSON and read back. What JSON has no word for is spelled out:
 *
 *   {"$bin": "base64"}                 a byte string
 *   {"$str": "base64"}                 a string that is not valid UTF-8
 *   {"$ext": [type, "base64"]}         an extension; timestamps have type -1
 *   {"$ref": "slot:generation:arena"}  a reference to an object; only good where it came from
 *   {"$float": "nan"}                  or "inf", "-inf" (which of the many NaNs it was is lost)
 *   {"$map": [[key, value], ...]}      a map with a key that is not a string in UTF-8, that begins
 *                                      with "$", has a NUL in it, or comes twice
 *
 * Numbers with a point or an exponent are doubles, others are integers of up to 64 bits. Of a key
 * that comes twice in an object the last value counts.
 */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <broker/value.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Read the JSON text of @n bytes (which need not end with NUL) into *out, which points into @buf.
 * BROKER_INVALID or BROKER_TOODEEP, with the reason in *out_message, a constant; BROKER_TOOBIG or
 * BROKER_NOMEM, where it is NULL.
 */
int ctl_json_parse(
    const char *text, size_t n, broker_buffer *buf, broker_value *out, const char **out_message);

/*
 * Write @v as JSON into @text, on one line, or indented if @pretty. A NUL follows that text->size
 * does not count. BROKER_INVALID or BROKER_TOODEEP if @v is packed and not one msgpack value;
 * BROKER_TOOBIG; BROKER_NOMEM.
 */
int ctl_json_print(broker_value v, bool pretty, broker_buffer *text);

#endif
