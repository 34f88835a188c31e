"""The way to a server: certificates are checked, and proxies are taken from the environment."""

import ssl

import pytest
import trustme

from datasette_embeddings import ModelBusy


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def secure(start_server, authority):
    """A server with a certificate of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return start_server(tls=context)


def test_an_unknown_certificate(configured, secure):
    """It is refused before anything is sent, a key least of all."""
    with pytest.raises(ModelBusy, match=f"{secure.host} did not answer: .*CERTIFICATE_VERIFY_FAILED"):
        configured(base_url=secure.url, retry_seconds=0.01).embed("bread")
    assert secure.requests == []


def test_an_authority_of_ones_own(configured, secure, authority, tmp_path, monkeypatch):
    """SSL_CERT_FILE names the authority whose certificates are good."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    assert configured(base_url=secure.url).embed("bread") == secure.vector_of("bread")


def test_a_proxy(configured, server, monkeypatch):
    """HTTP_PROXY is heeded: it gets the request, with the whole address in it."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{server.host}")
    configured(base_url="http://embeddings.example/v1").embed("bread")
    assert server.requests[0].path == "http://embeddings.example/v1/embeddings"
