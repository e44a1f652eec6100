"""The checks of the troubleshooting guide, on plain evidence and on a platform's documented answers."""

import base64
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprof.calls.access.keys import Form, form
from algoprof.calls.client import client
from algoprof.calls.doctor.evidence import Evidence, Told
from algoprof.calls.doctor.examination import CHECKS, examine
from algoprof.calls.management.error_log import ErrorRecord
from algoprof.calls.management.resources import read_build, read_version
from algoprof.calls.references import parse
from algoprof.errors import ManagementError

PUBLIC = {"algorithm_callability": "public", "network_access": "full", "pipeline_enabled": True}
PRIVATE = {"algorithm_callability": "private", "network_access": "isolated", "pipeline_enabled": False}
HASH = "5" * 40
KEY = "simVerySecretKey"


def refused(status, code=None, message="no"):
    return Told(error=ManagementError(f"answered {status}: {message}", status=status, code=code, message=message))


def version(number="", **settings):
    resource = {"settings": settings, "version_info": {"git_hash": HASH, "semantic_version": number}}
    return read_version("demo/Routes", resource)


def build(status="succeeded"):
    return read_build("demo/Routes", {"build_id": "b1", "status": status, "started_at": "2020-01-01T00:00:00.000Z"})


def evidence(reference="demo/Routes", settings=PUBLIC, **others):
    known = {
        "key": Form("key"),
        "resource": Told({"settings": settings}),
        "versions": Told((version("1.0.1"), version("1.0.0"))),
        "builds": Told((build(),)),
    }
    return Evidence(parse(reference), "https://api.example.com", **(known | others))


def judged(check, **others):
    found = examine(evidence(**others))[check]
    return found.verdict, found.sentence


def test_of_an_owner_with_everything_in_order_nothing_is_wrong():
    examined = examine(evidence(requirements="six==1.16.0\n", input={"cities": 2}))
    assert [finding.check for finding in examined.findings] == list(CHECKS)
    assert {finding.verdict for finding in examined.findings} == {"fine"}
    assert examined.wrong == ()
    with pytest.raises(KeyError, match="key kind"):
        examined["no such check"]
    assert json.loads(json.dumps(examined.to_json()))["findings"][0]["check"] == "platform"


@pytest.mark.parametrize(
    ("told", "verdict", "words"),
    [
        (Told(), "unknown", "was not asked"),
        (Told(error=ManagementError("it cannot be reached", hint="start it")), "wrong", "it cannot be reached"),
        (refused(503), "wrong", "fails"),
        (refused(200, message="<html>"), "wrong", "is no platform"),
        (refused(404), "fine", "answers"),
    ],
)
def test_the_platform(told, verdict, words):
    found = judged("platform", resource=told)
    assert found[0] == verdict
    assert words in found[1]


@pytest.mark.parametrize(
    ("key", "told", "verdict", "words"),
    [
        (Form("key"), Told({}), "fine", "accepts the key"),
        (Form("none"), Told({}), "unknown", "answers all the same"),
        (Form("none"), refused(401), "wrong", "none was sent"),
        (Form("key"), refused(401, 2002, "unknown key"), "wrong", "unknown key"),
        (Form("key"), refused(401, 2001), "fine", "accepts"),
        (Form("key"), refused(403, 2001), "fine", "accepts"),
        (Form("key", usual=False), refused(401), "wrong", "begin with 'sim'"),
        (Form("token", expires=1e9), refused(401), "wrong", "expired, at 2001-09-09 01:46:40+00:00"),
        (Form("token", expires=9e9), refused(401), "wrong", "refuses it"),
        (Form("key"), Told(), "unknown", "nobody"),
    ],
)
def test_the_key(key, told, verdict, words):
    found = judged("key", key=key, resource=told)
    assert found[0] == verdict
    assert words in found[1]


def test_an_admin_key_is_known_by_what_takes_it():
    admin = {"resource": refused(401, 2002), "administration": Told([]), "builds": Told(), "versions": Told()}
    assert judged("key", **admin)[0] == "fine"
    assert judged("key kind", **admin)[0] == "wrong"
    assert judged("key kind", resource=refused(401), administration=refused(401))[0] == "unknown"
    assert judged("key kind", key=Form("token"))[0] == "fine"
    assert "may manage" in judged("key kind")[1]


