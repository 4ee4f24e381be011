"""The files of the web page: our own, and the player libraries that npm installed.

Every file that may be served is found when the service starts; a URL is only ever a key of that dictionary, so no path
in a request can reach anything else.
"""

from __future__ import annotations

import logging
from pathlib import Path

WEB = Path(__file__).parent / "web"
INSTALL_COMMAND = "npm ci --prefix steering/web --ignore-scripts"
# URL below /assets/lib/ -> file below node_modules. The packages hold 250 MB of builds; pages need these three.
LIBRARIES = {
    "hls.js": "hls.js/dist/hls.min.mjs",
    "dash.js": "dashjs/dist/modern/esm/dash.all.min.js",
    "shaka.js": "shaka-player/dist/shaka-player.compiled-es2021.js",
}
_OURS = (".js", ".css", ".svg")
MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
}

logger = logging.getLogger(__name__)


def find_assets(web: Path = WEB) -> dict[str, Path]:
    """Path below /assets/ -> file. Says in the log which libraries are missing, and how to get them."""
    modules = web / "node_modules"
    found = {
        str(path.relative_to(web)): path
        for path in sorted(web.rglob("*"))
        if path.suffix in _OURS and modules not in path.parents and path.is_file()
    }
    libraries = {name: modules / path for name, path in LIBRARIES.items()}
    missing = [name for name, path in libraries.items() if not path.is_file()]
    if missing:
        logger.warning(
            "player libraries are not installed, the page cannot play",
            extra={"missing": missing, "fix": INSTALL_COMMAND},
        )
    return found | {f"lib/{name}": path for name, path in libraries.items() if name not in missing}
