"""A report as one page of HTML that needs nothing else: no network, no script, every chart also as a table.

Pure.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator
from html import escape

from config.units import show_bytes, show_duration, show_rate
from encoder.package import Rendition
from encoder.report import figures
from encoder.report.axes import clock
from encoder.report.charts import draw
from encoder.report.estimate import Saving
from encoder.report.facts import FINAL_STAGE, SEARCH_STAGES, Made, Report
from encoder.report.figures import Figure, Table
from encoder.report.look import SHEET
from encoder.video.codec import H264

_MARK = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><g fill="none" stroke="#e8912d" stroke-width="2.6" '
    'stroke-linecap="round"><path d="M9.3 22.7a9.5 9.5 0 0 1 0-13.4M22.7 9.3a9.5 9.5 0 0 1 0 13.4"/>'
    '<path d="M4.9 27a15.6 15.6 0 0 1 0-22M27.1 5a15.6 15.6 0 0 1 0 22" opacity=".4"/></g>'
    '<circle cx="16" cy="16" r="3.4" fill="#e8912d"/></svg>'
)


def page(report: Report) -> str:
    sections = [section for section in _sections(report) if section[2]]
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in sections)
    title = escape(report.manifest.name)
    return "".join((
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        # Nothing may be fetched, whatever a film's texts hold.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n",
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f"<title>{title}: encode report</title>\n<style>{SHEET}</style>\n</head>\n<body>\n",
        f'<header><p class="brand">{_MARK}Nearcast encode report</p><h1>{title}</h1>',
        f'<p class="lead">{escape(_lead(report))}</p><nav aria-label="Sections"><ul>{links}</ul></nav>',
        "</header>\n<main>",
        _tiles(report),
        *(f'\n<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{escape(title)}</h2>{body}'
          "</section>" for name, title, body in sections),
        f"\n</main>\n<footer><p>Package {escape(report.manifest.title)}/{escape(report.package)}, made with "
        f"{escape(report.manifest.encoder)}.</p></footer>\n</body>\n</html>\n",
    ))  # fmt: skip


def _sections(report: Report) -> Iterator[tuple[str, str, str]]:
    """Name, title and contents; a section without contents is left out."""
    for search in report.searches:
        yield (
            f"hull-{search.codec.name}",
            f"{search.codec.label}: trials and rungs",
            _figure(figures.hull(report, search), _HULL),
        )
    yield "rungs", "Rungs", _table(_rungs(report))
    over_time = figures.quality_over_time(report)
    yield "vmaf", "VMAF over time", _figure(over_time, _OVER_TIME) if over_time else ""
    yield "worst", "Worst moments", _stills(report)
    yield "bitrate", "Bitrate over time", _figure(figures.bitrate_over_time(report), "What each segment takes.")
    yield "saved", "Beside the fixed ladder", _saved(report)
    yield "shots", "Shots", _shots(report)
    yield "sound", "Sound and captions", _tracks(report)
    yield "cost", "Processor time", _costs(report)
    yield "made", "How it was made", _settings(report)


_HULL = (
    "Each line is one size at falling rate factors, as trial encodes of pieces of the film let expect; the rungs stand "
    "where one of them has the wanted quality for the fewest bits, at what they became. VMAF is v0.6.1, scaled to the "
    "largest size with bicubic, on a logarithmic scale of bits."
)
_OVER_TIME = (
    "Each piece of the film that was encoded on its own, scored as packaged beside the film itself; dotted lines are "
    "cuts."
)


def _lead(report: Report) -> str:
    video = report.rungs[0].rendition
    sounds, texts = len(report.manifest.of_kind("audio")), len(report.manifest.of_kind("text"))
    return ", ".join(
        (
            show_duration(report.manifest.duration),
            f"{video.width}x{video.height}",
            f"{float(report.plan.frame_rate):.4g} frames/s",
            _count(len(report.plan.shots), "shot"),
            _count(len(report.rungs), "rung"),
            _count(sounds, "audio track"),
            _count(texts, "caption track"),
        )
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tiles(report: Report) -> str:
    return '<dl class="tiles">' + "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(value)}</dd><dd>{escape(more)}</dd></div>'
        for name, value, more in _headlines(report)
    ) + "</dl>"  # fmt: skip


def _headlines(report: Report) -> Iterator[tuple[str, str, str]]:
    top = report.rungs[0]
    if top.vmaf:
        known = "measured" if top.quality is not None else "as trials let expect"
        yield "best rung", f"VMAF {top.vmaf:.1f}", f"{show_rate(top.rendition.average_bandwidth)}, {known}"
    scored = [one for one in report.rungs if one.quality is not None]
    missed = [one for one in scored if one.rung.vmaf]
    if missed:
        furthest = max(missed, key=lambda one: abs(one.vmaf - one.rung.vmaf))
        far = furthest.vmaf - furthest.rung.vmaf
        yield "furthest from what was asked", f"{far:+.2f}", f"VMAF, {furthest.rung.name}"
    yield "package", show_bytes(report.manifest.size), _count(len(report.manifest.files), "file")
    saved = report.saved(H264)
    if saved is not None:
        yield "storage by the fixed ladder", f"{saved.storage:+.0%}", "H.264, estimated from trials"
    share = report.search_share()
    if share is not None:
        yield "search by final encodes", f"{share:.2f}", "processor time"


def _figure(figure: Figure, words: str) -> str:
    legend = "".join(f'<li><span class="{look}"></span>{escape(text)}</li>' for look, text in figure.legend)
    return (
        f'<p class="say">{escape(words)} {escape(figure.chart.summary)}</p><figure>{draw(figure.chart)}'
        + (f'<ul class="legend" aria-hidden="true">{legend}</ul>' if legend else "")
        + f"</figure><details><summary>The numbers</summary>{_table(figure.table)}</details>"
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col"{_word(at, table)}>{escape(name)}</th>' for at, name in enumerate(table.columns))
    rows = "".join(f"<tr>{''.join(_cells(row, table))}</tr>" for row in table.rows)
    # Who has no mouse scrolls it with the arrow keys.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.caption)}"><table>'
        f"<caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cells(row: Iterable[str], table: Table) -> Iterator[str]:
    for at, cell in enumerate(row):
        tag = 'th scope="row"' if at == 0 else "td"
        yield f"<{tag}{_word(at, table)}>{escape(cell)}</{tag.split()[0]}>"


def _word(at: int, table: Table) -> str:
    return ' class="word"' if at < table.words else ""


def _rungs(report: Report) -> Table:
    columns = (
        "rung", "codec", "size", "factor", "factors of shots", "average", "peak", "peak by average", "cap", "stored",
        "VMAF asked", "VMAF", "worst segment", "worst frame",
    )  # fmt: skip
    return Table("All rungs, as packaged", columns, tuple(_rung(made) for made in report.rungs), words=2)


def _rung(made: Made) -> tuple[str, ...]:
    rung, rendition, quality = made.rung, made.rendition, made.quality
    factors = rung.shot_crfs
    return (
        rung.name, rung.codec.label, f"{rung.width}x{rung.height}", f"{rung.crf:g}",
        f"{min(factors):g} to {max(factors):g}" if len(set(factors)) > 1 else "",
        show_rate(rendition.average_bandwidth), show_rate(rendition.bandwidth),
        f"{rendition.bandwidth / rendition.average_bandwidth:.2f}", show_rate(rung.maxrate) if rung.maxrate else "none",
        show_bytes(made.size), f"{rung.vmaf:.1f}" if rung.vmaf else "",
        f"{quality.mean:.2f}" if quality else "", f"{min(one.mean for one in quality.segments):.1f}" if quality else "",
        f"{quality.worst.worst:.1f}" if quality else "",
    )  # fmt: skip


def _stills(report: Report) -> str:
    shown = [(made, still) for made in report.rungs if (still := made.still) is not None]
    if not shown:
        return ""
    pairs = "".join(
        f'<div><h3>{escape(made.rung.name)} at {clock(still.time_s)}, VMAF {still.vmaf:.1f}</h3><div class="pair">'
        f"{_picture(still.film, f'The film at {clock(still.time_s)}', 'the film')}"
        f"{_picture(still.encode, f'{made.rung.name} at {clock(still.time_s)}', made.rung.name)}</div></div>"
        for made, still in shown
    )
    words = "The frame of each rung with the lowest VMAF of those that were scored, beside the film's own."
    return f'<p class="say">{words}</p><div class="stills">{pairs}</div>'


def _picture(jpeg: bytes, words: str, caption: str) -> str:
    data = base64.b64encode(jpeg).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{escape(words)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _saved(report: Report) -> str:
    fixed = report.fixed_estimate()
    if not fixed:
        return ""
    sentences = " ".join(
        f"{codec.label}: {_saving_sentence(one)}" for codec in report.codecs if (one := report.saved(codec)) is not None
    )
    words = (
        "An estimate: the fixed ladder (same encoder and preset, H.264, one rate factor and fixed caps) was not made; "
        "what it would take and look like is told from the trials."
    )
    rows = [("fixed", point.name, show_rate(point.bps), f"{point.vmaf:.1f}") for point in fixed]
    rows += [
        (made.rung.codec.label, made.rung.name, show_rate(made.point.bps), f"{made.vmaf:.1f}" if made.vmaf else "")
        for made in report.rungs
    ]
    table = Table("Both ladders", ("ladder", "rung", "bitrate", "VMAF"), tuple(rows), words=2)
    return f'<p class="say">{words} {escape(sentences)}</p>{_table(table)}'


def _saving_sentence(saving: Saving) -> str:
    storage = f"{saving.storage:+.0%} storage"
    if math.isnan(saving.at_equal_quality):
        return f"{storage}; the two share no quality."
    shared = f"between VMAF {saving.low_vmaf:.0f} and {saving.high_vmaf:.0f}"
    return f"{storage}, {saving.at_equal_quality:+.0%} bits at equal quality {shared}."


def _shots(report: Report) -> str:
    lengths = [float(sum(shot) / report.plan.frame_rate) for shot in report.plan.shots]
    segments = len(report.plan.segment_frames)
    words = (
        f"{_count(len(lengths), 'shot')}, {show_duration(min(lengths))} to {show_duration(max(lengths))} long, in "
        f"{_count(segments, 'segment')}; every segment begins with a keyframe of all rungs. A shot of more than a "
        "quarter of the film counts as several."
    )
    figure = figures.factors_over_time(report)
    return _figure(figure, words) if figure else f'<p class="say">{escape(words)}</p>'


def _tracks(report: Report) -> str:
    sounds, texts = report.manifest.of_kind("audio"), report.manifest.of_kind("text")
    found = ""
    if sounds:
        columns = (
            "track", "language", "label", "codec", "channels", "bitrate", "loudness", "loudness range", "true peak"
        )  # fmt: skip
        found += _table(Table("Sound", columns, tuple(_sound(one) for one in sounds), words=4))
    if texts:
        rows = tuple((one.name, one.language, one.label, "yes" if one.forced else "no") for one in texts)
        found += _table(Table("Captions", ("track", "language", "label", "forced"), rows, words=4))
    return found


def _sound(one: Rendition) -> tuple[str, ...]:
    channels, rate, loud = str(one.channels or ""), show_rate(one.average_bandwidth), one.loudness
    measured = ("", "", "")
    if loud is not None:
        measured = f"{loud.integrated_lufs:.1f} LUFS", f"{loud.range_lu:.1f} LU", f"{loud.true_peak_dbtp:.1f} dBTP"
    return one.name, one.language, one.label, one.codecs, channels, rate, *measured


def _costs(report: Report) -> str:
    if not report.costs:
        return ""
    most = max(cost.cpu_s for cost in report.costs) or 1.0
    bars = "".join(
        f'<dt>{escape(cost.stage)}</dt><dd aria-hidden="true">'
        f'<div style="width:{100 * cost.cpu_s / most:.1f}%"></div></dd>'
        f"<dd>{cost.cpu_s:.1f} s</dd>"
        for cost in report.costs
    )
    share = report.search_share()
    words = f"All tools and this process, {sum(cost.cpu_s for cost in report.costs):.1f} s together."
    if share is not None:
        words += f" Finding the ladder ({', '.join(SEARCH_STAGES)}, with their scores) took {share:.2f} of what its"
        words += f" encodes and their scores ({FINAL_STAGE}) took."
    return f'<p class="say">{escape(words)}</p><dl class="bars">{bars}</dl>'


def _settings(report: Report) -> str:
    known = (("tools", report.manifest.encoder), *report.settings, ("film, SHA-256", report.manifest.source_digest))
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in known)
    return f'<dl class="pairs">{pairs}</dl>'