@pytest.mark.parametrize(
    ("settings", "builds", "accounts", "owner", "callability"),
    [
        (PUBLIC, Told(()), Told(), "fine", "fine"),
        (PUBLIC, refused(403), Told(), "unknown", "fine"),
        (PUBLIC, refused(403), Told(("demo",)), "wrong", "fine"),
        (PRIVATE, Told(()), Told(), "fine", "fine"),
        (PRIVATE, refused(403), Told(), "wrong", "wrong"),
        (PRIVATE, refused(403), Told(("other",)), "wrong", "wrong"),
        (PRIVATE, refused(403), Told(("demo",)), "wrong", "fine"),
        (PRIVATE, refused(500), Told(), "unknown", "unknown"),
        ({}, Told(()), Told(), "fine", "unknown"),
    ],
)
def test_owner_and_callability(settings, builds, accounts, owner, callability):
    known = {"settings": settings, "builds": builds, "accounts": accounts}
    assert judged("owner", **known)[0] == owner
    assert judged("callability", **known)[0] == callability


def test_an_error_log_tells_that_the_network_is_wanted_and_that_time_runs_out():
    errors = (
        ErrorRecord("demo/Routes", error_type="TimeoutError"),
        ErrorRecord(
            "demo/Routes", message="[Errno -3] Temporary failure\nin name resolution", stack_trace="gai EAI_AGAIN"
        ),
    )
    known = {"settings": PRIVATE, "errors": Told(errors)}
    found = examine(evidence(**known))["network access"]
    assert (found.verdict, found.advice) == ("wrong", "allow internet access in its settings")
    assert "a call has failed for that: [Errno -3] Temporary failure in name resolution" in found.sentence
    assert judged("timeout", **known)[1].endswith("of the 2 errors in its log, 1 ran out of time")
    assert judged("network access", settings=PUBLIC, errors=Told(errors))[0] == "fine"


def test_an_algorithm_that_is_named_by_its_id_has_an_owner_without_a_name():
    reference = "01234567-89ab-cdef-0123-456789abcdef"
    assert judged("owner", reference=reference)[1].startswith("the key is its owner's, or")
    assert judged("algorithm", reference=reference) == ("fine", f"the platform has {reference}")
    forbidden = {"settings": PRIVATE, "builds": refused(403), "accounts": Told((reference,))}
    assert judged("owner", reference=reference, **forbidden)[0] == "wrong"


def test_what_the_key_may_not_even_see_is_wrong_once():
    hidden = refused(403, 2001)
    examined = examine(evidence(resource=hidden, builds=hidden, versions=hidden))
    assert [finding.check for finding in examined.wrong] == ["owner", "callability"]


def test_settings_that_may_be_in_the_way_are_told_with_what_to_do():
    for check in ("network access", "pipeline"):
        found = examine(evidence(settings=PRIVATE))[check]
        assert (found.verdict, bool(found.advice)) == ("unknown", True)
        assert judged(check, settings={})[0] == "unknown"


@pytest.mark.parametrize(
    ("reference", "verdict"),
    [
        ("demo/Routes", "fine"), ("demo/Routes/latest", "fine"), ("demo/Routes/latestPrivate", "fine"),
        ("demo/Routes/1.0.0", "fine"), ("demo/Routes/1.0", "fine"), ("demo/Routes/1.*", "fine"),
        ("demo/Routes/2.0.0", "fine"), (f"demo/Routes/{HASH}", "fine"),
        ("demo/Routes/2.0", "wrong"), ("demo/Routes/2.*", "wrong"), ("demo/Routes/1.1", "wrong"),
        ("demo/Routes/10", "wrong"), ("demo/Routes/9.9.9", "wrong"), (f"demo/Routes/{'6' * 40}", "wrong"),
    ],
)  # fmt: skip
def test_a_version_is_reached_by_its_number_a_part_of_it_or_its_hash(reference, verdict):
    there = Told((version(), version("2.0.0", algorithm_callability="private"), version("1.0.0")))
    assert judged("versions", reference=reference, versions=there)[0] == verdict


def test_without_a_public_version_a_bare_name_reaches_nothing():
    private = version("2.0.0", algorithm_callability="private")
    assert "2.0.0" in judged("versions", versions=Told((private,)))[1]
    found = examine(evidence(versions=Told((version(),))))["versions"]
    assert (found.verdict, "versions publish demo/Routes" in found.advice) == ("wrong", True)
    assert judged("versions", reference="demo/Routes/latestPrivate")[0] == "wrong"
    assert judged("versions", versions=refused(403))[0] == "unknown"
    assert judged("versions", reference="demo/Routes/9.9.9", versions=Told((version(),) * 200))[0] == "unknown"


@pytest.mark.parametrize(("timeout", "verdict"), [(300.0, "fine"), (3000, "fine"), (3001, "wrong"), (0, "wrong"),
                                                  ("soon", "wrong"), (float("nan"), "wrong")])  # fmt: skip
def test_timeout(timeout, verdict):
    assert judged("timeout", timeout=timeout)[0] == verdict


def test_input():
    assert judged("input")[0] == "unknown"
    assert judged("input", input="text") == ("fine", "4 bytes of text/plain; 10,485,760 are the most")
    assert judged("input", input={"frames": [float("nan")]}) == ("wrong", 'input["frames"][0]: nan is not JSON')


