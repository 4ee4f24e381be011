"""The demo: encodes films, starts the local network, fills it, and either keeps it up or plays the films through.

    film -> package -> origin -> plan -> appliances -> page and players

Playing through is the demo's proof: for each film and each protocol one player in the north and one in the south play
it at several times its speed, and when the northern one is in the middle, the appliance that serves it is killed.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.errors import BenchError, FilmError
from bench.fleet import LOST_AFTER_S, VIEWERS, Fleet
from bench.playback import Pace
from bench.players import Player
from bench.presentation import Protocol
from bench.reference import Reference
from bench.result import Check, Played, Result, offload
from config.encoder import EncoderSettings
from config.progress import Reporter
from config.units import show_bytes, show_duration
from encoder.errors import PackageError
from encoder.film.probe import demand_film
from encoder.package import MANIFEST_NAME, TITLE_PATTERN, decode
from encoder.pipeline import encode
from fill.ledger.reading import Ledger
from fill.ledger.reasons import MISSES

CLIP = Path(__file__).parent / "clips" / "big-buck-bunny.mp4"
PROTOCOLS: tuple[Protocol, ...] = ("HLS", "DASH")
# Seconds that it takes to play a film through: at least, so that steering has its say, and at most.
_SHORTEST_PLAY_S, _LONGEST_PLAY_S = 8.0, 60.0
# Appliances fill 95 % of a disk at most; logs, databases and unfinished blocks need little.
_SPACE_FACTOR, _SPACE_FOR_THE_REST = 1.1, 32 * 1024 * 1024
# What a player has fetched ahead, in seconds of the clock on the wall: thin, so that a slow change would show.
_AHEAD_S = 2.0


def cache_folder() -> Path:
    """Where encodes are kept: .cache in a checkout, else the user's cache."""
    checkout = Path(__file__).parents[1]
    return checkout / ".cache" if (checkout / "pyproject.toml").exists() else Path("~/.cache/nearcast").expanduser()


def titles_of(films: Sequence[Path]) -> dict[str, Path]:
    """The title ID of each film, made of its file's name. Raises FilmError."""
    titles: dict[str, Path] = {}
    for film in films:
        title = re.sub(r"[^a-z0-9._-]+", "-", film.stem.lower()).strip("-._")[:64]
        if not TITLE_PATTERN.fullmatch(title):
            raise FilmError(f"{film}: a title is made of the file's name, expected a letter or digit of ASCII in it")
        if title in titles:
            raise FilmError(f"{film} and {titles[title]} would both be the title {title}; rename one")
        titles[title] = film
    return titles


def encode_films(titles: dict[str, Path], cache: Path, reporter: Reporter) -> list[Path]:
    """The package folder of each film; those encoded before are there at once. Raises what `encoder.pipeline` does."""
    for film in titles.values():
        demand_film(film)  # all of them before an hour is spent on the first
    # A ladder of the films' own would take twice as long and prove nothing of what the demo is about.
    settings = EncoderSettings(work=cache / "encode", preset="veryfast", ladder="fixed")
    packages = []
    for title, film in titles.items():
        started = time.monotonic()
        reporter.say(f"encoding {film.name}")
        packages.append(encode(film, title, cache / "packages", settings, reporter, _name_of(film)))
        reporter.say(f"{title} is encoded, {show_duration(time.monotonic() - started)}")
    return packages


def _name_of(film: Path) -> str:
    """What people would call it: "big-buck-bunny.mp4" is Big Buck Bunny."""
    return re.sub(r"[-_.\s]+", " ", film.stem).strip().title()


def demand_space(packages: Sequence[Path], appliances: int, folder: Path) -> None:
    """Raises BenchError if the file system of `folder` cannot hold the network's copies of the packages.

    Otherwise appliances would find no room, and every byte would come from the origin.
    """
    size = sum(decode((package / MANIFEST_NAME).read_bytes()).size for package in packages)
    needed, free = round(size * (1 + appliances) * _SPACE_FACTOR) + _SPACE_FOR_THE_REST, shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"{folder} has {show_bytes(free)} free, expected {show_bytes(needed)} for the origin and {appliances} "
            "appliances; make room, or set TMPDIR to a folder that has it"
        )


async def fill_network(fleet: Fleet, packages: Sequence[Path], reporter: Reporter) -> None:
    """Publishes the packages, plans, and fills the appliances."""
    for package in packages:
        await fleet.publish(package)
    reporter.say("planning, and filling the appliances")
    await fleet.fill()


async def play_through(fleet: Fleet, packages: Sequence[Path], reporter: Reporter) -> Result:
    """Plays each package over HLS and over DASH, each time killing the appliance in use; says what came of it."""
    started = time.monotonic()
    rounds = []
    for package in packages:
        try:
            reference = Reference(package)
        except OSError as error:
            raise PackageError(f"{package} cannot be read: {error.strerror}") from error
        for protocol in PROTOCOLS:
            one = _Round(fleet, reference, protocol, reporter)
            await one.run()
            rounds.append(one)
    plays = [play for one in rounds for play in one.plays]
    checks = [*_checks_of_plays(plays, fleet), *_checks_of_kills(rounds)]
    return Result(
        passed=all(check.passed for check in checks),
        offload=round(offload(plays, fleet.sites), 6),
        plays=plays,
        checks=checks,
        seconds=round(time.monotonic() - started, 1),
    )


