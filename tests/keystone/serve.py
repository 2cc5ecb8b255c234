"""Serves a Keystone of its own on a free port of loopback.

usage: serve.py FOLDER PASSWORD, where FOLDER holds keystone.conf. What it has made (a database, an admin of that
password, a catalogue with itself) is there when it prints its URL. Python is imported once, and forked: that is
most of the time that the three commands would take.
"""

import os
import socketserver
import sqlite3
import sys
import wsgiref.simple_server

from keystone.cmd import cli
from keystone.server.flask import core

folder, password = sys.argv[1:]
conf = os.path.join(folder, "keystone.conf")


def manage(*args):
    """Runs a command of keystone-manage in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            cli.main(["keystone-manage", "--config-file", conf, *args])
            os._exit(0)
        except BaseException as e:
            print("keystone-manage", args[0], repr(e), file=sys.stderr, flush=True)
            os._exit(1)
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit(args[0] + " failed")


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def address_string(self):  # not the name, which somebody would have to be asked for
        return self.client_address[0]


server = wsgiref.simple_server.make_server("127.0.0.1", 0, None, Server, Handler)
url = "http://127.0.0.1:%d/v3" % server.server_port
# Whoever reads locks out writers otherwise, and Keystone's threads read for longer than they look.
sqlite3.connect(os.path.join(folder, "keystone.db")).execute("PRAGMA journal_mode=WAL")
manage("db_sync")
manage("bootstrap", "--bootstrap-password", password, "--bootstrap-region-id", "RegionOne",
       "--bootstrap-public-url", url, "--bootstrap-internal-url", url, "--bootstrap-admin-url", url)
sys.argv[1:] = []
server.set_app(core.initialize_application("public", config_files=[conf]))
print(url, flush=True)
server.serve_forever()
