// The video's controls: buttons, time line, captions menu, keyboard.

import { clock, element } from "./element.js";

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z",
  again: "M12 5V1.8L7 6.6l5 4.8V8a5 5 0 1 1-5 5H4a8 8 0 1 0 8-8z",
  sound: "M4 9v6h4l5 4.5v-15L8 9zM16 8.2a5 5 0 0 1 0 7.6M18.3 5.6a8.6 8.6 0 0 1 0 12.8",
  mute: "M4 9v6h4l5 4.5v-15L8 9zM16.5 9.5l5 5M21.5 9.5l-5 5",
  captions: "M4 5h16a1.5 1.5 0 0 1 1.5 1.5v11A1.5 1.5 0 0 1 20 19H4a1.5 1.5 0 0 1-1.5-1.5v-11A1.5 1.5 0 0 1 4 5zM10.5 10.4a2.2 2.2 0 1 0 0 3.2M17 10.4a2.2 2.2 0 1 0 0 3.2",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
};
const STROKED = new Set(["captions", "full"]);
const HIDE_AFTER_MS = 2600;
const STEP_S = 10;

export function stage(root, video) {
  const play = button("play", "Play (space)", toggle);
  const mute = button("sound", "Mute (m)", toggleSound);
  const full = button("full", "Full screen (f)", toggleFull);
  const captions = button("captions", "Captions (c)", toggleMenu);
  captions.setAttribute("aria-haspopup", "menu");
  captions.setAttribute("aria-expanded", "false");
  captions.hidden = true;
  const menu = element("div", { class: "menu", role: "menu", "aria-label": "Captions", hidden: true });
  const volume = element("input", { class: "volume", type: "range", min: 0, max: 1, step: 0.05, "aria-label": "Volume" });
  const line = element("input", { class: "line", type: "range", min: 0, max: 0, step: 0.1, value: 0, "aria-label": "Position" });
  const now = element("span", { text: "0:00" });
  const total = element("span", { text: "0:00" });
  const controls = element(
    "div",
    { class: "controls" },
    line,
    element(
      "div",
      { class: "row" },
      play,
      mute,
      volume,
      element("span", { class: "clock" }, now, element("span", { class: "dim", text: " / " }), total),
      element("span", { class: "spring" }),
      element("div", { class: "holder" }, menu, captions),
      full,
    ),
  );
  const big = element("button", { class: "big", type: "button", "aria-label": "Play", onclick: toggle }, icon("play"));
  const spinner = element("div", { class: "spinner", role: "status", "aria-label": "Waiting for data", hidden: true });
  root.append(big, spinner, controls);

  let player = null;
  let shown = null; // the captions track that is shown
  let lastShown = 0;
  let hideTimer = 0;

  function toggle() {
    if (video.ended) video.currentTime = 0;
    // play() is refused when nobody touched the page yet; the button simply stays what it is.
    if (video.paused || video.ended) video.play().catch(() => {});
    else video.pause();
  }
  function toggleSound() {
    video.muted = !video.muted;
    if (!video.muted && video.volume === 0) video.volume = 0.5;
  }
  function toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen?.().catch(() => {});
  }
  function toggleMenu() {
    openMenu(menu.hidden);
  }
  function openMenu(open) {
    menu.hidden = !open;
    captions.setAttribute("aria-expanded", String(open));
    if (open) menu.querySelector("[aria-checked=true]")?.focus();
  }
  function show(track) {
    shown = track;
    if (track !== null) lastShown = track;
    player.showCaptions(track === null ? null : tracks()[track].id);
    captions.classList.toggle("on", track !== null);
    fillMenu();
  }
  function tracks() {
    return player?.captions() ?? [];
  }
  function fillMenu() {
    const choice = (label, track) =>
      element("button", {
        type: "button",
        role: "menuitemradio",
        "aria-checked": String(shown === track),
        text: label,
        onclick() {
          show(track);
          openMenu(false);
          captions.focus();
        },
      });
    menu.replaceChildren(choice("Off", null), ...tracks().map((track, index) => choice(track.label || track.language, index)));
  }
  function wake() {
    root.classList.remove("idle");
    clearTimeout(hideTimer);
    hideTimer = setTimeout(() => {
      if (!video.paused && menu.hidden && !controls.contains(document.activeElement)) root.classList.add("idle");
    }, HIDE_AFTER_MS);
  }
  function render() {
    const duration = Number.isFinite(video.duration) ? video.duration : 0;
    line.max = duration;
    if (document.activeElement !== line || !line.matches(":active")) line.value = video.currentTime;
    const share = (value) => `${duration ? (100 * value) / duration : 0}%`;
    line.style.setProperty("--done", share(video.currentTime));
    line.style.setProperty("--ready", share(bufferedTo(video)));
    line.setAttribute("aria-valuetext", `${clock(video.currentTime)} of ${clock(duration)}`);
    now.textContent = clock(video.currentTime);
    total.textContent = clock(duration);
    const state = video.ended ? "again" : video.paused ? "play" : "pause";
    setIcon(play, state, { again: "Play again (space)", play: "Play (space)", pause: "Pause (space)" }[state]);
    big.hidden = !video.paused && !video.ended;
    setIcon(big, video.ended ? "again" : "play", video.ended ? "Play again" : "Play");
    setIcon(mute, video.muted || video.volume === 0 ? "mute" : "sound", video.muted ? "Unmute (m)" : "Mute (m)");
    volume.value = video.muted ? 0 : video.volume;
    volume.style.setProperty("--done", `${volume.value * 100}%`);
  }
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const focused = document.activeElement;
    if (event.key === "Escape" && !menu.hidden) return void (openMenu(false), captions.focus());
    if (focused?.matches("select, input:not(.line, .volume), textarea")) return;
    // Space presses a focused button or follows nothing else; only elsewhere is it ours.
    const isOnButton = focused?.matches("button, a, [role=menuitemradio], summary");
    const keys = {
      " ": () => !isOnButton && (toggle(), true),
      k: () => (toggle(), true),
      ArrowLeft: () => focused !== volume && seek(-STEP_S),
      ArrowRight: () => focused !== volume && seek(STEP_S),
      ArrowUp: () => menu.hidden && louder(0.1),
      ArrowDown: () => menu.hidden && louder(-0.1),
      f: () => (toggleFull(), true),
      m: () => (toggleSound(), true),
      c: () => (tracks().length && show(shown === null ? lastShown : null), true),
    };
    if (!menu.hidden && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      const items = [...menu.children];
      const next = items.indexOf(focused) + (event.key === "ArrowDown" ? 1 : -1);
      items[(next + items.length) % items.length].focus();
      event.preventDefault();
      return;
    }
    if (keys[event.key]?.()) {
      event.preventDefault();
      wake();
    }
  }
  function seek(by) {
    video.currentTime = Math.min(Math.max(0, video.currentTime + by), video.duration || 0);
    return true;
  }
  function louder(by) {
    video.muted = false;
    video.volume = Math.min(1, Math.max(0, video.volume + by));
    return true;
  }

  line.addEventListener("input", () => {
    video.currentTime = Number(line.value);
  });
  volume.addEventListener("input", () => {
    video.volume = Number(volume.value);
    video.muted = video.volume === 0;
  });
  video.addEventListener("click", toggle);
  for (const name of ["timeupdate", "play", "pause", "ended", "durationchange", "volumechange", "progress", "seeked"]) {
    video.addEventListener(name, render);
  }
  const waiting = (is) => () => {
    spinner.hidden = !is;
  };
  video.addEventListener("waiting", waiting(true));
  for (const name of ["playing", "canplay", "pause", "ended", "seeked"]) video.addEventListener(name, waiting(false));
  for (const name of ["pointermove", "pointerdown", "focusin"]) root.addEventListener(name, wake);
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    if (!menu.hidden && !event.target.closest(".holder")) openMenu(false);
  });
  render();

  return {
    use(created) {
      player = created;
    },
    // Players learn of captions at different moments, so the menu is looked after until it has them.
    refresh() {
      const found = tracks().length;
      if (captions.hidden === !found && menu.childElementCount === found + 1) return;
      captions.hidden = !found;
      if (found) fillMenu();
    },
  };
}

function button(name, label, onclick) {
  return element("button", { class: "icon", type: "button", "aria-label": label, title: label, "data-icon": name, onclick }, icon(name));
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  path.classList.toggle("stroked", STROKED.has(name));
  path.classList.toggle("mixed", name === "sound" || name === "mute");
  svg.append(path);
  return svg;
}

function setIcon(holder, name, label) {
  if (holder.dataset.icon === name && holder.getAttribute("aria-label") === label) return;
  holder.dataset.icon = name;
  holder.setAttribute("aria-label", label);
  holder.title = label;
  holder.replaceChildren(icon(name));
}

function bufferedTo(video) {
  for (let i = 0; i < video.buffered.length; i += 1) {
    if (video.buffered.start(i) <= video.currentTime + 0.1 && video.buffered.end(i) > video.currentTime) {
      return video.buffered.end(i);
    }
  }
  return video.currentTime;
}
