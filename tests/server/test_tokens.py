"""Tokens: RS256 with issuer, audience and expiry, and nothing else, however it is dressed up."""

import base64
import hashlib
import hmac
import json
import sys
import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import example, given
from hypothesis import strategies as st

from algoprof.errors import ConfigurationError
from algoprof.server.access.tokens import Issuer
from algoprof.server.envelopes import Refusal

ISSUER, AUDIENCE = "https://issuer.example", "algoprof"


def pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def private():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def issuer(private, tmp_path_factory):
    path = tmp_path_factory.mktemp("issuer") / "public.pem"
    path.write_bytes(pem(private.public_key()))
    return Issuer.read(path, ISSUER, AUDIENCE)


def claims(**changes):
    made = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60, "sub": "somebody"} | changes
    return {name: value for name, value in made.items() if value is not None}


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("changes", [{}, {"aud": ["other", AUDIENCE]}, {"nbf": 0, "iat": 0, "groups": ["any"]}])
def test_a_token_of_the_issuer_is_let_in(issuer, private, changes):
    issuer.check(jwt.encode(claims(**changes), private, algorithm="RS256"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp": 1}, "has expired"),
        ({"exp": None}, "must have exp"),
        ({"iss": None}, "must have exp, iss and aud"),
        ({"aud": None}, "must have exp, iss and aud"),
        ({"iss": f"{ISSUER}/"}, "not from this server's issuer"),
        ({"iss": [ISSUER]}, "not from this server's issuer"),
        ({"aud": "other"}, "not for this server's audience"),
        ({"aud": []}, "must have exp, iss and aud"),
        ({"nbf": 2**33}, "not valid yet"),
        ({"exp": "soon"}, "no token that can be read"),
    ],
)
def test_what_a_token_claims_is_enforced(issuer, private, changes, words):
    if isinstance(changes.get("iss"), list):  # which the library would not encode
        header, content = part({"alg": "RS256", "typ": "JWT"}), part(claims(**changes))
        signer = jwt.get_algorithm_by_name("RS256")
        signature = base64.urlsafe_b64encode(signer.sign(f"{header}.{content}".encode(), private)).rstrip(b"=")
        token = f"{header}.{content}.{signature.decode()}"
    else:
        token = jwt.encode(claims(**changes), private, algorithm="RS256")
    with pytest.raises(Refusal, match=words) as refused:
        issuer.check(token)
    assert (refused.value.status, refused.value.code) == (401, 2002)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "HS512", "RS512", "PS256", "ES256", "", None, ["RS256"]]
)
def test_no_other_algorithm_is_taken(issuer, private, algorithm):
    signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims())}"
    public = pem(private.public_key())
    signatures = {
        "nothing": b"",
        "the public key as a secret": hmac.digest(public, signed.encode(), hashlib.sha256),
        "the same without its last line break": hmac.digest(public.strip(), signed.encode(), hashlib.sha256),
        "as it should be": jwt.get_algorithm_by_name("RS256").sign(signed.encode(), private),
    }
    for signature in signatures.values():
        with pytest.raises(Refusal, match="the token is refused"):
            issuer.check(f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


def test_another_issuers_signature_is_refused_also_where_the_token_brings_its_key(issuer):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(other.public_key()))
    for header in ({}, {"jwk": key}, {"jku": "http://127.0.0.1:9/keys"}, {"kid": "../../dev/null"}):
        with pytest.raises(Refusal, match="signature is not its issuer's"):
            issuer.check(jwt.encode(claims(), other, algorithm="RS256", headers=header))


@given(
    st.text("ab.eyJ0_-", max_size=60) | st.binary(max_size=40).map(lambda raw: f"{part({'alg': 'RS256'})}.{raw.hex()}.")
)
@example("..")
@example(f"{part([])}.{part([])}.")
@example(f"{part({'alg': 'RS256', 'crit': ['b64'], 'b64': False})}.{part([])}.e30")
def test_whatever_is_sent_it_is_refused_and_nothing_else_happens(issuer, token):
    with pytest.raises(Refusal, match="the token is refused"):
        issuer.check(token)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nno\n-----END PUBLIC KEY-----\n", "holds no public key"),
        (pem(ec.generate_private_key(ec.SECP256R1()).public_key()), "no RSA key of 2048 bits"),
        (pem(rsa.generate_private_key(65537, 1024).public_key()), "no RSA key of 2048 bits"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n", "which stays with the issuer"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_key_that_is_none_is_told_as_such(tmp_path, content, words):
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words):
        Issuer.read(path, ISSUER, AUDIENCE)


def test_a_server_takes_tokens_beside_keys(serve, project, private, tmp_path):
    (tmp_path / "public.pem").write_bytes(pem(private.public_key()))
    options = ["--host", "0.0.0.0", "--jwt-key", str(tmp_path / "public.pem")]  # an issuer is as good as a key
    env = {"ALGOPROF_JWT_ISSUER": ISSUER, "ALGOPROF_JWT_AUDIENCE": AUDIENCE}
    serving = serve(project("echo", {"main.py": "def apply(input):\n    return input\n"}), options=options, env=env)
    assert serving.address, serving.said
    token = jwt.encode(claims(), private, algorithm="RS256")
    url = f"{serving.address}/v1/algo/local/echo"
    for shown in (f"Bearer {token}", f"Simple {token}", token, serving.key):
        assert requests.post(url, json=5, headers={"Authorization": shown}, timeout=20).json()["result"] == 5
    expired = jwt.encode(claims(exp=1), private, algorithm="RS256")
    answer = requests.post(url, json=5, headers={"Authorization": f"Bearer {expired}"}, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 2002)
    assert "has expired" in answer.json()["error"]["message"]
    builds = f"{serving.address}/v1/algorithms/local/echo/builds"
    assert requests.get(builds, headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code == 200
    assert token not in serving.said + answer.text


def test_a_server_without_an_issuer_says_that_it_takes_no_tokens(server):
    shown = {"Authorization": f"Bearer {part({'alg': 'none'})}.{part(claims())}."}
    answer = requests.get(f"{server.address}/v1/algorithms/local/plain", headers=shown, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 2002)
    assert "takes no tokens; start it with --jwt-key" in answer.json()["error"]["message"]


@pytest.mark.parametrize("missing", ["--jwt-key", "--jwt-issuer", "--jwt-audience"])
def test_an_issuer_by_halves_is_refused(command_line, tmp_path, missing):
    given = {"--jwt-key": tmp_path / "public.pem", "--jwt-issuer": ISSUER, "--jwt-audience": AUDIENCE}
    options = [word for name, value in given.items() if name != missing for word in (name, value)]
    done = command_line("serve", tmp_path, "--data", tmp_path / "data", *options)
    assert done.returncode == 1
    assert "--jwt-key, --jwt-issuer and --jwt-audience belong together" in done.stderr


def test_without_the_extra_a_server_says_what_to_install(command_line, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.delitem(sys.modules, "algoprof.server.access.tokens")
    options = ["--jwt-key", tmp_path / "public.pem", "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE]
    done = command_line("serve", tmp_path, "--data", tmp_path / "data", *options)
    assert done.stderr.strip() == "--jwt-key needs the package jwt: pip install 'algoprof[jwt]'"
