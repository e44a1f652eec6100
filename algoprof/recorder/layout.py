"""The flight file's bytes: the one place that knows them.

A sparse file of 64 KiB segments, mapped whole and backed segment by segment as they are taken into use::

    segment 0     header page | segment directory | run table
    segment 1..   NAMES       256 slots: what sections are called, and where they are written
                  HOME        a thread's first: block header | open entries | node rows
                  NODES       more node rows for one block
                  OPENS       more open entries for one block
                  ATTRIBUTES  256 slots: attributes of open sections, for one block
                  FOLDED      in the directory's totals: pid and start time of the last processes added to them
                  ENVIRONMENT a record for each slot of the run table, and one for the process
                  STACKS      2048 nodes of a tree of stack samples; the first two of a tree are its header
                  CODES       256 slots: the functions in one such tree

Everything is little-endian and made of 8-byte words; `*_AT` are byte offsets, the constants of a record are word
offsets within it. A record is referred to by its byte offset / 64, so that a reference fits into 32 bits; 0 is none.
Each block and each tree of samples has one writer, a thread. What makes a record visible is written last: a node's run
serial, an open entry's node, a run's serial, a sample's kind, a name's count, a segment's count, the magic. A node
row's sequence number is odd while its writer changes the row; whoever reads it twice the same and even has read a true
row.
"""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

MAGIC = int.from_bytes(b"ALGOPROF", "little")
VERSION = 1
WORD: "Literal['l', 'q']" = "l" if struct.calcsize("l") == 8 else "q"
"""How `struct` and `memoryview` call a word: of two names for it, a C long's is the one they convert faster."""

SEGMENT_BYTES = 64 * 1024
SEGMENT_COUNT = 768
FILE_BYTES = SEGMENT_BYTES * SEGMENT_COUNT  # 48 MiB
UNIT = 64  # what references count in

# Segment kinds, in the directory.
NAMES, HOME, NODES, OPENS, ATTRIBUTES, ENVIRONMENT, FOLDED, STACKS, CODES = 1, 2, 3, 4, 5, 6, 7, 8, 9

# The header page.
HEADER_MAGIC = 0
HEADER_VERSION = 1
HEADER_PID = 2
HEADER_START_TIME = 3  # of the process, in clock ticks since boot: tells a reused pid
HEADER_BOOT_ID = 4  # 2 words
HEADER_PARENT_RUN = 6  # 2 words, of a worker: the run that was open where it was started
HEADER_MONOTONIC = 8  # this moment on the monotonic clock ...
HEADER_WALL = 9  # ... was that one on the wall clock
HEADER_SEGMENTS = 10
HEADER_NAMES = 11
HEADER_CLOSED = 12  # monotonic, the moment of a clean exit; 0 before one
HEADER_HEARTBEAT = 13  # monotonic, now and then while a run has a deadline
HEADER_SIGNAL = (
    14  # a signal that has this process write its stacks; 0 is none; in the high half, its descriptor for them
)
HEADER_RUN_SERIAL = 15
HEADER_ERRORS = 16  # of ours, swallowed
HEADER_DROPPED_NAMES = 17
HEADER_SHARED_RUNS = 18  # runs that found no slot
HEADER_SHARED_THREADS = 19  # threads that found no block
HEADER_PARENT_PID = 20  # of a worker: the process that started it ...
HEADER_PARENT_START = 21  # ... and when that one started
HEADER_MEMORY_GROUP = 22  # inode of the file at MEMORY_EVENTS_AT; 0 if the machine tells of no memory group
HEADER_OOM_KILLS = 23  # processes of that group that the kernel had killed for want of memory, when last observed
HEADER_BIRTH = 24  # of the directory's totals: what tells them from others that had to replace them
HEADER_FOLDED = 25  # and how many processes they hold
HEADER_SUPERVISIONS = 26  # 6 words: who watches over this process, the outermost first; 0 is nobody
SUPERVISIONS = 6
PROGRAM_AT, PROGRAM_BYTES = 512, 256
PYTHON_AT, PYTHON_BYTES = 768, 64
ALGOPROF_AT, ALGOPROF_BYTES = 832, 64
MEMORY_EVENTS_AT, MEMORY_EVENTS_BYTES = 1024, 512  # the file in which the kernel counts HEADER_OOM_KILLS

