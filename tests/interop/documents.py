"""Serves the metadata documents of clients on loopback over TLS, as their makers' sites do: any path that ends in `.json`
is the id of a client with the redirect URIs of all the clients tried here.

    documents.py PORT CA_FILE          makes a certificate authority for this run, writes it to CA_FILE, and serves
"""

import datetime
import http.server
import ipaddress
import json
import pathlib
import ssl
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# The port of a loopback URI is free (RFC 8252 section 7.3).
REDIRECTS = [
    "http://127.0.0.1/callback", "http://localhost/callback", "http://127.0.0.1/oauth/callback",
    "http://localhost/oauth/callback",
]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if not self.path.endswith(".json"):
            return self.send_error(404)
        document = {
            "client_id": f"https://{self.headers['host']}{self.path}",
            "client_name": f"Interop: {pathlib.PurePosixPath(self.path).stem}",
            "redirect_uris": REDIRECTS,
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "max-age=300")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def certify(folder, ca_file):
    """A certificate for 127.0.0.1 and its key in `folder`, from an authority that is made here and forgotten."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Interop")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(name, public_key, extension, critical):
        return (
            x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1)).add_extension(extension, critical)
            .sign(authority, hashes.SHA256())
        )

    own = certificate(issuer, authority.public_key(), x509.BasicConstraints(ca=True, path_length=0), True)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = certificate(subject, key.public_key(), address, False)
    pem = serialization.Encoding.PEM
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(leaf.public_bytes(pem))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    pathlib.Path(ca_file).write_bytes(own.public_bytes(pem))
    return chain, secret


def main(port, ca_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(*certify(pathlib.Path(folder), ca_file))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
