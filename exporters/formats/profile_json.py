"""Our own JSON: all that a profile holds, read back without loss."""

import json
from importlib.resources import files

from algoprof.profiles.codec import to_json
from algoprof.profiles.tree import Profile


def profile_json(profile: Profile) -> str:
    """Return a profile as `Profile.load` reads it; `profile_schema` describes it.

    >>> print(profile_json(Profile("job", ())), end="")
    {"algoprof":1,"name":"job","roots":[]}
    """
    return json.dumps(to_json(profile), separators=(",", ":"), allow_nan=False) + "\n"


def profile_schema() -> str:
    """Return the JSON Schema of what `profile_json` gives, as text.

    >>> json.loads(profile_schema())["title"]
    'A profile of algoprof'
    """
    return (files("algoprof.profiles") / "profile.schema.json").read_text(encoding="utf-8")
