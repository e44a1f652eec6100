"""The lines by which a log gives itself away: patterns, each with the reason that it stands for.

The order is that of precedence: what is further up is nearer to the cause. A compiler that is missing makes a wheel
fail, which makes pip fail, which makes docker fail; all four are said, and the first is the reason.
"""

import re
from dataclasses import dataclass

from algoprof.calls.diagnosis.reasons import Reason

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_COMPILER = r"(?:[\w.-]{1,40}-)?(?:gcc|g\+\+|cc|c\+\+|cc1plus|clang|clang\+\+|gfortran|nvcc|rustc|cargo)(?:-\d{1,3})?"

INTERESTING = re.compile(
    r"error|fail|not found|no such|cannot|can't|could not|unable|missing|denied|killed|no space|memory|invalid|mismatch"
    r"|not match|conflict|require|not support|refused|timed out|not a |is not |not installable|externally|neither"
    r"|double requirement|read-only|broken|BadZip|exceeded|hash|must be installed|already in|deprecated|credentials"
    r"|reset",
    re.IGNORECASE,
)
"""What every clue's line has in it: most lines of a log are told apart from clues by this alone."""


@dataclass(frozen=True, slots=True)
class Clue:
    """A line that gives a reason away.

    Args:
        reason: what it stands for.
        pattern: what is searched for in a line. Its groups `package` and `version` say who is at fault, `what` says
            which file, program, module or requirement it is about.
    """

    reason: Reason
    pattern: re.Pattern[str]


def _clue(reason: Reason, *patterns: str) -> list[Clue]:
    return [Clue(reason, re.compile(pattern)) for pattern in patterns]


