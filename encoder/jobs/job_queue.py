"""Jobs in a database: SQLite for the processes of one machine, PostgreSQL for those of several.

Each change is one statement that names the states in which it may happen (encoder/jobs/states.py), so two runners never
have one job, whatever they do at once. SQLite's journal (WAL) needs memory that all share: not on a network's disk.

Every method blocks and raises JobError.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sql

from config.databases import make_tables, open_engine, reason_of
from encoder.errors import JobError
from encoder.jobs.states import LEASE_S, MOST_ATTEMPTS, Event, Job, Request, State, moved, sources
from encoder.jobs.titles import demand_distinct, shown

# How long a process waits for another that writes.
_PATIENCE_S = 10
# Of an error's sentence: ffmpeg can say much.
_LONGEST_ERROR = 2000

_metadata = sql.MetaData()
_jobs = sql.Table(
    "jobs",
    _metadata,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("film", sql.LargeBinary, nullable=False),  # a path is bytes, and need not be text
    sql.Column("title", sql.String(64), nullable=False),
    sql.Column("request", sql.LargeBinary, nullable=False),  # the rest of it, JSON
    sql.Column("priority", sql.Integer, nullable=False),
    sql.Column("state", sql.String(16), nullable=False, index=True),
    sql.Column("added_at", sql.Double, nullable=False),
    sql.Column("added_by", sql.Text, nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False, default=0),
    sql.Column("error", sql.Text, nullable=False, default=""),
    sql.Column("not_before", sql.Double, nullable=False, default=0.0),
    sql.Column("started_at", sql.Double, nullable=False, default=0.0),
    sql.Column("ended_at", sql.Double, nullable=False, default=0.0),
    sql.Column("runner", sql.Text, nullable=False, default=""),
    sql.Column("lease_until", sql.Double, nullable=False, default=0.0),
    sql.Column("is_cancelled", sql.Boolean, nullable=False, default=False),  # its runner is to end it
    sql.Column("step", sql.Text, nullable=False, default=""),
    sql.Column("per_mille", sql.Integer, nullable=False, default=0),
    sql.Column("left_s", sql.Double, nullable=True),
    sql.Column("package", sql.LargeBinary, nullable=False, default=b""),
    sqlite_autoincrement=True,  # an ID that a script remembers is no other job's when the first is forgotten
)
# The same work is not asked for twice, and no two films for one title.
_one_of_title = sql.Index(
    "one_of_title",
    _jobs.c.title,
    unique=True,
    sqlite_where=_jobs.c.state.in_(["queued", "running", "waiting"]),
    postgresql_where=_jobs.c.state.in_(["queued", "running", "waiting"]),
)


class Answer(Enum):
    """What a runner hears when it renews its lease."""

    GO_ON = "go on"
    CANCELLED = "cancelled"
    LOST = "lost"  # another has the job


class _Kept(msgspec.Struct, frozen=True):
    """A request without its film and title. Paths are written as os.fsencode has them, in Latin-1."""

    name: str
    out: str
    publish: str
    replace: bool
    s3_endpoint: str
    settings: dict[str, str]


class Queue:
    def __init__(self, url: str) -> None:
        """Opens the database, and makes its table if there is none. Raises JobError if it cannot be used."""
        with _as_job_error():
            self._engine = open_engine(url, _PATIENCE_S, is_durable=True)
            with self._engine.begin() as connection:
                make_tables(connection, _metadata)

    def close(self) -> None:
        self._engine.dispose()

    def add(self, requests: Sequence[Request], now: float, by: str) -> list[int]:
        """The IDs of the jobs, all added or none. Who asks again for what is not over yet gets the job that is there.

        Raises JobError for two films of one title, here or with a job that is not over.
        """
        demand_distinct(requests)
        with _as_job_error(), self._engine.begin() as connection:
            return [_add(connection, request, now, by) for request in requests]

    def claim(self, runner: str, now: float, only: Collection[int] | None = None) -> Job | None:
        """The job of the highest priority that is due, now this runner's; the oldest of them. `only`: of these IDs."""
        self._give_back_lost(now)
        due = _jobs.c.state == State.QUEUED.value
        due |= (_jobs.c.state == State.WAITING.value) & (_jobs.c.not_before <= now)
        if only is not None:
            due &= _jobs.c.id.in_(only)
        best = sql.select(_jobs.c.id).where(due).order_by(_jobs.c.priority.desc(), _jobs.c.id).limit(1)
        claim = (
            _change(Event.CLAIM)
            .where(_jobs.c.id == best.scalar_subquery())
            .values(
                runner=runner, lease_until=now + LEASE_S, started_at=now, ended_at=0.0, step="", per_mille=0,
                left_s=None, attempts=_jobs.c.attempts + 1, is_cancelled=False,
            )
        )  # fmt: skip
        while True:
            row = self._one(claim.returning(_jobs))
            if row is not None:
                return _job(row)
            # Somebody was quicker; is there another?
            if self._one(best) is None:
                return None

    def beat(self, job: Job, now: float, *, step: str, per_mille: int, left_s: float | None) -> Answer:
        """Renews the lease and says how far the job is."""
        row = self._one(
            self._of_runner(job, sql.update(_jobs))
            .values(lease_until=now + LEASE_S, step=step, per_mille=per_mille, left_s=left_s)
            .returning(_jobs.c.is_cancelled)
        )
        if row is None:
            return Answer.LOST
        return Answer.CANCELLED if row.is_cancelled else Answer.GO_ON

    def end(
        self, job: Job, event: Event, now: float, *, error: str = "", not_before: float = 0.0, package: str = ""
    ) -> bool:
        """The runner lets go of a job; False if it had lost it."""
        values: dict[str, Any] = {
            "error": error[:_LONGEST_ERROR], "not_before": not_before, "package": os.fsencode(package),
            "ended_at": now, "lease_until": 0.0, "left_s": None,
        }  # fmt: skip
        if event is Event.GIVE_BACK:
            values["attempts"] = _jobs.c.attempts - 1  # that was no fault of the job's
        return self._one(self._of_runner(job, _change(event)).values(**values).returning(_jobs.c.id)) is not None

    def cancel(self, id_: int, now: float) -> State:
        """Ends a job, or tells its runner to. The state that it then has. Raises JobError."""
        job = self.job(id_)
        state = _checked(job, Event.CANCEL)
        told = self._one(
            sql.update(_jobs)
            .where(_jobs.c.id == id_, _jobs.c.state == State.RUNNING.value)
            .values(is_cancelled=True)
            .returning(_jobs.c.id)
        )
        if told is not None:
            return State.RUNNING
        ended = self._one(
            _change(Event.CANCEL)
            .where(_jobs.c.id == id_, _jobs.c.state != State.RUNNING.value)
            .values(ended_at=now)
            .returning(_jobs.c.id)
        )
        return state if ended is not None else self.job(id_).state

    def retry(self, id_: int) -> None:
        """Queues a job anew that failed, was cancelled or waits. Raises JobError."""
        _checked(self.job(id_), Event.RETRY)
        self._one(
            _change(Event.RETRY)
            .where(_jobs.c.id == id_)
            .values(attempts=0, error="", not_before=0.0, ended_at=0.0, started_at=0.0)
            .returning(_jobs.c.id)
        )

    def job(self, id_: int) -> Job:
        """Raises JobError if there is none."""
        row = self._one(sql.select(_jobs).where(_jobs.c.id == id_))
        if row is None:
            raise JobError(f"there is no job {id_}; `nearcast encode status` lists those there are")
        return _job(row)

    def jobs(self, only: Collection[int] | None = None) -> list[Job]:
        """All jobs, or those of these IDs, in the order of their IDs."""
        query = sql.select(_jobs).order_by(_jobs.c.id)
        if only is not None:
            query = query.where(_jobs.c.id.in_(only))
        with _as_job_error(), self._engine.begin() as connection:
            return [_job(row) for row in connection.execute(query)]

    def forget(self, before: float) -> None:
        """Removes the jobs that were over before this time."""
        over = _jobs.c.state.in_([state.value for state in State if state.is_over])
        with _as_job_error(), self._engine.begin() as connection:
            connection.execute(sql.delete(_jobs).where(over, _jobs.c.ended_at < before))

    def _give_back_lost(self, now: float) -> None:
        """Jobs whose runner is gone: back into the queue, or to their end if that happened too often or was wanted."""
        lost = _jobs.c.lease_until < now
        fate = [
            (Event.CANCEL, lost & _jobs.c.is_cancelled, ""),
            (Event.FAIL, lost & (_jobs.c.attempts >= MOST_ATTEMPTS), f"its runner was lost {MOST_ATTEMPTS} times"),
            (Event.GIVE_BACK, lost, "its runner was lost"),
        ]
        with _as_job_error(), self._engine.begin() as connection:
            for event, where, error in fate:
                change = _change(event).where(_jobs.c.state == State.RUNNING.value, where)
                connection.execute(change.values(error=error, ended_at=now, left_s=None))

    def _of_runner(self, job: Job, change: sql.Update) -> sql.Update:
        # With the try: a runner that lost a job and got it again must not end it for the former.
        return change.where(
            _jobs.c.id == job.id,
            _jobs.c.runner == job.runner,
            _jobs.c.attempts == job.attempts,
            _jobs.c.state == State.RUNNING.value,
        )

    def _one(self, statement: Any) -> Any:
        with _as_job_error(), self._engine.begin() as connection:
            return connection.execute(statement).first()


