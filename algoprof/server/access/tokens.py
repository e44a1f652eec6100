"""JSON Web Tokens: which ones a server accepts. As on the platform, RS256 only, with issuer, audience and expiry."""

from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from algoprof.errors import ConfigurationError
from algoprof.server.envelopes import BAD_KEY, Refusal

_SHORTEST = 2048  # bits of a key
_PATH = "--jwt-key"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may issue tokens, and for whom.

    Args:
        key: the public key that its signatures are checked with, parsed: no other kind of algorithm can use it.
        name: what `iss` has to be.
        audience: what `aud` has to be, or to have among others.
    """

    key: RSAPublicKey
    name: str
    audience: str

    @classmethod
    def read(cls, path: Path, name: str, audience: str) -> "Issuer":
        """Read the public key of an issuer from a PEM file.

        Raises:
            ConfigurationError: if it cannot be read, or is no RSA public key of 2048 bits or more.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{_PATH} {path} cannot be read: {error.strerror}") from None
        if b"PRIVATE KEY" in content:
            how = "openssl rsa -pubout -in FILE -out PUBLIC"
            raise ConfigurationError(f"{_PATH} {path} holds a private key, which stays with the issuer: `{how}`")
        try:
            key = load_pem_public_key(content)
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigurationError(
                f"{_PATH} {path} holds no public key: it begins with -----BEGIN PUBLIC KEY-----"
            ) from None
        if not isinstance(key, RSAPublicKey) or key.key_size < _SHORTEST:
            raise ConfigurationError(f"{_PATH} {path} is no RSA key of {_SHORTEST} bits or more, which RS256 needs")
        return cls(key, name, audience)

    def check(self, token: str) -> None:
        """Let a token in, or say why not.

        Raises:
            Refusal: if it is not signed by this issuer with RS256, is not for this audience, or has expired.
        """
        try:
            jwt.decode(
                token,
                self.key,
                algorithms=["RS256"],
                issuer=self.name,
                audience=self.audience,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise Refusal(401, BAD_KEY, f"the token is refused: {_reason(error)}") from None


def _reason(error: jwt.PyJWTError) -> str:
    """Say what is wrong with a token, in words of ours: those of a library might repeat what was sent."""
    match error:
        case jwt.ExpiredSignatureError():
            return "it has expired; get a new one from its issuer"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet; look at the clocks"
        case jwt.InvalidAudienceError():
            return "it is not for this server's audience"
        case jwt.InvalidIssuerError():
            return "it is not from this server's issuer"
        case jwt.MissingRequiredClaimError():
            return "it must have exp, iss and aud"
        case jwt.InvalidAlgorithmError():
            return "it must be signed with RS256"
        case jwt.InvalidSignatureError():
            return "its signature is not its issuer's"
    return "it is no token that can be read"
