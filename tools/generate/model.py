"""What a checked schema is made of, with the names that each part has in C."""

from dataclasses import dataclass, field

MODES = {  # and what each does, in the order of their numbers
    "BROKER_OPEN_OR_CREATE": "open the object if it is there, else create it",
    "BROKER_CREATE": "create the object; fail if it is there",
    "BROKER_OPEN": "open the object; fail if it is not there",
}
MAX_RESULTS = 4  # of struct bri_call
CELLS = ("text", "number", "bytes", "time", "duration")  # kinds of columns
FOREVER = (1 << 63) - 1
OMITTED = -(1 << 63)


@dataclass
class Error:
    name: str
    number: int
    error_class: str
    exit_code: int
    text: str

    @property
    def constant(self):
        return "BROKER_" + self.name


@dataclass
class Argument:
    name: str
    kind: object
    doc: str
    has_default: bool
    default: object
    as_option: bool  # on the command line: --name instead of a place

    @property
    def c_name(self):
        return self.name + self.kind.suffix

    @property
    def may_be_null(self):
        return self.kind.name == "string" and self.has_default


@dataclass
class Column:
    """What brokerctl shows of each map of an array."""

    key: str
    cell: str

    @property
    def title(self):
        """Units are for programs."""
        return self.key.removesuffix("_ns").removesuffix("_bytes").replace("_", " ").upper()


@dataclass
class Result:
    name: str
    kind: object
    doc: str
    optional: bool
    columns: list = field(default_factory=list)

    @property
    def c_name(self):
        return "out_" + self.name


@dataclass
class Option:
    name: str
    kind: object
    doc: str
    needed: bool = False

    @property
    def c_name(self):
        return self.name + self.kind.suffix


@dataclass
class Operation:
    type: object
    name: str
    doc: str
    detail: str
    args: list
    results: list
    success: str
    blocks: bool
    changes: bool
    own_errors: dict
    crash: str
    command: str
    destroys: bool
    creates: bool
    example: list
    errors: list = field(default_factory=list)  # of (Error, when): its specific ones, then the common ones
    n_specific: int = 0

    @property
    def has_buffer(self):
        return any(result.kind.packed for result in self.results)

    @property
    def constant(self):
        return "BRI_OP_%s_%s" % (self.type.name.upper(), self.name.upper())

    @property
    def slot(self):
        """Its member in struct bri_engine_ops."""
        return "%s_%s" % (self.type.name, self.name)

    @property
    def function(self):
        return "%s_%s" % (self.type.c_name, self.name)


@dataclass
class Type:
    name: str
    number: int
    c_name: str
    header: str
    handle: str
    doc: str
    detail: str
    options: list
    example: list
    operations: list = field(default_factory=list)
    own_open: bool = False  # bri_<type>_open() is written by hand
    open_errors: dict = field(default_factory=dict)  # when opening gives them, where that is not as for every type

    @property
    def is_object(self):
        """Whether it is something with a name in an arena; the other one is the arena."""
        return self.number > 0

    @property
    def constant(self):
        return "BRI_TYPE_" + self.name.upper()

    @property
    def open_constant(self):
        return "BRI_OP_%s_OPEN" % self.name.upper()

    @property
    def options_type(self):
        return self.c_name + "_options"


@dataclass
class Opening:
    doc: str
    detail: str
    name_doc: str
    options_doc: str
    success: str
    errors: list
    crash: str


@dataclass
class Closing:
    doc: str
    detail: str
    crash: str


@dataclass
class Schema:
    errors: list
    types: list
    common_options: list
    hand_written: list
    shared_errors: dict  # of every operation, of those on objects, and of those that change something
    opening: Opening
    closing: Closing

    @property
    def objects(self):
        return [kind for kind in self.types if kind.is_object]

    @property
    def operations(self):
        return [operation for kind in self.types for operation in kind.operations]

    def options_of(self, kind):
        return self.common_options + kind.options

    def open_errors_of(self, kind):
        own = dict(kind.open_errors)
        common = [(error, own.pop(error.name, when)) for error, when in self.opening.errors]
        return sorted(common + [(error, own[error.name]) for error in self.errors if error.name in own],
                      key=lambda cause: -cause[0].number)

    def operation_constants(self):
        """All of enum bri_op, in order, each with the name that people read."""
        for kind in self.types:
            if kind.is_object:
                yield kind.open_constant, kind.name + ".open"
            for operation in kind.operations:
                yield operation.constant, "%s.%s" % (kind.name, operation.name)
