"""The README as a package index shows it, made from ``README.md`` while a distribution is built.

In the repository its links and pictures are paths of files, and lead there wherever the repository is looked at. A
package index has none of these files. So in the metadata they become addresses below ``Source`` of ``[project.urls]``;
as long as no such address is set, pictures are left out and links are their words alone, so that nothing is broken.

Hatchling calls :class:`PublishedReadme` (``[tool.hatch.metadata.hooks.custom]`` in ``pyproject.toml``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?P<path>(?!https?://|#|mailto:)[^)]+)\)")
#: The address of a picture's bytes, and of the page that shows a file, on the hosts that have both below other paths.
_RAW, _PAGE = "{source}/raw/HEAD/{path}", "{source}/blob/HEAD/{path}"


class PublishedReadme(MetadataHookInterface):
    """Gives the metadata its description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description in the metadata."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        source = metadata.get("urls", {}).get("Source", "")
        metadata["readme"] = {"content-type": "text/markdown", "text": published(text, source)}


def published(text: str, source: str) -> str:
    """Return a README that needs no file beside it.

    :param text: with links and pictures that are paths of the repository.
    :param source: the repository's address, as GitHub and GitLab have it; empty if there is none.
    """

    def lead(link: re.Match[str]) -> str:
        if not source:
            return "" if link["picture"] else link["words"]
        address = (_RAW if link["picture"] else _PAGE).format(source=source.rstrip("/"), path=link["path"])
        return f"{link['picture']}[{link['words']}]({address})"

    return _LINK.sub(lead, text)
