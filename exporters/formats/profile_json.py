"""Our own JSON, indented for people: all that a profile holds, read back without loss."""

import json

from algoprof.profiles.codec import to_json
from algoprof.profiles.tree import Profile


def profile_json(profile: Profile) -> str:
    """Return a profile as `Profile.load` reads it; `profile.schema.json` beside the codec describes it.

    >>> print(profile_json(Profile("job", ())), end="")
    {
     "algoprof": 1,
     "name": "job",
     "roots": []
    }
    """
    return json.dumps(to_json(profile), indent=1, allow_nan=False) + "\n"
