"""A Galera cluster of one real member on an address of the loopback network."""

import shutil
import subprocess
from pathlib import Path

from ocf_calls import free_port

from resource_agents.mysql.client import Connection, SqlError
from vimha.process import checked, run


class GaleraMember:
    """A cluster of one real member at `address`, run by the user mysql in `folder`."""

    def __init__(self, folder: Path, address: str) -> None:
        self.address = address
        self.port = free_port()
        self.socket = str(folder / "mysqld.sock")
        self._log = folder / "mysqld.log"
        self._data = f"--datadir={folder / 'data'}"
        shutil.chown(folder, "mysql")
        checked(
            run(["mariadb-install-db", "--no-defaults", self._data, "--user=mysql", "--skip-test-db"], timeout_s=90)
        )
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        argv = [
            "/usr/sbin/mariadbd", "--no-defaults", self._data, "--user=mysql", f"--socket={self.socket}",
            f"--bind-address={self.address}", f"--port={self.port}", "--skip-name-resolve",
            "--innodb-buffer-pool-size=32M", "--binlog-format=ROW", "--wsrep-on=ON",
            "--wsrep-provider=/usr/lib/galera/libgalera_smm.so", "--wsrep-cluster-address=gcomm://",
            "--wsrep-new-cluster", f"--wsrep-node-address={self.address}",
            f"--wsrep-provider-options=gmcast.listen_addr=tcp://{self.address}:{free_port()};gcache.size=16M",
        ]  # fmt: skip
        with self._log.open("w") as log:
            return subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)

    def run(self, sql: str) -> bool:
        """Run one statement as root; False when the member cannot take it."""
        try:
            with Connection.connect(self.socket, "root", "", 10) as connection:
                connection.query(sql)
        except (OSError, SqlError):
            return False
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def revive(self) -> None:
        self.process = self._start()
