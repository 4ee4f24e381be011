"""From a finished encode to its report: `{package}.report.html` beside the package's folder.

Not in it: a package is public and immutable, and named by what it holds, whoever made it and however long that took.
The file comes by one rename, like the package. An encode does not fail for its report: it says what went wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from config.encoder import EncoderSettings
from encoder import package
from encoder.per_title.quality import RungQuality
from encoder.report.costs import Metered
from encoder.report.facts import Made, Report, Search
from encoder.report.page import page
from encoder.report.stills import worst_still
from encoder.running.process import Tools
from encoder.running.work import Work
from encoder.video.chunks import Plan
from encoder.video.ladder import Rung, ladder

log = logging.getLogger(__name__)

SUFFIX = ".report.html"
# Of the settings, what the bytes of a package depend on.
_TOLD = ("ladder", "preset", "codecs", "segment_duration", "chunk_duration", "loudness")


class Encoded(NamedTuple):
    """What the steps of an encode leave for its report."""

    plan: Plan
    rungs: tuple[Rung, ...]
    video: Path  # `{rung}.mp4`, in clear
    searches: tuple[Search, ...]
    qualities: tuple[RungQuality, ...]


def report_path(folder: Path) -> Path:
    """Where the report of the package in `folder` is."""
    return folder.with_name(folder.name + SUFFIX)


def write_report(work: Work, encoded: Encoded, folder: Path, meter: Metered) -> None:
    """The report of the package in `folder`."""
    path = report_path(folder)
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        unfinished.write_text(page(_report(work, encoded, folder, meter)), encoding="utf-8")
        unfinished.replace(path)
    except Exception as error:
        unfinished.unlink(missing_ok=True)
        log.warning("no report", exc_info=error)
        work.reporter.say(f"the report {path} cannot be made ({error}); the package is whole without it")


def _report(work: Work, encoded: Encoded, folder: Path, meter: Metered) -> Report:
    manifest = package.decode((folder / package.MANIFEST_NAME).read_bytes())
    renditions = {rendition.name: rendition for rendition in manifest.renditions}
    qualities = {quality.rung: quality for quality in encoded.qualities}
    made = []
    # Tools of our own: the encode has closed its by now.
    with Tools() as tools, work.reporter.bar("report", len(encoded.rungs)) as bar:
        for done, rung in enumerate(encoded.rungs, 1):
            quality, still = qualities.get(rung.name), None
            if quality is not None:
                encode = encoded.video / f"{rung.name}.mp4"
                still = worst_still(tools, work.film, work.source, encoded.plan, rung, quality, encode)
            made.append(Made(rung, renditions[rung.name], quality, still))
            bar.update(done)
    return Report(
        package=folder.name,
        manifest=manifest,
        plan=encoded.plan,
        rungs=tuple(made),
        searches=encoded.searches,
        fixed=ladder(work.source),
        # What workers elsewhere spent, nobody here knows; a part of it would look like all.
        costs=meter.costs() if work.settings.workers.isdigit() else (),
        settings=tuple(_settings(work.settings)),
    )


def _settings(settings: EncoderSettings) -> Sequence[tuple[str, str]]:
    return [
        (one.name.replace("_", " "), one.metadata["kind"].show(getattr(settings, one.name)))
        for one in fields(settings)
        if one.name in _TOLD
    ]
