"""A certificate for loopback with a chain like Xero's: root, intermediate and leaf, RSA keys of 2,048 bits."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the root that clients trust, and what a server presents (leaf and intermediate) with its key."""

    root: Path
    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Signed:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


def make_certificates(directory: Path) -> Certificates:
    """Write a new chain for 127.0.0.1 and localhost, good for a week."""
    root = _sign("Benchmark root", issuer=None, depth=1)
    intermediate = _sign("Benchmark intermediate", issuer=root, depth=0)
    leaf = _sign("localhost", issuer=intermediate, depth=None)
    files = Certificates(directory / "root.pem", directory / "chain.pem", directory / "key.pem")
    files.root.write_bytes(_pem(root))
    files.chain.write_bytes(_pem(leaf) + _pem(intermediate))
    files.key.write_bytes(
        leaf.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


def _pem(signed: _Signed) -> bytes:
    return signed.certificate.public_bytes(serialization.Encoding.PEM)


def _sign(name: str, *, issuer: _Signed | None, depth: int | None) -> _Signed:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(tz=UTC)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=depth is not None, path_length=depth), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=depth is None,
                key_cert_sign=depth is not None,
                crl_sign=depth is not None,
                content_commitment=False,
                key_encipherment=depth is None,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if depth is None:
        names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _Signed(builder.sign(signer, hashes.SHA256()), key)
