"""The project's shape: who imports whom, which modules are pure, how modules are named, what is pinned."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Each imports only from its left.
ORDER = ("config", "encoder", "oca", "origin", "steering", "fill", "bench")
# What the packages between encoder and bench may know of it: what a package is, not how it is made; and, who gives
# licences, the keys.
OF_ENCODER = (
    "encoder.package", "encoder.manifests", "encoder.errors", "encoder.protection.keyring", "encoder.protection.keys",
)  # fmt: skip
# Modules that decide and never do; "Pure" in a docstring is a claim that is checked here.
PURE = (
    "bench.browser.outcome",
    "bench.delivery.cases",
    "bench.delivery.configurations",
    "bench.delivery.result",
    "bench.delivery.table",
    "bench.delivery.tokens",
    "bench.encode.curves",
    "bench.encode.result",
    "bench.failover.outcome",
    "bench.failover.result",
    "bench.failover.scenario",
    "bench.failover.viewer",
    "bench.fill.nightly",
    "bench.fill.result",
    "bench.fill.reveal",
    "bench.fill.sample",
    "bench.fill.stream",
    "bench.playback",
    "bench.presentation",
    "bench.result",
    "bench.rows",
    "bench.steering.composed",
    "bench.steering.result",
    "encoder.captions.chapters",
    "encoder.captions.charsets",
    "encoder.captions.sidecars",
    "encoder.captions.subrip",
    "encoder.captions.ttml",
    "encoder.captions.webvtt",
    "encoder.commands",
    "encoder.film.colour",
    "encoder.film.obus",
    "encoder.film.source",
    "encoder.jobs.states",
    "encoder.jobs.table",
    "encoder.jobs.titles",
    "encoder.manifests",
    "encoder.package",
    "encoder.packages.boxes",
    "encoder.packages.gzipped",
    "encoder.packages.signalling",
    "encoder.per_title.allotment",
    "encoder.per_title.correction",
    "encoder.per_title.curves",
    "encoder.per_title.hull",
    "encoder.per_title.quality",
    "encoder.per_title.shots",
    "encoder.per_title.trials",
    "encoder.pictures.poster",
    "encoder.pictures.sheets",
    "encoder.protection.arguments",
    "encoder.protection.cpix",
    "encoder.protection.delivery",
    "encoder.protection.foreseen",
    "encoder.protection.keyfile",
    "encoder.protection.keys",
    "encoder.protection.samples",
    "encoder.protection.systems",
    "encoder.report.axes",
    "encoder.report.charts",
    "encoder.report.estimate",
    "encoder.report.facts",
    "encoder.report.figures",
    "encoder.report.look",
    "encoder.report.page",
    "encoder.rules.dash",
    "encoder.rules.grammar",
    "encoder.rules.hls",
    "encoder.sound.dolby",
    "encoder.sound.soundtracks",
    "encoder.sound.sync",
    "encoder.video.chunks",
    "encoder.video.codec",
    "encoder.video.encoders",
    "encoder.video.ladder",
    "fill.feed.lines",
    "fill.feed.records",
    "fill.feed.rhythm",
    "fill.forecast.cohorts",
    "fill.forecast.counts",
    "fill.forecast.daily",
    "fill.forecast.expected",
    "fill.forecast.features",
    "fill.forecast.schedule",
    "fill.forecast.terms",
    "fill.forecast.today",
    "fill.forecast.within",
    "fill.history",
    "fill.ledger.accounts",
    "fill.ledger.counterfactual",
    "fill.ledger.join",
    "fill.ledger.reasons",
    "fill.names",
    "fill.planner.cluster",
    "fill.planner.delta",
    "fill.planner.due",
    "fill.planner.explain",
    "fill.planner.form",
    "fill.planner.kernels",
    "fill.planner.knapsack",
    "fill.planner.placing",
    "fill.planner.plan",
    "fill.planner.shrunk",
    "fill.planner.signed",
    "fill.planner.spread",
    "fill.planner.terms",
    "fill.planner.tonight",
    "fill.policy",
    "fill.simulate.alike",
    "fill.simulate.bound",
    "fill.simulate.catalogue",
    "fill.simulate.disk",
    "fill.simulate.expect",
    "fill.simulate.lists",
    "fill.simulate.models",
    "fill.simulate.outcome",
    "fill.simulate.policies",
    "fill.simulate.replay",
    "fill.simulate.sampling",
    "fill.simulate.show",
    "fill.simulate.sizing",
    "fill.simulate.source",
    "fill.simulate.thinning",
    "fill.simulate.traces",
    "fill.simulate.whatif",
    "fill.transfer.escalation",
    "fill.transfer.orders",
    "fill.transfer.outcome",
    "fill.transfer.sources",
    "fill.transfer.spending",
    "fill.transfer.window",
    "oca.cmcd",
    "oca.cmsd",
    "oca.crowd",
    "oca.experience",
    "oca.http.answer",
    "oca.http.conditions",
    "oca.http.ranges",
    "oca.http.request",
    "oca.miss.breaker",
    "oca.miss.budget",
    "oca.miss.pace",
    "oca.store.inventory",
    "oca.tokens.base64url",
    "oca.tokens.carriage",
    "oca.tokens.claims",
    "oca.tokens.envelope",
    "oca.tokens.grants",
    "oca.tokens.matches",
    "oca.tokens.renewal",
    "oca.tokens.replays",
    "origin.licences.allowance",
    "origin.licences.clearkey",
    "origin.licences.clients",
    "steering.appliances.admission",
    "steering.appliances.complaints",
    "steering.appliances.experience",
    "steering.appliances.fleet",
    "steering.appliances.holdings",
    "steering.appliances.hosts",
    "steering.appliances.roll",
    "steering.checks.lint",
    "steering.checks.registry",
    "steering.choice.cdns",
    "steering.choice.cohorts",
    "steering.choice.explain",
    "steering.choice.ranking",
    "steering.draws",
    "steering.front.answers",
    "steering.front.requests",
    "steering.journal.changes",
    "steering.journal.moments",
    "steering.journal.numbering",
    "steering.journal.past",
    "steering.journal.records",
    "steering.placement.distances",
    "steering.placement.nearby",
    "steering.placement.paths",
    "steering.placement.places",
    "steering.placement.sites",
    "steering.prefixes.clients",
    "steering.prefixes.columns",
    "steering.prefixes.entries",
    "steering.prefixes.listed",
    "steering.prefixes.table",
    "steering.recent",
    "steering.replay.change",
    "steering.replay.loads",
    "steering.replay.outcome",
    "steering.replay.show",
    "steering.replay.tally",
    "steering.replicas.hearsay",
    "steering.routes.best",
    "steering.routes.bird_text",
    "steering.routes.exabgp_messages",
    "steering.routes.filters",
    "steering.routes.mrt",
    "steering.routes.peer",
    "steering.routes.prefix_set",
    "steering.routes.rib",
    "steering.routes.route",
    "steering.routes.vrps",
    "steering.sessions.access",
    "steering.sessions.clones",
    "steering.sessions.pathways",
    "steering.sessions.session",
    "steering.workers.exposition",
)
# Files, sockets, processes, clocks and event loops.
IMPURE = {
    "aiofiles", "aiohttp", "asyncio", "http.client", "http.server", "io", "mmap", "os", "pathlib", "random", "secrets",
    "select", "shutil", "signal", "socket", "sqlite3", "sqlalchemy", "subprocess", "tempfile", "threading", "time",
    "urllib.request", "uvloop",
}  # fmt: skip
# Names that say nothing of what is inside.
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def modules() -> Iterator[tuple[str, Path]]:
    for package in ORDER:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                yield name.removesuffix(".__init__"), path


MODULES = dict(modules())


def docstring(name: str) -> str:
    return ast.get_docstring(ast.parse(MODULES[name].read_text())) or ""


def imports(path: Path, *, for_types: bool = True) -> set[str]:
    """Every module that is imported, also inside functions; without `for_types` not those under TYPE_CHECKING."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and not for_types and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if name in MODULES} or {node.module}
        todo += ast.iter_child_nodes(node)
    return found


