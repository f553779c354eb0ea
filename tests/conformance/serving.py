"""What cases fetch from other places: their folder serve/ by HTTP, and the repositories below git/."""

import pathlib
import re

import stores  # noqa: F401 (puts tests/e2e on the path)
from source_server import SourceServer, git


class Servers:
    """One server for all cases; its root is the folder that holds the folders of the cases."""

    def __init__(self, folder: pathlib.Path):
        self._server = SourceServer("127.0.0.1", folder)

    def close(self) -> None:
        self._server.close()

    def said(self, text: str, folder: pathlib.Path) -> str:
        """The text with addresses in the place of @HTTP@, @GIT@ and @COMMIT@."""
        for word, address in self._words(folder).items():
            text = text.replace(word, address)
        if "@COMMIT@" in text:
            text = text.replace("@COMMIT@", self._commit(folder))
        return text

    def unsaid(self, text: str, folder: pathlib.Path) -> str:
        """The other way round, for goldens."""
        for word, address in self._words(folder).items():
            text = text.replace(address, word)
        return text

    def _words(self, folder: pathlib.Path) -> dict[str, str]:
        return {"@HTTP@": f"{self._server.url}/{folder.name}/serve", "@GIT@": f"{self._server.url}/{folder.name}/bare"}

    def offer(self, folder: pathlib.Path) -> None:
        """Makes the repositories of a case, once its files are there."""
        for work in sorted((folder / "git").glob("*")):
            bare = folder / "bare" / f"{work.name}.git"
            if not bare.exists():
                bare.parent.mkdir(exist_ok=True)
                git(work, "init", "--quiet")
                git(work, "add", "--all")
                git(work, "commit", "--quiet", "--message", "all")
                git(work, "tag", "v1")
                git(folder, "clone", "--quiet", "--bare", str(work), str(bare))
                git(bare, "update-server-info")

    def _commit(self, folder: pathlib.Path) -> str:
        self.offer(folder)
        work = next(iter(sorted((folder / "git").glob("*"))))
        return re.sub(r"\s", "", git(work, "rev-parse", "HEAD"))
