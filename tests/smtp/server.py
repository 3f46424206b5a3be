"""A mail server for tests, on a free loopback port.

    server.py FOLDER [--tls starttls|implicit] [--name HOST] [--login USER:PASSWORD]
                     [--reject data:CODE[:TIMES]] [--reject rcpt:ADDRESS:CODE] [--limit BYTES] [--inject] [--silent]

--inject plays somebody on the way who puts an answer of his own behind that to STARTTLS.

It prints its port when it listens, and ends when its standard input is closed. In FOLDER it leaves
  1.eml, 1.json …   each mail as it came, and what Python's `email` package reads in it
  wire.jsonl        everything that was said to it: {"connection": 1, "tls": false, "said": "EHLO …"}
  ca.pem            with --tls: the authority that signed its certificate, made out for HOST (127.0.0.1, localhost)
  other-ca.pem      an authority that did not
"""

import argparse
import asyncio
import datetime
import email
import email.policy
import ipaddress
import json
import logging
import pathlib
import ssl
import sys
import warnings

from aiosmtpd.smtp import AuthResult, LoginPassword, SMTP


def certificates(folder, name):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.timezone.utc)
    days = datetime.timedelta(days=2)

    def named(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def make(subject, issuer, issuer_key, authority, names=()):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - days)
            .not_valid_after(now + days)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return key, builder.sign(issuer_key or key, hashes.SHA256())

    def pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    ca_key, ca = make("test authority", "test authority", None, True)
    _, other = make("other authority", "other authority", None, True)
    if name:
        names = [x509.DNSName(name)]
    else:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    key, own = make("test server", "test authority", ca_key, False, names)
    (folder / "ca.pem").write_bytes(pem(ca))
    (folder / "other-ca.pem").write_bytes(pem(other))
    (folder / "server.pem").write_bytes(pem(own))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


def read(raw):
    """What a mail reader sees of a mail."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    seen = {"headers": [[k, str(v)] for k, v in message.items()], "attachments": [], "defects": []}
    for part in message.walk():
        seen["defects"] += [repr(d) for d in part.defects]
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True)
        if part.get_content_disposition() == "attachment":
            text = content.decode("utf-8", "replace")
            seen["attachments"].append(
                {"name": part.get_filename(), "type": part.get_content_type(), "bytes": len(content), "text": text}
            )
        elif part.get_content_type() == "text/plain":
            seen["text"] = content.decode("utf-8")
        elif part.get_content_type() == "text/html":
            seen["html"] = content.decode("utf-8")
    return seen


class Server:
    def __init__(self, options):
        self.folder = options.folder
        self.options = options
        self.connections = 0
        self.count = 0
        self.rejects = []
        for text in options.reject:
            where, rest = text.split(":", 1)
            if where == "data":
                code, _, times = rest.partition(":")
                self.rejects.append(["data", None, code, int(times) if times else 1 << 30])
            else:
                address, code = rest.rsplit(":", 1)
                self.rejects.append(["rcpt", address, code, 1 << 30])

    def heard(self, connection, tls, data):
        line = {"connection": connection, "tls": tls, "said": data.decode("latin-1")}
        with open(self.folder / "wire.jsonl", "a") as wire:
            wire.write(json.dumps(line) + "\n")

    def refused(self, where, address=None):
        for reject in self.rejects:
            if reject[:2] == [where, address] and reject[3] > 0:
                reject[3] -= 1
                return f"{reject[2]} refused by the test"
        return None

    async def handle_RCPT(self, server, session, envelope, address, options):
        refused = self.refused("rcpt", address)
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        refused = self.refused("data")
        if refused:
            return refused
        self.count += 1
        raw = envelope.original_content
        seen = read(raw)
        seen["mail_from"], seen["rcpt_tos"] = envelope.mail_from, envelope.rcpt_tos
        seen["tls"], seen["login"] = session.ssl is not None or self.options.tls == "implicit", session.auth_data
        (self.folder / f"{self.count}.eml").write_bytes(raw)
        (self.folder / f"{self.count}.json").write_text(json.dumps(seen))
        return "250 taken"

    def authenticate(self, server, session, envelope, mechanism, data):
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        given = f"{data.login.decode()}:{data.password.decode()}"
        if given == self.options.login:
            return AuthResult(success=True, auth_data=data.login.decode())
        return AuthResult(success=False, handled=False)


class Protocol(SMTP):
    def __init__(self, owner, *arguments, **options):
        super().__init__(owner, *arguments, **options)
        self.owner = owner
        owner.connections += 1
        self.number = owner.connections
        owner.heard(self.number, False, b"")

    async def push(self, status):
        if self.owner.options.inject and status.startswith("220 Ready"):
            status += "\r\n250-test.invalid\r\n250 AUTH PLAIN LOGIN"
        await super().push(status)

    def data_received(self, data):
        tls = self.transport.get_extra_info("sslcontext") is not None
        self.owner.heard(self.number, tls, data)
        super().data_received(data)


class Silent(asyncio.Protocol):
    def __init__(self, owner):
        owner.connections += 1
        owner.heard(owner.connections, False, b"")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--name")
    parser.add_argument("--login")
    parser.add_argument("--reject", action="append", default=[])
    parser.add_argument("--limit", type=int, default=64 << 20)
    parser.add_argument("--inject", action="store_true")
    parser.add_argument("--silent", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    server = Server(options)
    context = None if options.tls == "none" else certificates(options.folder, options.name)
    starttls = options.tls == "starttls"

    def protocol():
        if options.silent:
            return Silent(server)
        return Protocol(
            server,
            hostname="test.invalid",
            data_size_limit=options.limit,
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=server.authenticate if options.login else None,
            auth_required=bool(options.login),
            auth_require_tls=starttls,
            loop=asyncio.get_running_loop(),
        )

    at_once = context if options.tls == "implicit" else None
    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=at_once)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
