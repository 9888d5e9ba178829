"""A cluster whose etcd is restored from a backup now and then."""

import random

from support.kube_api import KubeApi


class Backups:
    """The store goes back to its last backup now and then.

    The rest of the cluster writes as well, more before a store goes back than afterwards: versions alone cannot tell
    one store from another that has grown past it before anyone asked.
    """

    def __init__(self, api: KubeApi) -> None:
        self.restored = 0
        self._api = api
        self._backup = api.backup()
        api.store.revision += 1000**9
        self._rest = 1000**8

    def perhaps(self, dice: random.Random) -> None:
        chance = dice.random()
        if chance >= 0.1 or self._rest < 1000:
            return
        if chance < 0.05:
            self._backup = self._api.backup()
        else:
            self._api.restore(self._backup)
            self.restored += 1
        self._api.store.revision += self._rest
        self._rest //= 1000