CLUES = (
    # The machine.
    *_clue(Reason.disk_full, r"\[Errno 28\]|No space left on device|[Dd]isk quota exceeded"),
    *_clue(
        Reason.out_of_memory,
        r"virtual memory exhausted|cc1(?:plus)?: out of memory|(?:^|\s)MemoryError|\[Errno 12\] Cannot allocate memory",
        r"fatal error: Killed signal terminated program|internal compiler error: Killed",
        r"[Cc]annot allocate memory|std::bad_alloc|failed to map segment from shared object",
    ),
    *_clue(Reason.killed, r"^Killed$|died with <Signals\.SIGKILL", r"command .{1,200} terminated by signal 9"),
    *_clue(Reason.externally_managed, r"error: externally-managed-environment"),
    # What the requirements say.
    *_clue(
        Reason.invalid_requirement,
        r"Invalid requirement: ['\"](?P<what>(?!\./|/)[^'\"]{1,200})['\"]",
        r"\[(?:line|Line) \d{1,9} in \S{1,200}\]\s*(?P<what>.{1,200})$",
        r"no such option: (?P<what>\S{1,200})",
        r"ERROR: Could not parse .{0,60}requirements? (?:file)?",
    ),
    *_clue(
        Reason.file_missing,
        r"Invalid requirement: ['\"](?P<what>\.{0,2}/[^'\"]{1,200})['\"]",
        r"Could not open requirements file: .{0,40}No such file or directory: ['\"](?P<what>[^'\"]{1,300})['\"]",
        r"(?:COPY|ADD) failed: .{0,200}stat (?P<what>[^:]{1,300}): (?:file does not exist|no such file)",
        r"failed to (?:calculate checksum|compute cache key).{0,120}\"/?(?P<what>[^\"]{1,300})\": not found",
        r"ERROR: Directory '(?P<what>[^']{1,300})' is not installable",
        r"ERROR: File .{0,20}(?P<what>/\S{1,300}).{0,4} does not exist",
        r"Requirement '(?P<what>[^']{1,300})' looks like a filename, but the file does not exist",
    ),
    *_clue(
        Reason.hash_mismatch,
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        r"Hashes are required in --require-hashes mode, but they are missing",
        r"Can't verify hashes for these",
        r"In --require-hashes mode, all requirements must have their versions pinned",
    ),
    *_clue(
        Reason.conflict,
        r"because these package versions have conflicting dependencies",
        r"Double requirement given: (?P<package>[A-Za-z0-9._-]{1,100})(?:==(?P<version>[\w.]{1,60}))?",
        r"ResolutionImpossible|ResolutionTooDeep|resolution-too-deep",
        r"pkg_resources\.(?:Contextual)?VersionConflict",
    ),
    # What a build from source needs.
    *_clue(
        Reason.compiler_missing,
        rf"unable to execute ['\"]?(?P<what>{_COMPILER})['\"]?: No such file",
        rf"No such file or directory: ['\"](?P<what>{_COMPILER})['\"]",
        rf"command ['\"](?P<what>{_COMPILER})['\"] failed: No such file",
        rf"(?:^|[\s:/])(?P<what>{_COMPILER}): (?:command )?not found",
        r"can't find (?P<what>Rust) compiler|(?P<cargo>Cargo), the Rust package manager, is not installed",
        r"Unknown compiler\(s\): \[\[['\"](?P<what>[\w+.-]{1,40})['\"]",
        r"No (?P<what>CMAKE_[A-Z]{1,10}_COMPILER) could be found",
        r"error: Microsoft (?P<what>Visual C\+\+) [\d.]{1,8}",
    ),
    *_clue(
        Reason.library_missing,
        r"fatal error: ['\"]?(?P<what>[\w./+-]{1,200}\.(?:h|hpp|hh))['\"]?(?: file not found|: No such file)",
        r"cannot find (?P<what>-l[\w.+-]{1,100})",
        r"Package ['\"]?(?P<what>[\w.+-]{1,100})['\"]?,? .{0,80}was not found in the pkg-config search path",
        r"No package '(?P<what>[\w.+-]{1,100})' found",
        r"ImportError: (?P<what>lib[\w.+-]{1,100}\.so[.\d]{0,20}): cannot open shared object file",
        r"Could NOT find (?P<what>[\w.+-]{1,100})",
        r"[Pp]lease make sure the (?P<what>lib[\w.+-]{1,100}) .{0,60}(?:packages|libraries) are installed",
        r"[Cc]an not find valid pkg-config name",
    ),
    *_clue(
        Reason.program_missing,
        r"Cannot find command '(?P<what>[\w.+-]{1,60})'",
        r"(?P<what>pg_config) executable not found",
        r"(?P<what>CMake) must be installed",
        r"(?P<what>cmake|ninja|swig|meson|make|pkg-config|mysql_config|mariadb_config|gdal-config|geos-config|nc-config)"
        r"(?:['\"]?: (?:command )?not found|['\"]? (?:is )?not found|: No such file)",
        r"No such file or directory: ['\"](?P<what>(?!Cargo)[\w+-]{1,60})['\"]",
        r"^/bin/(?:ba|da)?sh: (?:line )?(?:\d{1,6}: )?(?P<what>[\w.+-]{1,60}): (?:command )?not found",
        r"E: Unable to locate package (?P<what>[\w.+-]{1,100})",
        r"E: Package '(?P<what>[\w.+-]{1,100})' has no installation candidate",
        r"exec: \"(?P<what>[\w./+-]{1,100})\": executable file not found",
    ),
    *_clue(
        Reason.module_missing,
        r"BackendUnavailable: Cannot import ['\"](?P<backend>[\w.:]{1,200})['\"]",
        r"ModuleNotFoundError: No module named '(?P<what>[\w.]{1,200})'",
        r"ImportError: No module named '?(?P<what>[\w.]{1,200})'?",
        r"ImportError: cannot import name '(?P<what>[\w.]{1,200})'",
        r"pip\._vendor\.\S{1,80}BackendUnavailable",
    ),
    *_clue(
        Reason.permission_denied,
        r"\[Errno 13\] Permission denied(?:: ['\"](?P<what>[^'\"]{1,300}))?",
        r"\[Errno 30\] Read-only file system(?:: ['\"](?P<what>[^'\"]{1,300}))?",
    ),
    # Where packages come from.
    *_clue(
        Reason.access_denied,
        r"(?:401|403|407) (?:Client )?Error",
        r"WARNING: 401 Error, Credentials not correct",
        r"HTTP error (?:401|403|407) while getting (?P<what>\S{1,500})",
        r"User for \S{1,200}: .{0,40}EOFError|EOFError: EOF when reading a line",
        r"fatal: (?:Authentication failed|could not read Username)",
        r"Host key verification failed|Permission denied \(publickey",
    ),
    *_clue(
        Reason.network,
        r"HTTP error (?P<what>\d{3}) while getting (?P<url>\S{1,500})",
        r"fatal: unable to access '(?P<url>[^']{1,500})'",
        r"fatal: (?:repository '(?P<url>[^']{1,500})' (?:not found|does not exist)|Could not read from remote)",
        r"ERROR: Could not install packages due to an (?:OSError|EnvironmentError): HTTPS?ConnectionPool"
        r"(?:.{0,200} with url: (?P<url>\S{1,300}))?",
        r"^E: Failed to fetch (?P<url>\S{1,300})",
        r"(?:ReadTimeoutError|ConnectTimeoutError|IncompleteRead|ProtocolError|ConnectionResetError)\b(?!.{0,300}Retry\()",
        r"ERROR: .{0,200}(?:Max retries exceeded|Read timed out|Connection broken|Connection reset)",
        r"incomplete-download|Download failed after|error: remote-fetch-failed|RemoteDisconnected",
    ),
    *_clue(
        Reason.damaged_package,
        r"Wheel '(?P<package>[A-Za-z0-9._-]{1,100})' located at \S{1,300} is invalid",
        rf"ERROR: (?P<package>{_NAME}) has an invalid wheel",
        r"BadZipFile|zipfile\.BadZipfile|tarfile\.ReadError|invalid-wheel|EOFError: Compressed file ended",
        r"has inconsistent (?:name|version)",
        r"error: invalid-installed-package|Invalid metadata entry|has invalid metadata",
    ),
    # What there is for this Python.
    *_clue(
        Reason.no_wheel_for_this_python,
        r"ERROR: (?P<what>[\w.+!-]{1,200}\.whl) is not a supported wheel on this platform",
        rf"Package ['\"](?P<package>{_NAME})['\"] requires a different Python: "
        r"\S{1,20} not in '(?P<wants>[^']{1,100})'",
        rf"(?P<package>{_NAME}) requires Python '(?P<wants>[^']{{1,100}})' but the running Python is",
        r"RuntimeError: (?:Cannot install on Python version|Python version >= )",
        r"This (?:package|backport) (?:is for|requires|does not).{0,40}Python [\d.]{1,8}",
    ),
    *_clue(
        Reason.no_matching_distribution,
        r"Could not find a version that satisfies the requirement (?P<what>[^()]{1,300}+)"
        r"(?:\(from (?P<by>(?!versions:)[^()]{1,200}+(?:\(line \d{1,6}\))?)\) )?"
        r"\(from versions: (?P<versions>[^()]{0,4000})",
        r"No matching distribution found for (?P<what>\S{1,300})",
    ),
    # A package that cannot be prepared or built.
    *_clue(
        Reason.compilation_failed,
        r"\.(?:c|cc|cpp|cxx|pyx|f90|rs):\d{1,7}:\d{1,7}: (?:fatal )?error: ",
        r"error: could not compile `(?P<what>[\w-]{1,100})`|error\[E\d{4}\]",
        r"[Cc]ommand ['\"].{1,100} failed with exit (?:code|status) \d|' failed with exit (?:code|status) \d",
        r"\]' returned non-zero exit status \d",
        r"error: [Cc]ommand '?\['(?:gcc|g\+\+|cc|clang|x86)",
        r"CMake Error at|FAILED: .{1,200}\.o\b|ninja: build stopped",
    ),
    *_clue(
        Reason.metadata_failed,
        r"error: metadata-generation-failed|error: legacy-install-failure|error: subprocess-exited-with-error",
        r"Command \"?python setup\.py egg_info\"? failed|(?:ERROR: )?Command errored out with exit status",
        r"failed with error code \d",
        r"Failed building wheel for (?P<package>[A-Za-z0-9._-]{1,100})",
        r"BackendUnavailable|pip subprocess to install build dependencies did not run",
    ),
)
"""The most telling ones first."""

