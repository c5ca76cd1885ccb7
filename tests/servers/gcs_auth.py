# SPDX-License-Identifier: Apache-2.0
"""Credentials of the Cloud Storage test server: a service account's key file, the OAuth 2.0 token
endpoint that checks what is signed with it (RFC 7523), and the tokens themselves."""
import base64
import binascii
import hashlib
import json
import secrets
import subprocess
import threading
import time

SCOPE_ROOT = "https://www.googleapis.com/auth/"
WRITE_SCOPES = {SCOPE_ROOT + name
                for name in ("devstorage.read_write", "devstorage.full_control", "cloud-platform")}
READ_SCOPES = WRITE_SCOPES | {SCOPE_ROOT + "devstorage.read_only"}
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLOCK_SKEW = 60  # seconds a client's clock may be ahead
LONGEST_LIFE = 3600

# DER of DigestInfo for SHA-256 up to the digest (RFC 8017, 9.2, note 1)
SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class Refused(Exception):
    """What the token endpoint refuses: (error, error_description) of RFC 6749, 5.2."""


def make_key():
    """The PEM (PKCS#8) of a new RSA key of 2048 bits."""
    return subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                          check=True, capture_output=True, text=True).stdout


def modulus_of(pem):
    modulus = subprocess.run(["openssl", "rsa", "-noout", "-modulus"], input=pem,
                             check=True, capture_output=True, text=True).stdout
    return int(modulus.strip().removeprefix("Modulus="), 16)


def rs256_verifies(modulus, message, signature):
    """RSASSA-PKCS1-v1_5 with SHA-256 and the exponent 65537 (RFC 8017, 8.2.2)."""
    size = (modulus.bit_length() + 7) // 8
    if len(signature) != size:
        return False
    number = int.from_bytes(signature, "big")
    if number >= modulus:
        return False
    digest = SHA256_DIGEST_INFO + hashlib.sha256(message).digest()
    expected = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
    return pow(number, 65537, modulus).to_bytes(size, "big") == expected


def from_base64url(text):
    if set("+/") & set(text):
        raise Refused("invalid_grant", "the assertion is in the wrong alphabet of base64")
    text = text.rstrip("=")  # google-auth pads, and Google takes it
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Refused("invalid_grant", "the assertion is not base64url") from error


class Auth:
    def __init__(self, lifetime, pem):
        self._lock = threading.Lock()
        self._lifetime = lifetime
        self._tokens = {}  # token -> (end of its life, scopes)
        self._email = "backup@kvbackup-test.iam.gserviceaccount.com"
        self._pem = pem
        self._modulus = modulus_of(pem)
        self._key_id = hashlib.sha1(pem.encode()).hexdigest()

    def key_file(self, token_uri):
        """The JSON that Google gives for a service account."""
        return {"type": "service_account", "project_id": "kvbackup-test", "private_key_id": self._key_id,
                "private_key": self._pem, "client_email": self._email, "client_id": "100000000000000000001",
                "auth_uri": token_uri.replace("/token", "/auth"), "token_uri": token_uri}

    def issue(self, scopes):
        token = "ya29." + secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[token] = (time.time() + self._lifetime, frozenset(scopes))
        return {"access_token": token, "expires_in": self._lifetime, "token_type": "Bearer"}

    def expire_all(self):
        with self._lock:
            self._tokens.clear()

    def allows(self, authorization, writes):
        """None if the header carries a token for this, else the HTTP status that refuses it."""
        kind, _, token = (authorization or "").partition(" ")
        with self._lock:
            until, scopes = self._tokens.get(token, (0, frozenset()))
        if kind != "Bearer" or until <= time.time():
            return 401
        return None if scopes & (WRITE_SCOPES if writes else READ_SCOPES) else 403

    def exchange(self, form, token_uri):
        """A token for the assertion of a form (name -> list of values). Raises Refused."""
        if form.get("grant_type") != [JWT_BEARER] or len(form.get("assertion", [])) != 1:
            raise Refused("unsupported_grant_type", "the grant is not a JWT bearer assertion")
        parts = form["assertion"][0].split(".")
        if len(parts) != 3:
            raise Refused("invalid_grant", "the assertion has not three parts")
        try:
            header, claims = (json.loads(from_base64url(part)) for part in parts[:2])
        except ValueError as error:
            raise Refused("invalid_grant", "the assertion holds no JSON") from error
        if header.get("alg") != "RS256" or header.get("typ", "JWT") != "JWT":
            raise Refused("invalid_grant", "the assertion is not signed by RS256")
        if header.get("kid", self._key_id) != self._key_id:
            raise Refused("invalid_grant", "the key is not one of the account")
        if not rs256_verifies(self._modulus, f"{parts[0]}.{parts[1]}".encode(), from_base64url(parts[2])):
            raise Refused("invalid_grant", "Invalid JWT Signature.")
        self._check_claims(claims, token_uri)
        scopes = claims["scope"].split(" ")
        if not set(scopes) <= READ_SCOPES:
            raise Refused("invalid_scope", "a scope is not known")
        return self.issue(scopes)

    def _check_claims(self, claims, token_uri):
        if claims.get("iss") != self._email:
            raise Refused("invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") != token_uri:
            raise Refused("invalid_grant", "the audience is not this endpoint")
        if not isinstance(claims.get("scope"), str):
            raise Refused("invalid_scope", "no scope is asked for")
        issued, expires, now = claims.get("iat"), claims.get("exp"), time.time()
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise Refused("invalid_grant", "iat and exp must be whole seconds")
        if issued > now + CLOCK_SKEW or expires <= now or not 0 < expires - issued <= LONGEST_LIFE:
            raise Refused("invalid_grant", "Invalid JWT: Token must be a short-lived token and in a "
                                           "reasonable timeframe. Check your iat and exp values")
