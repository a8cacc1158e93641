"""google.py CERTIFICATE KEY PORT LOG: a proxy behind which Google gives out tokens.

Whatever host is asked for, TLS ends here; LOG gets a line for each request. Who shows the refresh token and the client secret of
the environment (REFRESH_TOKEN, CLIENT_SECRET) gets ACCESS_TOKEN; all others get an answer that quotes what they sent.
"""

import json
import os
import socketserver
import ssl
import sys
import urllib.parse

certificate, key, port, log_file = sys.argv[1:5]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.set_alpn_protocols(["http/1.1"])


def answer(form):
    right = all(form.get(field) == [os.environ[field.upper()]] for field in ("refresh_token", "client_secret"))
    if right:
        return "200 OK", {"access_token": os.environ["ACCESS_TOKEN"], "expires_in": 3600, "token_type": "Bearer"}
    return "400 Bad Request", {"error": "invalid_grant", "error_description": str(form)}


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        host = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        self.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with context.wrap_socket(self.connection, server_side=True) as tls:
            stream = tls.makefile("rb")
            while line := stream.readline():
                length = 0
                while header := stream.readline().strip():
                    name, value = header.split(b":", 1)
                    if name.lower() == b"content-length":
                        length = int(value)
                status, fields = answer(urllib.parse.parse_qs(stream.read(length).decode()))
                with open(log_file, "a") as file:
                    file.write(f"{host} {line.split()[1].decode()} {status}\n")
                body = json.dumps(fields).encode()
                head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                tls.sendall(head.encode() + body)


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(port)), Connection).serve_forever()
