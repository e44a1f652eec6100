"""What the JSON bodies of the API look like, as JSON Schema: results, errors, resources, listings."""

from typing import Any

Schema = dict[str, Any]


def reference(name: str) -> Schema:
    """Return a reference to a schema of this module."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Schema, optional: Schema | None = None, **more: Any) -> Schema:
    """Return the schema of an object. Others of its properties may come later: a client passes over them."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}, **more}


def listing(item: Schema) -> Schema:
    """Return the schema of one page of items."""
    return record(
        {
            "marker": {"type": ["string", "null"], "description": "Asks for the next page; null on the last."},
            "next_link": {"type": ["string", "null"], "format": "uri", "description": "The next page, ready to ask."},
            "results": {"type": "array", "items": item},
        }
    )


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "number", "minimum": 0, "description": "Seconds."}
MOMENT: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
URI: Schema = {"type": "string", "pattern": "^data://"}
REQUEST_ID: Schema = {"type": "string", "pattern": "^req-[0-9a-f-]{36}$"}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{40}$", "description": "Of the commit, or of the content."}
SEMANTIC: Schema = {"type": "string", "pattern": r"^\d+\.\d+\.\d+$", "examples": ["1.0.3"]}
READ: Schema = record(
    {
        "read": {
            "type": "array",
            "maxItems": 1,
            "items": {"enum": ["algo://.my/*", "user://*"]},
            "description": "Nobody else (an empty list), the algorithms of the owner, or everybody.",
        }
    }
)
INSIGHT_VALUE: Schema = {"type": ["string", "number", "boolean"]}

_ERROR_CODES = {
    1001: "there is no such algorithm",
    1007: "this build is published already",
    1010: "there is no such build",
    1011: "the build has not ended, so it has no log yet",
    1014: "there is no such version",
    2001: "the key may not do that",
    2002: "there is no key, or it is not known",
    2013: "what was sent is no JSON, or not of the form that is wanted",
    2015: "the request cannot be meant",
    5001: "the server has failed, or stops",
    5002: "the marker is none of a page",
    5003: "the limit is none",
    5005: "this server does not do that",
    6001: "a value is out of its bounds",
}

_MEASURED = record(
    {"queue": SECONDS, "load": SECONDS, "run": SECONDS, "total": SECONDS, "timeout": SECONDS},
    {
        "profile": {"type": "object", "description": "Where the time went; after a timeout, or if it was asked for."},
        "span": {**TEXT, "pattern": "^[0-9a-f]{16}$", "description": "The server's own, if it sends spans."},
        "insights": {"type": "object", "additionalProperties": INSIGHT_VALUE},
    },
    description="Where the time of the call went: an extension of this server.",
)

_METADATA: Schema = {"duration": SECONDS, "request_id": REQUEST_ID, "algoprof": reference("Measured")}
_STDOUT: Schema = {"stdout": {**TEXT, "description": "What was printed on stdout and stderr, in order."}}

_BUILD = record(
    {
        "build_id": UUID,
        "commit_sha": HASH,
        "started_at": MOMENT,
        "status": {"enum": ["in-progress", "succeeded", "failed"]},
        "resource_type": {"const": "algorithm_build"},
    },
    {"finished_at": MOMENT, "version_info": record({"semantic_version": SEMANTIC})},
)

_ALGORITHM = record(
    {
        "id": UUID,
        "name": TEXT,
        "details": record({"label": TEXT}),
        "settings": record(
            {
                "algorithm_callability": {"enum": ["public", "private"]},
                "source_visibility": {"enum": ["open", "closed"]},
                "language": TEXT,
                "environment": {"enum": ["cpu", "gpu"]},
                "license": TEXT,
                "network_access": {"enum": ["full", "isolated"]},
                "pipeline_enabled": {"type": "boolean"},
                "insights_enabled": {"type": "boolean"},
            }
        ),
        "resource_type": {"const": "algorithm"},
    },
    {
        "build": reference("Build"),
        "compilation": record({"successful": {"type": "boolean"}}, {"output": {**TEXT, "description": "The log."}}),
        "version_info": record({"git_hash": HASH}, {"semantic_version": SEMANTIC}),
        "self_link": {"type": "string", "format": "uri"},
    },
)

_COLLECTION = record(
    {
        "id": UUID,
        "object_id": UUID,
        "collection_name": TEXT,
        "username": TEXT,
        "acl": record({name: {"type": "boolean"} for name in ("read_w", "read_g", "read_u", "read_a")}),
        "location": URI,
    }
)