def test_requirements():
    assert judged("requirements", requirements="six==1.16.0\nidna>=3\n")[0] == "wrong"
    assert "idna>=3" in judged("requirements", requirements="six==1.16.0\nidna>=3\n")[1]
    assert judged("requirements", requirements="")[0] == "fine"
    assert judged("requirements")[0] == "unknown"


def test_the_last_build():
    for builds, verdict in (((), "wrong"), ((build("failed"),), "wrong"), ((build("in-progress"),), "unknown")):
        assert judged("last build", builds=Told(builds))[0] == verdict
    assert judged("last build", builds=refused(403))[0] == "unknown"


statuses = st.sampled_from([None, 200, 302, 400, 401, 403, 404, 429, 500])
settings = st.fixed_dictionaries({}, optional={name: st.sampled_from(["public", "private", "full", 1, None, {}])
                                               for name in PUBLIC})  # fmt: skip
answers = st.builds(Told, st.none() | st.builds(lambda settings: {"settings": settings}, settings | st.none()))
refusals = st.builds(refused, statuses, st.sampled_from([None, 2001, 2002]))
forms = st.builds(Form, st.sampled_from(["none", "key", "token"]), st.booleans(), st.none() | st.floats(0, 1e11))


@given(
    told=answers | refusals,
    builds=st.just(Told((build("failed"),))) | refusals,
    versions=st.just(Told((version(),))) | refusals,
    key=forms,
    reference=st.sampled_from(["a/b", "a/b/latest", "a/b/1.*", f"a/b/{HASH}", "a/b/x.y"]),
)
def test_whatever_the_platform_says_each_check_has_a_verdict(told, builds, versions, key, reference):
    known = evidence(reference, resource=told, builds=builds, versions=versions, key=replace(key, expires=None))
    for finding in examine(known).findings:
        assert finding.verdict in ("fine", "wrong", "unknown")
        assert finding.sentence
        assert finding.advice or finding.verdict != "wrong", finding


@given(st.text(max_size=60))
def test_any_header_has_a_form(text):
    assert form(text).kind in ("none", "key", "token")


def test_a_token_tells_when_it_ends():
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 5}).encode()).decode().rstrip("=")
    assert form(f"Bearer e30.{claims}.x").expires == form(f"Simple e30.{claims}.x").expires == 5
    assert form("Bearer e30.e30.x") == Form("token")
    assert form("Bearer nothing") == Form("token", usual=False)
    assert form("myKey") == Form("key", usual=False)


@pytest.fixture
def documented():
    """Serve a platform that gives documented answers: `answers[path]` is a status and a JSON value."""
    answers: dict = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            nothing = {"error": {"code": 1001, "message": "No such algorithm"}}
            status, value = answers.get(self.path.partition("?")[0], (404, nothing))
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with client(KEY, f"http://127.0.0.1:{server.server_port}") as caller:
            yield answers, caller.algo("demo/Routes")
        server.shutdown()
        thread.join()


def test_a_key_that_may_not_manage_is_told_from_a_strangers(documented):
    answers, algo = documented
    forbidden = 403, {"error": {"id": "1", "code": 2001, "message": f"403: {KEY} is not authorized to do this"}}
    answers["/v1/algorithms/demo/Routes"] = 200, {"name": "Routes", "settings": PRIVATE}
    answers["/v1/algorithms/demo/Routes/builds"] = answers["/v1/algorithms/demo/Routes/versions"] = forbidden
    answers["/v1/data/"] = 200, {"folders": [{"name": "stranger"}]}
    strange = algo.examine()
    assert [finding.check for finding in strange.wrong] == ["owner", "callability"]
    assert "reaches the data of stranger" in strange["owner"].sentence
    answers["/v1/data/"] = 200, {"folders": [{"name": "demo"}]}
    limited = algo.examine()
    assert [finding.check for finding in limited.wrong] == ["owner"]
    assert "may not manage algorithms" in limited["owner"].sentence
    assert KEY not in json.dumps([strange.to_json(), limited.to_json()])


def test_an_admin_key_is_asked_for_where_it_belongs(documented):
    answers, algo = documented
    answers["/v1/algorithms/demo/Routes"] = 401, {"error": {"id": "1", "code": 2002, "message": f"unknown key {KEY}"}}
    unknown = algo.examine()
    assert [finding.check for finding in unknown.wrong] == ["key"]
    assert KEY not in json.dumps(unknown.to_json())
    answers["/v1/admin/reservations"] = 200, []
    assert [finding.check for finding in algo.examine().wrong] == ["key kind"]


def test_nobody_there():
    with client(KEY, "http://127.0.0.1:9") as caller:
        assert [finding.check for finding in caller.algo("demo/Routes").examine().wrong] == ["platform"]
