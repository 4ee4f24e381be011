"""Compiles what steering does for each request, if it is told to: a third more sessions of a core.

    NEARCAST_COMPILE=3 pip install --no-build-isolation .        0 to 3: how hard the C compiler tries

mypyc makes C of the very modules that run as Python otherwise, by their type annotations; so it needs mypy and a C
compiler, and takes a minute. Everything else about the package is in setup.cfg.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

# Keep what is checked at run time out of it (routes, replicas, commands): there is nothing to gain.
COMPILED = (
    "encoder/manifests.py",
    "oca/access_log.py",
    "oca/tokens/keys.py",
    "steering/appliances/admission.py",
    "steering/appliances/experience.py",
    "steering/appliances/fleet.py",
    "steering/appliances/holdings.py",
    "steering/appliances/roll.py",
    "steering/choice/cohorts.py",
    "steering/choice/ranking.py",
    "steering/decisions.py",
    "steering/director.py",
    "steering/draws.py",
    "steering/front/answers.py",
    "steering/front/connection.py",
    "steering/front/requests.py",
    "steering/metrics.py",
    "steering/placement/nearby.py",
    "steering/recent.py",
    "steering/sessions/access.py",
    "steering/sessions/pathways.py",
    "steering/sessions/players.py",
    "steering/sessions/session.py",
)


def _extensions() -> list[Extension]:
    level = os.environ.get("NEARCAST_COMPILE", "")
    if not level:
        return []
    if level not in ("0", "1", "2", "3"):
        raise SystemExit(f"NEARCAST_COMPILE: found {level!r}, expected 0, 1, 2 or 3, or nothing")
    try:
        from mypyc.build import mypycify
    except ImportError:
        raise SystemExit("NEARCAST_COMPILE: mypy is not there (pip install mypy, then --no-build-isolation)") from None
    extensions: list[Extension] = mypycify(["--config-file", "setup.cfg", *COMPILED], opt_level=level, separate=True)
    return extensions


setup(ext_modules=_extensions(), options={"build_ext": {"parallel": os.cpu_count()}})
