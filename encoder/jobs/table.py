"""Jobs as a person and as a script read them.

Pure: the time is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from config.units import show_duration
from encoder.jobs.states import Job, State
from encoder.jobs.titles import shown

COLUMNS = ("job", "title", "state", "tries", "what", "since", "by")
# A sentence of ffmpeg's may have a dozen lines; all of it is in the JSON.
_LONGEST = 160
_COLOURS = {State.DONE: "green", State.FAILED: "red", State.RUNNING: "cyan", State.WAITING: "yellow"}


def row(job: Job, now: float) -> tuple[str, ...]:
    """What stands in COLUMNS."""
    title = f"{job.request.title} (priority {job.request.priority})" if job.request.priority else job.request.title
    since = max(job.added_at, job.started_at, job.ended_at)
    return (
        str(job.id), title, job.state.value, str(job.attempts), _what(job, now), f"{_ago(now - since)} ago",
        job.runner if job.state is State.RUNNING else job.added_by,
    )  # fmt: skip


def colour(job: Job) -> str:
    return _COLOURS.get(job.state, "")


def _what(job: Job, now: float) -> str:
    if job.state is State.RUNNING:
        left = f", {show_duration(job.left_s)} left" if job.left_s is not None else ""
        return f"{job.step} {job.per_mille / 10:.0f}%{left}" if job.step else "begins"
    if job.state is State.WAITING:
        return f"again in {_ago(job.not_before - now)}: {_short(job.error)}"
    if job.state is State.DONE:
        return _short(job.request.publish or shown(job.package))
    return _short(job.error) if job.error else shown(job.request.film)


def _ago(seconds: float) -> str:
    """No fractions: nobody asks for the state of a film in milliseconds."""
    return show_duration(seconds) if seconds >= 60 else f"{max(0, round(seconds))}s"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def places(job: Job, report: str) -> str:
    """Where all of a done job is; `report` is the path of its package's report, or "".

    In a line of its own, for columns would break what is to be copied.
    """
    published = f", published to {job.request.publish}" if job.request.publish else ""
    told = f", report {shown(report)}" if report else ""
    return f"job {job.id}: package {shown(job.package)}{told}{published}"


def tally(jobs: Sequence[Job]) -> str:
    """In one line: "2 queued, 1 running"."""
    counts = Counter(job.state for job in jobs)
    return ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state]) or "no jobs"


def as_json(job: Job, report: str) -> dict[str, object]:
    """For a script; times are seconds since 1970, null for what was not yet. `report` as of `places`."""
    request = job.request
    return {
        "id": job.id, "title": request.title, "name": request.name, "film": shown(request.film),
        "state": job.state.value, "priority": request.priority, "attempts": job.attempts, "error": job.error,
        "step": job.step, "per_mille": job.per_mille, "left_s": job.left_s, "added_at": job.added_at,
        "added_by": job.added_by, "started_at": job.started_at or None, "ended_at": job.ended_at or None,
        "not_before": job.not_before or None, "runner": job.runner, "package": _text(job.package),
        "report": _text(report),        "out": shown(request.out) if request.out else "", "publish": request.publish,
        "settings": dict(request.settings or {}),
    }  # fmt: skip


def _text(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