MISFIT = re.compile(
    r"pip's dependency resolver does not currently take into account|^(?:ERROR: )?[\w.-]{1,100} [\w.!+]{1,60} "
    r"(?:requires .{1,400}, (?:but you (?:have|will have)|which is not installed)|has requirement )"
)
"""What pip says of versions that do not fit together, and installs all the same."""

RETRY = re.compile(
    r"WARNING: Retrying|Retrying \(Retry\(|Could not fetch URL|There was a problem confirming the ssl certificate"
    r"|connection broken by|Request-sent|too many 5\d\d error responses"
)
"""Trouble with the network that pip goes on after; if it then finds nothing, this is why."""

TROUBLE = re.compile(
    r"(?P<tls>CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerification)|(?P<name>Temporary failure in name resolution"
    r"|Name or service not known|nodename nor servname|Could not resolve host|\[Errno -[2-5]\])"
    r"|(?P<refused>Connection refused|\[Errno 111\]|Could(?:n't| not) connect to server)"
    r"|(?P<slow>[Tt]imed? ?out|ReadTimeout|ConnectTimeout)"
    r"|(?P<status>too many (?P<number>5\d\d) error responses|(?:HTTP error|URL returned error:) (?P<code>\d{3}))"
    r"|(?P<broken>IncompleteRead|Connection (?:broken|reset)|RemoteDisconnected|incomplete-download|ProtocolError)"
)
"""What kind of trouble it is."""
