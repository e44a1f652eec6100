"""Our own client against this server: what is asked about an algorithm rather than of it."""

import pytest

import algoprof
from algoprof.errors import ApiError


@pytest.fixture
def client(server):
    with algoprof.client(server.key, server.address) as made:
        yield made


def test_exists_tells_yes_from_no(client):
    assert client.algo("local/plain").exists() is True
    assert client.algo("local/nothing").exists() is False


def test_an_id_is_what_the_official_client_is_told(client, server):
    assert client.algo("local/plain").get_algorithm_id() == server.client().algo("local/plain").get_algorithm_id()


def test_a_wrong_key_is_no_answer_about_existence(server):
    with algoprof.client("simWrong", server.address) as stranger, pytest.raises(ApiError, match="401"):
        stranger.algo("local/plain").exists()