def _change(event: Event) -> sql.Update:
    """Moves jobs in whose state this event may happen."""
    states = sources(event)
    targets = {moved(state, event) for state in states}
    (target,) = targets
    return sql.update(_jobs).where(_jobs.c.state.in_([state.value for state in states])).values(state=target.value)


def _checked(job: Job, event: Event) -> State:
    try:
        return moved(job.state, event)
    except JobError as error:
        raise JobError(f"job {job.id} ({job.request.title}) {error}") from None


def _add(connection: sql.Connection, request: Request, now: float, by: str) -> int:
    over = [state.value for state in State if state.is_over]
    same = sql.select(_jobs).where(_jobs.c.title == request.title, _jobs.c.state.not_in(over))
    row = connection.execute(same).first()
    if row is not None:
        job = _job(row)
        if msgspec.structs.asdict(_kept(job.request)) != msgspec.structs.asdict(_kept(request)) or (
            job.request.film != request.film
        ):
            raise _taken(job, request)
        connection.execute(sql.update(_jobs).where(_jobs.c.id == job.id).values(priority=request.priority))
        return job.id
    added = connection.execute(
        sql.insert(_jobs)
        .values(
            film=os.fsencode(request.film), title=request.title, request=msgspec.json.encode(_kept(request)),
            priority=request.priority, state=State.QUEUED.value, added_at=now, added_by=by,
        )
        .returning(_jobs.c.id)
    )  # fmt: skip
    return int(added.scalar_one())


