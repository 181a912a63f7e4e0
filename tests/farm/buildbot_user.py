"""`buildbot user` as it is, but for two words that it gives as text where its own Twisted wants
bytes: on Python 3 no version of it can log in anywhere."""
from buildbot.clients import usersclient
from buildbot.scripts import runner

init = usersclient.UsersClient.__init__


def with_bytes(self, master, username, password, port):
    init(self, master, username.encode(), password.encode(), port)


usersclient.UsersClient.__init__ = with_bytes
runner.run()
