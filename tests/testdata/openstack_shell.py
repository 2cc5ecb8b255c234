"""Runs commands of the openstack client in one process, for whose start each would pay more than for its work.

A line of standard input is a JSON list of arguments, a line of standard output what came of it.
"""
import contextlib
import io
import json
import sys

from openstackclient import shell
from osc_lib.clientmanager import ClientCache, ClientManager


def forget():
    """Makes the next command find its servers and its token itself, as one of a new process does."""
    for name, kept in vars(ClientManager).items():
        if isinstance(kept, ClientCache) and name != "volume":  # of which none can be made a second time
            kept._handle = None


answers = sys.stdout
for line in sys.stdin:
    forget()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = shell.main(json.loads(line))
        except SystemExit as e:  # what argparse does with what it cannot read
            status = e.code
    print(json.dumps({"status": status, "out": out.getvalue(), "err": err.getvalue()}), file=answers, flush=True)