SCHEMAS: dict[str, Schema] = {
    "Refusal": record(
        {
            "error": record(
                {
                    "id": UUID,
                    "code": {
                        "enum": list(_ERROR_CODES),
                        "description": "; ".join(f"{code}: {meaning}" for code, meaning in _ERROR_CODES.items()),
                    },
                    "message": {**TEXT, "description": "One sentence, which says what to do."},
                }
            )
        },
        description="Why a request is refused. Its message is in the header `X-Error-Message` too.",
    ),
    "Result": {
        **record(
            {
                "result": {"description": "What the algorithm returned; bytes as base64."},
                "metadata": record({"content_type": {"enum": ["json", "text", "binary"]}, **_METADATA}, _STDOUT),
                "request_id": REQUEST_ID,
            }
        ),
        "not": {"required": ["error"]},
    },
    "Failure": record(
        {
            "error": record(
                {"message": TEXT, "error_type": {**TEXT, "examples": ["AlgorithmError", "TimeoutError"]}},
                {"stacktrace": TEXT, "stack_trace": {**TEXT, "description": "The same, by its other name."}},
            ),
            "metadata": record(_METADATA, _STDOUT),
            "request_id": REQUEST_ID,
        },
        description="The algorithm raised, ended, could not be loaded, or reached its timeout.",
    ),
    "Accepted": record(
        {"async": {"const": True}, "request_id": REQUEST_ID},
        description="With `output=void`: it runs, and its result is nobody's.",
    ),
    "Measured": _MEASURED,
    "Algorithm": _ALGORITHM,
    "Algorithms": listing(reference("Algorithm")),
    "Build": _BUILD,
    "Builds": listing(reference("Build")),
    "Logs": record({"logs": TEXT}),
    "ErrorRow": record(
        {
            "created_at": {**COUNT, "description": "Milliseconds since the Unix epoch."},
            "request_id": REQUEST_ID,
            "username": TEXT,
            "algoname": TEXT,
            "algoversion": TEXT,
            "input": {**TEXT, "maxLength": 128},
            "error": TEXT,
            "error_type": TEXT,
            "billable_to": TEXT,
            "worker": TEXT,
        }
    ),
    "Insights": record(
        {
            "duration_milliseconds": COUNT,
            "algorithm_owner": TEXT,
            "algorithm_name": TEXT,
            "algorithm_version": TEXT,
            "request_id": REQUEST_ID,
            "session_id": {"type": "string", "pattern": "^rses-[0-9a-f-]{36}$"},
            "time": {**TEXT, "description": "In UTC, to the microsecond, without a zone."},
        },
        additionalProperties=INSIGHT_VALUE,
        description="What one execution reported, and whose it was.",
    ),
    "Reported": {
        "type": "array",
        "items": record({"insight_key": {**TEXT, "minLength": 1}, "insight_value": INSIGHT_VALUE}),
        "maxItems": 25,
    },
    "Published": record(
        {},
        {
            "version_info": record(
                {}, {"version_type": {"enum": ["major", "minor", "patch", "revision"], "default": "patch"}}
            )
        },
        description="Which number of the version grows. The first version of all is 1.0.0.",
    ),
    "Listing": record(
        {},
        {
            "folders": {"type": "array", "items": record({"name": TEXT})},
            "files": {
                "type": "array",
                "items": record({"filename": TEXT, "last_modified": MOMENT, "size": COUNT}),
            },
            "marker": {**TEXT, "description": "Asks for the next page; absent on the last."},
            "acl": READ,
        },
        description="A folder; `folders` and `files` are absent where there are none.",
    ),
    "Folder": record({"name": {"type": "string", "pattern": "^[a-zA-Z][a-zA-Z0-9_]{0,29}$"}}, {"acl": READ}),
    "Permissions": record({"acl": READ}),
    "Written": record({"result": URI}),
    "Deleted": record({"result": record({"deleted": COUNT})}),
    "Collections": record({"result": {"type": "array", "items": _COLLECTION}}),
    "Execution": record(
        {
            "algorithm": TEXT,
            "git_hash": HASH,
            "queued": COUNT,
            "running": COUNT,
            "idle": COUNT,
            "max_replicas": COUNT,
        },
        description="How busy one version is: calls that wait, calls that run, workers that rest, and how many may be.",
    ),
}
"""By name."""
