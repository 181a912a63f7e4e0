"""Many workers in one process: PORT PROTOCOL PREFIX FIRST END DIRECTORY."""

import os
import sys

from buildbot_worker.bot import Worker
from twisted.internet import reactor
from twisted.python import log

port, protocol, prefix, first, end, directory = sys.argv[1:]
log.startLogging(sys.stdout)
for number in range(int(first), int(end)):
    name = "%s%d" % (prefix, number)
    basedir = os.path.join(directory, name)
    os.makedirs(os.path.join(basedir, "info"))
    worker = Worker("127.0.0.1", int(port), name, "x", basedir, 600, protocol=protocol)
    worker.startService()
reactor.run()
