"""The kinds of arguments, results and options, and what each is in C.

A kind is the one place where the schema's words meet C types: the generators ask it and never look at its name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    name: str
    c_type: str
    doc: str
    packed: bool = False  # travels as a broker_value; as a result it lies in the caller's buffer
    field: str = ""  # member of the dispatcher's converted argument
    to_value: str = ""  # C expression that makes a broker_value of {}
    result: bool = True
    option: bool = False
    suffix: str = ""  # appended to an argument's name in C
    argument: bool = True

    @property
    def constant(self):
        return "BRI_ARG_" + self.name.upper()


_KINDS = (
    Kind("key", "broker_value", "nil, bool, int, double, str, bin, or an array of these", packed=True,
         field="value"),
    Kind("value", "broker_value", "any value", packed=True, field="value"),
    Kind("map", "broker_value", "a map", packed=True, field="value"),
    Kind("array", "broker_value", "an array", packed=True, field="value"),
    Kind("i64", "int64_t", "a whole number of 64 bits", field="i", to_value="broker_int({})",
         option=True),
    Kind("u64", "uint64_t", "a whole number of 64 bits, not negative", field="u",
         to_value="from_u64({})", option=True),
    Kind("count", "uint64_t", "how many, not negative", field="u", to_value="from_u64({})",
         option=True),
    Kind("bool", "bool", "true or false", field="b", to_value="broker_bool({})", option=True),
    Kind("duration", "int64_t", "nanoseconds; 0 does not wait", field="i", suffix="_ns",
         result=False, option=True),
    Kind("period", "int64_t", "nanoseconds that nobody waits for", field="i", suffix="_ns",
         result=False),
    Kind("number", "broker_value", "a whole number or a double; true and false count as 1 and 0",
         field="value", to_value="{}", option=True),
    Kind("string", "const char *", "a name or a part of one: at most 255 bytes of UTF-8", field="text",
         result=False, option=True),
    Kind("token", "uint64_t", "a number that grows with each acquisition", field="u",
         to_value="from_u64({})"),
    Kind("mode", "broker_mode", "open or create (0), create (1), open (2)", field="u",
         argument=False, result=False, option=True),
)

KINDS = {kind.name: kind for kind in _KINDS}
