"""`import algoprof as Algorithmia`: what callers find in the official client 2.0.5 is there, or says what to write."""

import asyncio
import inspect
import pickle

import Algorithmia
import Algorithmia.acl as official_acl
import Algorithmia.datadirectory as official_folders
import Algorithmia.datafile as official_files
import pytest
from Algorithmia.algorithm import Algorithm as OfficialAlgorithm
from Algorithmia.client import Client as OfficialClient

import algoprof
from algoprof import errors
from algoprof.calls.access.platforms import PUBLIC_ADDRESS, Platform
from algoprof.calls.management.insights import USUAL, report
from algoprof.errors import NotOffered

ELSEWHERE = {"postJsonHelper", "getHelper", "getJsonHelper", "getStreamHelper", "patchHelper", "headHelper",
             "putHelper", "deleteHelper", "catCerts", "exit_handler"}  # fmt: skip
"""Methods that the official client says are used internally."""


def public_methods(kind):
    return {name: method for name, method in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def assert_compatible(ours, official):
    """Each way to call the official one is a way to call ours, but for the name of the one positional input."""
    parameters = list(inspect.signature(official).parameters.values())[1:]
    named = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    required = [object() for one in named if one.default is one.empty]
    signature = inspect.signature(ours)
    signature.bind(*named)
    signature.bind(*required)
    for one in named:
        if one.default is not one.empty:
            signature.bind(*required, **{one.name: object()})
    if len(named) < len(parameters):
        signature.bind(*required, whatever=1)


@pytest.fixture
def client(platform, make_client):
    return make_client("simKey", platform.address)


@pytest.mark.parametrize("name", sorted(public_methods(OfficialAlgorithm)))
def test_an_algorithm_has_every_public_method(client, name):
    algo = client.algo("demo/Routes")
    assert_compatible(getattr(algo, name), public_methods(OfficialAlgorithm)[name])


@pytest.mark.parametrize("name", sorted(public_methods(OfficialClient).keys() - ELSEWHERE))
def test_a_client_has_every_public_method(client, name):
    assert_compatible(getattr(client, name), public_methods(OfficialClient)[name])


def test_client_takes_the_same_arguments(platform):
    official = list(inspect.signature(Algorithmia.client).parameters)
    assert list(inspect.signature(algoprof.client).parameters)[: len(official)] == official
    with algoprof.client("simKey", platform.address, None, None) as made:
        assert made.algo("algo://demo/Hello").pipe("x").result == "hi"


def test_the_module_has_what_callers_use():
    for name in ("algo", "file", "dir", "client", "errors", "apiKey", "apiAddress", "ADK", "Handler", "handler"):
        assert hasattr(Algorithmia, name)
        assert hasattr(algoprof, name), name
    assert "dir" not in algoprof.__all__, "a star import would hide the built-in"
    assert [kind.name for kind in Algorithmia.algorithm.OutputType] == [kind.name for kind in algoprof.OutputType]


def test_errors_have_the_same_names_and_order():
    official = {name: kind for name, kind in vars(Algorithmia.errors).items() if inspect.isclass(kind)}
    for name, kind in official.items():
        ours = getattr(errors, name)
        for other_name, other in official.items():
            if issubclass(kind, other) and name != "ApiInternalError":
                assert issubclass(ours, getattr(errors, other_name)), (name, other_name)
    assert issubclass(errors.ApiInternalError, errors.ApiError)


def test_the_default_client_follows_the_modules_settings(platform, monkeypatch):
    monkeypatch.setattr(algoprof, "apiKey", "simFirst", raising=False)
    monkeypatch.setattr(algoprof, "apiAddress", platform.address, raising=False)
    assert algoprof.algo("demo/Hello").pipe("x").result == "hi"
    first = algoprof.getDefaultClient()
    assert algoprof.getDefaultClient() is first
    monkeypatch.setattr(algoprof, "apiKey", "simSecond")
    assert algoprof.algo("demo/Hello").pipe("x").result == "hi"
    with algoprof.client("simThird") as third:
        assert third.address == platform.address
    assert [asked.headers["authorization"] for asked in platform.asked] == ["Simple simFirst", "Simple simSecond"]
    first.close()
    algoprof.getDefaultClient().close()


def test_what_is_not_offered_says_what_to_write(client):
    for refuse, words in (
        (lambda: algoprof.ADK(print), "from Algorithmia import ADK"),
        (lambda: client.create_user({}), "Algorithmia.client(...).create_user(...)"),
        (client.scms, "Algorithmia.client(...).scms(...)"),
        (lambda: client.algo("demo/Routes").update({}), ".algo('demo/Routes').update(...)"),
    ):
        with pytest.raises(NotOffered) as raised:
            refuse()
        assert words in str(raised.value)
        assert isinstance(raised.value, NotImplementedError)
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    with pytest.raises(AttributeError):
        client.no_such_method  # noqa: B018
    with pytest.raises(AttributeError):
        client.algo("demo/Routes").no_such_method  # noqa: B018


def test_insights_are_posted_as_the_official_client_posts_them(platform, make_client, monkeypatch):
    metrics = {"cats": 2, "breed": "tabby", "sure": 0.5}
    monkeypatch.setenv("ALGORITHMIA_API", platform.address)
    Algorithmia.client("simKey").report_insights(metrics)
    make_client("simKey").report_insights(metrics)

    async def report_too():
        async with algoprof.AsyncClient("simKey") as asynchronous:
            await asynchronous.report_insights(metrics)

    asyncio.run(report_too())
    official, *ours = platform.asked
    assert {(one.path, one.body, one.headers["content-type"]) for one in ours} == {
        (official.path, official.body, official.headers["content-type"])
    }
    platform.answers({"error": {"message": "no room, simKey"}}, 400)
    with pytest.raises(errors.ManagementError, match=r"HTTP 400: no room, \*\*\*"):
        make_client("simKey").report_insights(metrics)


@pytest.mark.parametrize("wrong", [{"a": float("nan")}, {"a": None}, {"a": [1]}, {1: 2}, {"": 2}, {"a": 10**5000}, "a"])
def test_insights_that_cannot_be_meant_are_not_sent(platform, client, wrong):
    with pytest.raises(errors.ConfigurationError, match="insight"):
        client.report_insights(wrong)
    assert platform.asked == []


def test_the_key_for_the_public_platform_goes_nowhere_else_with_insights():
    request = report(Platform(PUBLIC_ADDRESS, authorization="Simple simKey"), {"cats": 2})
    assert (request.url, "Authorization" in request.headers) == (f"{USUAL}/v1/insights", False)


def test_nobody_who_takes_insights_is_told(make_client):
    with pytest.raises(errors.ManagementError, match=r"could not be reported to http://127\.0\.0\.1:1: "):
        make_client("simKey", "http://127.0.0.1:1").report_insights({"cats": 2})


def test_a_response_is_read_as_the_official_one(platform, client):
    algo = client.algo("demo/Hello")
    response = algo.pipe("x")
    assert isinstance(response, algoprof.AlgoResponse)
    assert (response.result, response.metadata.content_type, response.async_protocol) == ("hi", "text", None)
    platform.answers({"async": "kafka", "request_id": "req-1"})
    response = algo.set_options(output=Algorithmia.algorithm.OutputType.void).pipe("x")
    assert (response.async_protocol, response.request_id) == ("kafka", "req-1")


@pytest.mark.parametrize(
    ("make", "official"),
    [
        (lambda client: client.file("data://.my/a/b"), official_files.AdvancedDataFile),
        (lambda client: client.dir("data://.my/a"), official_folders.AdvancedDataDirectory),
        (lambda client: client.file("file:///a/b"), official_files.LocalDataFile),
        (lambda client: client.dir("file:///a"), official_folders.LocalDataDirectory),
        (lambda client: algoprof.ReadAcl.public, official_acl.Acl),
    ],
)
def test_files_and_folders_have_every_public_method(client, make, official):
    ours = make(client)
    for name, method in public_methods(official).items():
        if name in ("from_acl_response", "set_attributes"):  # the one is static, the other raises there
            continue
        if any("__" in one for one in inspect.signature(method).parameters):  # no caller can know these names
            assert callable(getattr(ours, name))
            continue
        assert_compatible(getattr(ours, name), method)


def test_acls_have_every_public_name():
    for name in ("Acl", "AclType", "ReadAcl"):
        ours = getattr(algoprof, name)
        assert [one for one in vars(getattr(official_acl, name)) if one[0] != "_" and not hasattr(ours, one)] == []


def test_the_modules_own_functions_give_files_and_folders():
    assert algoprof.file("data://.my/photos/cat.jpg").path == ".my/photos/cat.jpg"
    assert algoprof.dir("data://.my/photos").path == ".my/photos"
    assert algoprof.file("file:///tmp/x").path == "/tmp/x"
