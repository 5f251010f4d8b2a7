"""Makes certificates for one cluster, unless there are good ones already: certificates.py FOLDER."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from distributed.security import Security

SPARE = timedelta(days=30)


def main(folder: Path) -> None:
    """Make them, and leave alone what is good for long enough."""
    certificate = folder / "cert.pem"
    if certificate.exists():
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        if ends > datetime.now(UTC) + SPARE:
            print(f"{folder}: good until {ends:%Y-%m-%d}")
            return
    made = Security.temporary()
    # The certificate is its own authority. It is written last: where it is, the key is.
    write(folder / "key.pem", made.tls_client_key)
    write(folder / "ca.pem", made.tls_ca_file)
    write(certificate, made.tls_client_cert)
    print(f"{folder}: made")


def write(path: Path, text: str) -> None:
    """Write at once, for the owner's eyes."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