# The segment directory: an entry is kind (16 bits), ordinal among its kind and owner (16), owner's HOME segment (32).
DIRECTORY_AT = 4096
DIRECTORY_ENTRY = struct.Struct("<HHI")

# The run table.
RUNS_AT = DIRECTORY_AT + SEGMENT_COUNT * 8 + 2048
RUN_BYTES = 256
RUN_COUNT = (SEGMENT_BYTES - RUNS_AT) // RUN_BYTES
RUN_WORDS = RUN_BYTES // 8
RUN_SERIAL = 0
RUN_STATE = 1
RUN_NAME = 2
RUN_ID = 3  # 2 words
RUN_PARENT = 5  # 2 words: the run id of the run around it
RUN_PARENT_SPAN = 7
RUN_STARTED = 8
RUN_ENDED = 9
RUN_TIMEOUT = 10
RUN_SPENT = 11  # of the timeout, before the run began
RUN_SOURCE = 12  # name of the timeout's source
RUN_CPU = 13  # of the process: at the start while open, spent when ended
RUN_FOLDED = 14
RUN_DROPPED = 15
RUN_RUNS = 16  # how many runs, in a cumulative one
RUN_FAILED = 17
RUN_FLAGS = 18
RUN_ROOT = 19  # reference of the root's node row
RUN_THRESHOLD = 20  # the highest threshold reached, in millionths of the timeout
RUN_REQUEST = 24  # 8 words
REQUEST_BYTES = 64
OPEN, ENDED, CUMULATIVE = 1, 2, 3  # states
INEXACT, PART, ADDED = 1, 2, 4  # flags; a part is a worker's, of a run in another process; added to the cumulative one

# Names: a word of lengths and line, then the bytes.
NAME_BYTES_EACH = 256
NAMES_PER_SEGMENT = SEGMENT_BYTES // NAME_BYTES_EACH
NAME_LIMIT = 4096  # names in a file
NAME_HEAD = struct.Struct("<HHI")  # bytes of the name, bytes of the module, line
NAME_MAX, MODULE_MAX = 160, 88

# A block: header, open entries, node rows.
BLOCK_STATE = 0
BLOCK_THREAD = 1  # native id
BLOCK_UNLISTED = 2  # occurrences open that found no entry
BLOCK_DROPPED = 3  # attributes left out or cut
BLOCK_IDENT = 4  # what Python calls the thread
BLOCK_LIVE, BLOCK_FREE, BLOCK_SHARED, BLOCK_TOTALS = 1, 2, 3, 4
BLOCK_SEGMENTS = 32  # 2 MiB a thread
HOME_OPENS_AT = 512
HOME_OPENS = 120
HOME_NODES_AT = HOME_OPENS_AT + HOME_OPENS * UNIT

# An open entry.
OPEN_BYTES = 64
OPENS_PER_SEGMENT = SEGMENT_BYTES // OPEN_BYTES
OPEN_NODE = 0  # reference of the node row (32 bits), flags (32)
OPEN_STARTED = 1
OPEN_PARENT = 2  # reference of the parent's node row
OPEN_ATTRIBUTES = 3  # reference of an attribute slot
OPEN_SPAN = 4
OPEN_PARENT_SPAN = 5
OPEN_ACTIVE = 6  # nanoseconds it has run, where its steps are timed
NESTED, RECURSIVE, STEPS_OF_COROUTINE, STEPS_OF_GENERATOR = 1, 2, 4, 8  # flags
REFERENCE_MASK = (1 << 32) - 1