def _taken(job: Job, request: Request) -> JobError:
    what = "with other settings" if job.request.film == request.film else f"of {shown(job.request.film)}"
    return JobError(
        f"{shown(request.film)}: job {job.id} {what} has the title {request.title!r} and is {job.state.value}; "
        "cancel it, wait until it is over, or give another title"
    )


def _kept(request: Request) -> _Kept:
    return _Kept(
        name=request.name, out=_text(request.out or ""), publish=request.publish, replace=request.replace,
        s3_endpoint=request.s3_endpoint, settings=dict(request.settings or {}),
    )  # fmt: skip


def _text(path: Path | str) -> str:
    return os.fsencode(path).decode("latin-1")


def _job(row: Any) -> Job:
    kept = msgspec.json.decode(row.request, type=_Kept)
    out = os.fsdecode(kept.out.encode("latin-1"))
    request = Request(
        film=Path(os.fsdecode(row.film)), title=row.title, name=kept.name, out=Path(out) if out else None,
        publish=kept.publish, replace=kept.replace, s3_endpoint=kept.s3_endpoint, priority=row.priority,
        settings=kept.settings,
    )  # fmt: skip
    return Job(
        id=row.id, request=request, state=State(row.state), added_at=row.added_at, added_by=row.added_by,
        attempts=row.attempts, error=row.error, not_before=row.not_before, started_at=row.started_at,
        ended_at=row.ended_at, runner=row.runner, step=row.step, per_mille=row.per_mille, left_s=row.left_s,
        package=os.fsdecode(row.package),
    )  # fmt: skip


@contextlib.contextmanager
def _as_job_error() -> Iterator[None]:
    try:
        yield
    except sql.exc.IntegrityError as error:  # the index of titles, and what another process added meanwhile
        raise JobError("another job has this title and is not over; cancel it, or wait until it is") from error
    except (sql.exc.SQLAlchemyError, OSError, ValueError) as error:
        raise JobError(f"queue: {reason_of(error)}") from error
