// The seek bar: where the film is, what is loaded, where its chapters begin, and a picture of where a pointer or a key
// would take it.

import { clock, element } from "./element.js";
import { ahead } from "./players/back-off.js";

const EDGE_PX = 6; // how near the preview may come to the stage's edges

// `chapters`: [{ start, title }] in their order, seconds.
export function timeline(video, pictures, chapters) {
  const bar = element("input", {
    class: "line",
    type: "range",
    min: 0,
    max: 0,
    step: 0.1,
    value: 0,
    "aria-label": "Position",
  });
  const picture = element("canvas", { width: 160, height: 90, "aria-hidden": "true", hidden: true });
  const moment = element("span", { class: "moment" });
  const preview = element("div", { class: "preview", "aria-hidden": "true", hidden: true }, picture, moment);
  const ticks = chapters.slice(1).map(({ start }) => ({ start, mark: element("span", { class: "tick" }) }));
  const marks = element("div", { class: "ticks", "aria-hidden": "true" }, ...ticks.map(({ mark }) => mark));
  const root = element("div", { class: "timeline" }, preview, bar, marks);
  let looksAt = null; // the time that the preview shows

  function render() {
    const duration = lengthOf(video);
    const share = (value) => `${duration ? (100 * value) / duration : 0}%`;
    bar.max = duration;
    if (!bar.matches(":active")) bar.value = video.currentTime;
    for (const { start, mark } of ticks) mark.style.left = share(start);
    bar.style.setProperty("--done", share(Number(bar.value)));
    bar.style.setProperty("--ready", share(video.currentTime + ahead(video)));
    bar.setAttribute("aria-valuetext", `${clock(video.currentTime)} of ${clock(duration)}`);
  }

  function look(time) {
    const duration = lengthOf(video);
    if (!duration) return;
    looksAt = Math.min(Math.max(time, 0), duration);
    const chapter = chapters.findLast(({ start }) => start <= looksAt);
    moment.textContent = chapter ? `${clock(looksAt)} · ${chapter.title}` : clock(looksAt);
    paint();
    preview.hidden = false;
    const half = preview.offsetWidth / 2 + EDGE_PX;
    const x = (looksAt / duration) * bar.clientWidth;
    preview.style.left = `${Math.min(Math.max(x, half), Math.max(bar.clientWidth - half, half))}px`;
  }

  function paint() {
    const found = pictures.at(looksAt);
    if (!found) return; // the one before stays: nearly right, and nothing flickers
    picture.width = found.width;
    picture.height = found.height;
    picture.getContext("2d").drawImage(found, 0, 0);
    picture.hidden = false;
  }

  function leave() {
    looksAt = null;
    preview.hidden = true;
  }

  bar.addEventListener("pointermove", ({ offsetX }) => look((offsetX / bar.clientWidth) * lengthOf(video)));
  bar.addEventListener("pointerleave", leave);
  for (const name of ["pointerup", "pointercancel", "blur"]) bar.addEventListener(name, leave);
  bar.addEventListener("input", () => {
    video.currentTime = Number(bar.value);
    render();
    look(Number(bar.value));
  });
  for (const name of ["timeupdate", "durationchange", "progress", "seeked", "ended"])
    video.addEventListener(name, render);
  render();

  return {
    root,
    // A picture came: if the viewer still looks, they see it.
    repaint() {
      if (looksAt !== null) paint();
    },
  };
}

export function lengthOf(video) {
  return Number.isFinite(video.duration) ? video.duration : 0;
}