# A node row: counters, histogram, sampled spans.
NODE_SEQUENCE = 0
NODE_RUN = 1  # serial of its run
NODE_PARENT = 2  # reference of the parent's row (32 bits), name (32)
NODE_FLAGS = 3
NODE_COUNT = 4
NODE_TOTAL = 5
NODE_NESTED = 6  # signed: the inner occurrences of a recursion are given back here
NODE_SHORTEST = 7
NODE_LONGEST = 8
NODE_ERRORS = 9
NODE_ACTIVE = 10
NODE_RECURSIONS = 11  # entries counted in NODE_COUNT, whose time is in the outermost one's
NODE_CPU = 12
NODE_DEVICE = 13
NODE_SUMS = (NODE_COUNT, NODE_TOTAL, NODE_ERRORS, NODE_ACTIVE, NODE_RECURSIONS, NODE_CPU, NODE_DEVICE)
NODE_HISTOGRAM = 16
HISTOGRAM_WORDS = 312
NODE_SPANS = NODE_HISTOGRAM + HISTOGRAM_WORDS
SPAN_WORDS = 32
FIRST, SLOWEST, FAILED = 0, 1, 2  # the three sampled spans
NODE_WORDS = NODE_SPANS + 3 * SPAN_WORDS
NODE_BYTES = NODE_WORDS * 8
HOME_NODES = (SEGMENT_BYTES - HOME_NODES_AT) // NODE_BYTES
NODES_PER_SEGMENT = SEGMENT_BYTES // NODE_BYTES
OTHER_RUNS = "(other runs)"  # the name of the cumulative tree of the runs whose own names have none
FOLDED_NAME = "(folded)"  # the name under which occurrences stand for which there is no row
NODE_LIMIT = 512  # rows in a thread's block
TOTALS_LIMIT = 2048  # rows in the cumulative trees' block
CONCURRENT, STEPPED, INHERITED = 1, 2, 4  # flags: beside its parent; its steps are timed; a worker's root
SUMMED = 8  # a flag too: the row is added to that of the cumulative tree

# A sampled span.
SPAN_ID = 0  # 0: no span here
SPAN_PARENT = 1
SPAN_STARTED = 2
SPAN_ENDED = 3
SPAN_THREAD = 4
SPAN_ERROR = 5  # name of the exception's type
SPAN_ATTRIBUTES = 6  # to the end
SPAN_ATTRIBUTES_BYTES = (SPAN_WORDS - SPAN_ATTRIBUTES) * 8

# An attribute slot.
ATTRIBUTES_BYTES_EACH = 256
ATTRIBUTES_PER_SEGMENT = SEGMENT_BYTES // ATTRIBUTES_BYTES_EACH

# What was around a run. A record stands at its run's position in the run table; the process's, which has the latest
# readings of what is counted, stands behind them. -1 is what the machine does not tell, or not yet.
ENVIRONMENT_WORDS = 32
ENVIRONMENT_SERIAL = 0  # of the run
ENVIRONMENT_CPU_COUNT = 1
ENVIRONMENT_CPU_QUOTA = 2  # millionths of a processor
ENVIRONMENT_LOAD = 3  # average over a minute, in millionths, when the run began
ENVIRONMENT_MEMORY_LIMIT = 4
ENVIRONMENT_MEMORY_PEAK = 5  # of the process
ENVIRONMENT_GROUP_PEAK = 6  # of its control group
ENVIRONMENT_ALLOCATION_PEAK = 7  # over what was allocated when the run began
ENVIRONMENT_GC_LONGEST = 8
ENVIRONMENT_COUNTERS = 9  # from here on: during the run, written at its end
ENVIRONMENT_PERIODS = 9
ENVIRONMENT_THROTTLED_PERIODS = 10
ENVIRONMENT_THROTTLED = 11  # nanoseconds, of all processors together
ENVIRONMENT_GC_PAUSES = 12
ENVIRONMENT_GC_PAUSED = 13  # nanoseconds
ENVIRONMENT_CPU = 14  # nanoseconds, of the process
ENVIRONMENT_COUNTERS_END = 15
ENVIRONMENT_BEFORE = 16  # added to a counter's word: what the process's counter was when the run began

# A tree of stack samples: runs and their open sections, outermost first, and below them frames, outermost first. Its
# first segment's directory entry names itself as the owner, and the others of it name that one.
STACK_BYTES = 32
STACK_WORDS = STACK_BYTES // 8
STACKS_PER_SEGMENT = SEGMENT_BYTES // STACK_BYTES
STACK_SEGMENTS = 16
STACKS_INTERVAL = 0  # its header: nanoseconds between two ticks
STACKS_CODES = 1  # how many there are
STACKS_NODES = 2  # how many were ever taken into use, the header's two included
STACKS_FOLDED = 3  # ticks that count at a node above their own, since there was no room
STACKS_SAMPLER = 4  # who took the samples
STACKS_LAST = 5  # monotonic, the moment of the last sample
BY_SIGNAL, BY_THREAD, SIGNAL_LOST = 1, 2, 4  # flags, of the sampler
FIRST_STACK = 2
STACK_LINK = 0  # number of the parent's node (32 bits; 0 is none), number of the name or of the code (32)
STACK_KIND = 1  # kind (32 bits; 0 for a free node), and what goes with it (32): a frame's line, an open run's serial
STACK_TICKS = 2  # counted here, and at none of the nodes below
STACK_SAMPLES = 3  # in so many samples
STACK_RUN, STACK_SECTION, STACK_FRAME = 1, 2, 3  # kinds
STACK_BESIDE, STACK_CUT = 4, 5  # more: the frames below are not the main thread's; more frames were above those below
STACK_DEPTH = 128  # frames of a sample, the innermost