def with_ledger(result: Result, fleet: Fleet, since: float) -> Result:
    """The result with what the logs say of it; the fleet has ended by then, and its logs are whole."""
    ledger = Ledger(fleet.access_logs, fleet.decision_logs, since)
    ledger.read(time.time())
    whole = ledger.close().whole
    told = {"served at the viewer's nearest site": whole.total - whole.missed}
    told |= {f"elsewhere: {reason}": size for reason in MISSES if (size := whole.bytes.get(reason, 0))}
    return msgspec.structs.replace(result, ledger=told)


class _Round:
    """One film over one protocol, played in the north and in the south at once, with a kill in the middle."""

    def __init__(self, fleet: Fleet, reference: Reference, protocol: Protocol, reporter: Reporter) -> None:
        self._fleet, self._reference, self._protocol, self._reporter = fleet, reference, protocol, reporter
        self._title = reference.package.title
        self._duration = reference.package.duration
        self._fetched: dict[str, float] = {}  # viewer -> seconds of film
        self.plays: list[Played] = []
        self.victim = ""
        self.was_missed = False

    async def run(self) -> None:
        """Ends with every appliance healthy again."""
        limit = min(max(self._duration / 4, _SHORTEST_PLAY_S), _LONGEST_PLAY_S)
        speed = self._duration / limit
        pace = Pace(speed=speed, ahead_s=_AHEAD_S * speed)
        label = f"{self._title} over {self._protocol}"
        with self._reporter.bar(label, self._duration * len(VIEWERS)) as self._bar:
            players = [
                Player(viewer, self._protocol, pace=pace, reference=self._reference, on_segment=self._after_segment)
                for viewer in VIEWERS.values()
            ]
            steering = self._fleet.steering_url
            self.plays = list(await asyncio.gather(*(player.play(steering, self._title) for player in players)))
        if self.victim:
            await self._fleet.until_health(self.victim, "lost")
            self.was_missed = True
            await self._fleet.start_appliance(self.victim)
            await self._fleet.until_trusted(self.victim)
        self._reporter.say(f"{label}: played in the north and in the south, {self.victim or 'nothing'} was killed")

    async def _after_segment(self, player: Player) -> None:
        self._fetched[player.viewer.name] = player.played.duration_s
        self._bar.update(sum(self._fetched.values()))
        in_the_middle = player.played.duration_s >= self._duration / 2
        if player.viewer.site == "north" and in_the_middle and not self.victim and player.pathway in self._fleet.places:
            self.victim = player.pathway
            self._fleet.kill(self.victim)

    @property
    def survived(self) -> bool:
        """Whether the player that was served by the killed appliance went on with another."""
        return any(switch.source == self.victim for play in self.plays for switch in play.switches)


def _checks_of_plays(plays: Sequence[Played], fleet: Fleet) -> list[Check]:
    whole = [play for play in plays if not play.given_up]
    total, wrong = sum(play.bytes for play in plays), sum(play.wrong_bytes for play in plays)
    stalls, stalled = sum(play.stalls for play in plays), sum(play.stalled_s for play in plays)
    pulled = sum(served.pulled_bytes for play in plays for served in play.served.values())
    steered = [play for play in plays if play.steering_answers]
    share = offload(plays, fleet.sites)
    reasons = "".join(f"; {play.player}: {play.given_up}" for play in plays if play.given_up)
    return [
        Check("every film was played to its end", whole == plays, f"{len(whole)} of {len(plays)} plays{reasons}"),
        Check("every byte is the encoded one", not wrong, f"{wrong} wrong of {show_bytes(total)}"),
        Check("no player stalled", not stalls, f"{stalls} stalls, {show_duration(stalled)} in all"),
        Check("every player was steered", steered == plays, f"{len(steered)} of {len(plays)} got an answer"),
        Check("all was filled before it was asked for", not pulled, f"{show_bytes(pulled)} pulled while playing"),
        Check(
            "bytes came from the viewer's own site",
            # One appliance in the north is killed: without another there, others have to serve its viewers.
            share == 1.0 or not _covers(fleet),
            f"offload {share:.1%}" + ("" if _covers(fleet) else ", with no appliance left at some viewer's site"),
        ),
    ]


def _checks_of_kills(rounds: Sequence[_Round]) -> list[Check]:
    killed = [one for one in rounds if one.victim]
    survived = [one for one in killed if one.survived]
    missed = [one for one in killed if one.was_missed]
    victims = ", ".join(one.victim or "nobody" for one in rounds)
    return [
        Check(
            "a killed appliance was left for another",
            survived == rounds,
            f"{len(survived)} of {len(rounds)}; killed in the middle: {victims}",
        ),
        Check(
            "steering missed the killed appliance, and took it back",
            missed == rounds,
            f"{len(missed)} of {len(rounds)}, lost after {LOST_AFTER_S} s of silence",
        ),
    ]


def _covers(fleet: Fleet) -> bool:
    """Whether each viewer's site has an appliance left when one in the north is dead."""
    sites = list(fleet.sites.values())
    return sites.count("north") >= 2 and sites.count("south") >= 1
