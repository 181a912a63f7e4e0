"""A relay: writes every mail that it takes as a line of JSON.

smtp.py PORT FILE [--refuse ADDRESS] [--tls CERTIFICATE KEY --login USER PASSWORD]
"""
import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

args = argparse.ArgumentParser()
args.add_argument("port", type=int)
args.add_argument("file")
args.add_argument("--refuse")
args.add_argument("--tls", nargs=2)
args.add_argument("--login", nargs=2)
args = args.parse_args()


class Relay:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == args.refuse:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "body": mail.get_content().replace("\r\n", "\n"),
            "tls": session.ssl is not None,
            "user": (session.auth_data or b"").decode(),
        }
        with open(args.file, "a") as file:
            file.write(json.dumps(line) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    user, password = args.login
    is_good = (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=is_good, handled=False, auth_data=data.login)


def session():
    if args.tls is None:
        return SMTP(Relay(), hostname="relay.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*args.tls)
    return SMTP(
        Relay(),
        hostname="relay.test",
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", args.port)
    await server.serve_forever()


asyncio.run(serve())
