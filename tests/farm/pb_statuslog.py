"""Listens to a master as `buildbot statuslog` of 0.8 does, which needs a Python of its day.

pb_statuslog.py PORT USER PASSWORD MODE      prints a line for each event until the master is gone
"""
import sys

from twisted.cred import credentials
from twisted.internet import reactor
from twisted.spread import pb

port, user, password, mode = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


class Listener(pb.Referenceable):
    def remote_builderAdded(self, name, builder):
        say("builderAdded", name)

    def remote_builderRemoved(self, name):
        say("builderRemoved", name)

    def remote_builderChangedState(self, name, state, eta):
        say("builderChangedState", name, state, eta)

    def remote_buildStarted(self, name, build):
        say("buildStarted", name)
        build.callRemote("getNumber").addCallback(lambda it: say("number", it))

    def remote_buildFinished(self, name, build, results):
        say("buildFinished", name, results)

    def remote_buildETAUpdate(self, name, build, eta):
        say("ETA", name)

    def remote_stepStarted(self, name, build, step, it):
        say("stepStarted", name, step)

    def remote_stepETAUpdate(self, name, build, step, it, eta, expectations):
        say("stepETA", name, step, type(eta).__name__, [metric for metric, _, _ in expectations])

    def remote_stepFinished(self, name, build, step, it, results):
        say("stepFinished", name, step, results[0])

    def remote_logStarted(self, name, build, step, it, log, remote):
        say("logStarted", name, step, log)

    def remote_logFinished(self, name, build, step, it, log, remote):
        say("logFinished", name, step, log)

    def remote_logChunk(self, name, build, step, it, log, remote, channel, data):
        say("logChunk", channel, repr(data))


listener = Listener()


def wait_for(sets):
    for buildset, _ in sets:
        say("waits for a set")
        over = buildset.callRemote("waitUntilFinished")
        over.addCallback(lambda it: say("set is over", it == buildset))


def connected(avatar):
    say("connected")
    avatar.notifyOnDisconnect(lambda _: reactor.stop())
    avatar.callRemote("ping").addCallback(say)
    avatar.callRemote("getBuildSets").addCallback(wait_for)
    return avatar.callRemote("subscribe", mode, 1, listener)


def refused(failure):
    say("refused:", failure.value)
    reactor.stop()


factory = pb.PBClientFactory()
login = factory.login(credentials.UsernamePassword(user.encode(), password.encode()))
login.addCallbacks(connected, refused)
reactor.connectTCP("127.0.0.1", int(port), factory)
reactor.run()