def test_modules_import_only_from_their_left() -> None:
    def is_wrong(name: str, found: str) -> bool:
        own, other = name.partition(".")[0], found.partition(".")[0]
        return other in ORDER and ORDER.index(other) > ORDER.index(own)

    assert not _imports_where(is_wrong, MODULES)


def test_only_encoder_and_bench_know_more_of_the_encoder_than_the_package_format() -> None:
    others = [name for name in MODULES if name.partition(".")[0] not in ("encoder", "bench")]
    assert not _imports_where(lambda _, found: found.startswith("encoder.") and found not in OF_ENCODER, others)


def test_pure_modules_import_nothing_that_does() -> None:
    assert not _imports_where(lambda _, found: found in IMPURE, PURE, for_types=False)


def test_modules_that_call_themselves_pure_are_held_to_it() -> None:
    claims = {name for name in MODULES if re.search(r"^Pure\b", docstring(name), re.MULTILINE)}
    assert not claims - set(PURE), "add them to PURE"


def test_modules_open_with_a_sentence_on_what_they_own() -> None:
    assert not [name for name in MODULES if not name.endswith("__main__") and not docstring(name)]


def test_modules_are_named_after_what_is_in_them() -> None:
    files = {name: name.rpartition(".")[2] for name, path in MODULES.items() if not path.name.startswith("__")}
    assert not [name for name, last in files.items() if last in VAGUE], "these names say nothing of what is inside"
    # oca/http is a folder: it is only ever imported by its whole name, and its files are not in anybody's way.
    assert not [name for name, last in files.items() if last in sys.stdlib_module_names], "the standard library's names"


def _imports_where(
    is_wrong: Callable[[str, str], bool], names: Iterable[str], *, for_types: bool = True
) -> dict[str, list[str]]:
    found = {
        name: [one for one in sorted(imports(MODULES[name], for_types=for_types)) if is_wrong(name, one)]
        for name in names
    }
    return {name: wrong for name, wrong in found.items() if wrong}


def test_everything_that_setup_cfg_asks_for_is_pinned() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    run = _required(setup["options"]["install_requires"])
    for extra in ("s3", "demo", "plan", "simulate"):
        run |= _required(setup["options.extras_require"][extra])
    tests = _required(setup["options.extras_require"]["test"])
    pinned = _pinned("requirements.txt")
    assert not run - pinned, f"requirements.txt does not pin {sorted(run - pinned)}"
    missing = tests - pinned - _pinned("requirements-test.txt")
    assert not missing, f"requirements-test.txt does not pin {sorted(missing)}"


def _required(text: str) -> set[str]:
    return {_plain(re.split(r"[\[<>=!~; ]", line.strip())[0]) for line in text.strip().splitlines()}


def _pinned(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    return {_plain(line.partition("==")[0]) for line in lines if "==" in line}


def _plain(name: str) -> str:
    """The name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