CODE_BYTES_EACH = 256
CODES_PER_SEGMENT = SEGMENT_BYTES // CODE_BYTES_EACH
CODE_LIMIT = 4096  # functions in a tree
CODE_HEAD = struct.Struct("<HHI")  # bytes of the name, bytes of the file, first line
CODE_NAME_MAX, CODE_FILE_MAX = 96, 152

SEGMENT_WORDS = SEGMENT_BYTES // 8
FOLDED_LIMIT = SEGMENT_WORDS // 2  # processes that the directory's totals remember by name

KEY_MAX, VALUE_MAX = 48, 96
_LENGTH = struct.Struct("<H")
_INTEGER = struct.Struct("<q")
_FLOAT = struct.Struct("<d")


def encode_attributes(attributes: dict[str, object], room: int = SPAN_ATTRIBUTES_BYTES) -> tuple[bytes, int]:
    """Return the attributes as bytes, at most `room` of them, and how many attributes were left out or cut.

    Values other than text, numbers and booleans are kept as their text.

    >>> encode_attributes({"model": "v3", "labels": 7})[1]
    0
    """
    body = bytearray()
    lost = 0
    for key, value in attributes.items():
        name = key.encode("utf-8", "replace")
        tag, data = _encode_value(value)
        if len(name) > KEY_MAX or len(data) > VALUE_MAX:
            lost += 1
            name, data = _cut(name, KEY_MAX), _cut(data, VALUE_MAX)
        if len(body) + len(name) + len(data) + 5 > room:
            lost += 1
            continue
        body += bytes((len(name), tag, len(data))) + name + data
    return _LENGTH.pack(len(body)) + body, lost


def decode_attributes(data: bytes) -> dict[str, str | int | float | bool]:
    """Return the attributes that `encode_attributes` packed; whatever is torn ends them.

    >>> decode_attributes(encode_attributes({"model": "v3", "ok": True, "share": 0.5, "n": -1})[0])
    {'model': 'v3', 'ok': True, 'share': 0.5, 'n': -1}
    """
    attributes: dict[str, str | int | float | bool] = {}
    end = min(len(data), 2 + _LENGTH.unpack_from(data)[0]) if len(data) >= _LENGTH.size else 0
    at = 2
    while at + 3 <= end:
        name_length, tag, length = data[at : at + 3]
        name, value = data[at + 3 : at + 3 + name_length], data[at + 3 + name_length : at + 3 + name_length + length]
        at += 3 + name_length + length
        if at > end:
            break
        decoded = _decode_value(tag, value)
        if decoded is not None:
            attributes[name.decode("utf-8", "replace")] = decoded
    return attributes


def _encode_value(value: object) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return ord("b"), bytes((value,))
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return ord("i"), _INTEGER.pack(value)
    if isinstance(value, float):
        return ord("f"), _FLOAT.pack(value)
    try:
        return ord("s"), str(value).encode("utf-8", "replace")
    except Exception:  # noqa: BLE001  (a value that cannot show itself)
        return ord("s"), f"({type(value).__name__})".encode()


def _decode_value(tag: int, data: bytes) -> str | int | float | bool | None:
    if tag == ord("s"):
        return data.decode("utf-8", "replace")
    if tag == ord("b") and len(data) == 1:
        return bool(data[0])
    if tag == ord("i") and len(data) == _INTEGER.size:
        return int(_INTEGER.unpack(data)[0])
    if tag == ord("f") and len(data) == _FLOAT.size:
        return float(_FLOAT.unpack(data)[0])
    return None


def _cut(data: bytes, limit: int) -> bytes:
    """Cut UTF-8 at a character's end."""
    return data[:limit].decode("utf-8", "ignore").encode()
