"""No adapter speaks to a server that offers nothing newer than TLS 1.1. A new adapter is added to `ADAPTERS`."""

import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.embedder import Embedder
from pointsman.llm.errors import ProviderConnectionError
from pointsman.llm.providers.anthropic.messages import AnthropicMessages
from pointsman.llm.providers.bedrock.converse import BedrockConverse
from pointsman.llm.providers.bedrock.credentials import AwsCredentials
from pointsman.llm.providers.bedrock.embeddings import BedrockEmbedder
from pointsman.llm.providers.gemini.embeddings import GeminiEmbedder
from pointsman.llm.providers.gemini.generate_content import GeminiGenerateContent
from pointsman.llm.providers.mistral.chat import MistralChat
from pointsman.llm.providers.mistral.embeddings import MistralEmbedder
from pointsman.llm.providers.openai.azure import AzureOpenAI
from pointsman.llm.providers.openai.chat import OpenAIChat
from pointsman.llm.providers.openai.embeddings import OpenAIEmbedder
from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.llm.tls import tls_context
from pointsman.llm.types import LLMRequest, Role, text_message
from tests.llm.wiring import until

KEY = SecretStr("sk-test-4f1d0c7a9b2e")
AWS = AwsCredentials(access_key_id="AKIA0", secret_access_key=KEY)
REQUEST = LLMRequest(model="any", messages=(text_message(Role.USER, "hello"),))
ADAPTERS: dict[str, Callable[[str], LLMClient]] = {
    "openai": lambda root: OpenAIResponses(KEY, f"{root}/v1"),
    "openai chat": lambda root: OpenAIChat(KEY, f"{root}/v1"),
    "anthropic": lambda root: AnthropicMessages(KEY, root),
    "mistral": lambda root: MistralChat(KEY, root),
    "azure_openai": lambda root: AzureOpenAI(root, KEY),
    "gemini": lambda root: GeminiGenerateContent(KEY, root),
    "bedrock": lambda root: BedrockConverse(AWS, "us-east-1", root),
}
EMBEDDERS: dict[str, Callable[[str], Embedder]] = {
    "openai": lambda root: OpenAIEmbedder(KEY, f"{root}/v1"),
    "gemini": lambda root: GeminiEmbedder(KEY, root),
    "mistral": lambda root: MistralEmbedder(KEY, root),
    "bedrock": lambda root: BedrockEmbedder(AWS, "us-east-1", root),
}


@dataclass
class OldServer:
    """Takes one connection after the other, and keeps why a handshake failed; empty where it did not."""

    port: int
    handshakes: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of the server, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def old_server(certificate: Path) -> Generator[OldServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _allow_old(context)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = OldServer(listener.getsockname()[1])
        thread = Thread(target=_serve, args=(listener, context, server), daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _serve(listener: socket.socket, context: ssl.SSLContext, server: OldServer) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True):
                    server.handshakes.append("")
            except ssl.SSLError as error:
                server.handshakes.append(error.reason or "unknown")


def _allow_old(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_server_of_these_tests_does_speak_to_old_clients(certificate: Path) -> None:
    context = ssl.create_default_context(cafile=certificate)
    _allow_old(context)
    with (
        old_server(certificate) as server,
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.version() == "TLSv1.1"
    assert server.handshakes == [""]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", ADAPTERS)
async def test_server_with_nothing_newer_than_tls_1_1_is_refused(certificate: Path, name: str, streamed: bool) -> None:
    with old_server(certificate) as server:
        async with ADAPTERS[name](f"https://127.0.0.1:{server.port}") as adapter:
            with pytest.raises(ProviderConnectionError):
                await (anext(adapter.stream(REQUEST)) if streamed else adapter.complete(REQUEST))
        await until(lambda: bool(server.handshakes))
    assert server.handshakes == ["UNSUPPORTED_PROTOCOL"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("name", EMBEDDERS)
async def test_embedders_refuse_it_too(certificate: Path, name: str) -> None:
    with old_server(certificate) as server:
        async with EMBEDDERS[name](f"https://127.0.0.1:{server.port}") as embedder:
            with pytest.raises(ProviderConnectionError):
                await embedder.embed(["hello"])
        await until(lambda: bool(server.handshakes))
    assert server.handshakes == ["UNSUPPORTED_PROTOCOL"]


def test_certificates_are_read_once_for_all_clients(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tls_context()
    assert tls_context() is context
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert tls_context() is not context
