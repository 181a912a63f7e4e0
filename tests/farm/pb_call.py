"""Calls methods of a master in Buildbot's protocol, as its debug client does, and prints each answer.

pb_call.py PORT USER PASSWORD CALL...      CALL is a JSON list: METHOD, ARGUMENT...
"""
import json
import sys

from twisted.cred import credentials
from twisted.internet import defer, reactor
from twisted.spread import pb

port, user, password, *calls = sys.argv[1:]


@defer.inlineCallbacks
def main():
    try:
        factory = pb.PBClientFactory()
        login = factory.login(credentials.UsernamePassword(user.encode(), password.encode()))
        reactor.connectTCP("127.0.0.1", int(port), factory)
        avatar = yield login
        for call in calls:
            method, *args = json.loads(call)
            names = args.pop() if args and isinstance(args[-1], dict) and method == "fakeChange" else {}
            try:
                answer = yield avatar.callRemote(method, *args, **names)
                print(method, "=", answer, flush=True)
            except Exception as error:
                print(method, "!", error, flush=True)
    except Exception as error:
        print("login !", error, flush=True)
    reactor.stop()


reactor.callWhenRunning(main)
reactor.run()
