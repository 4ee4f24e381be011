// The keyboard: what each key does, and the page that says so.

import { element } from "./element.js";

const HELP = [
  [["Space", "K"], "Play or pause"],
  [["←", "→"], "Back or forward 5 seconds"],
  [["J", "L"], "Back or forward 10 seconds"],
  [["0", "9"], "Jump to 0 % ... 90 % of the film"],
  [["↑", "↓"], "Louder or quieter"],
  [["M"], "Mute"],
  [["C"], "Captions"],
  [["<", ">"], "Slower or faster"],
  [["F"], "Full screen"],
  [["?"], "This help"],
];

// `actions` are what keys do: { toggle, seekBy, seekTo, louder, mute, full, captions, speed, escape }; each says whether
// it did anything. `line` and `volume` are the sliders, which use arrows themselves.
export function keyboard(actions, { line, volume, onuse }) {
  const help = helpDialog();

  function keysOf(event, focused) {
    // Space presses a focused button; only elsewhere is it ours.
    const isOnButton = focused?.matches("button, a, summary");
    const isOnSlider = focused === volume || focused === line;
    if (/^[0-9]$/.test(event.key)) return () => actions.seekTo(Number(event.key) / 10);
    return {
      " ": () => !isOnButton && actions.toggle(),
      k: actions.toggle,
      ArrowLeft: () => focused !== volume && actions.seekBy(-5),
      ArrowRight: () => focused !== volume && actions.seekBy(5),
      j: () => actions.seekBy(-10),
      l: () => actions.seekBy(10),
      ArrowUp: () => !isOnSlider && actions.louder(0.1),
      ArrowDown: () => !isOnSlider && actions.louder(-0.1),
      m: actions.mute,
      f: actions.full,
      c: actions.captions,
      "<": () => actions.speed(-1),
      ">": () => actions.speed(1),
      "?": () => (help.showModal(), true),
      Escape: actions.escape,
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const focused = document.activeElement;
    const isTyping =
      focused?.matches("select, textarea") || (focused?.matches("input") && focused !== line && focused !== volume);
    if (isTyping && event.key !== "Escape") return;
    if (!keysOf(event, focused)?.()) return;
    event.preventDefault();
    onuse();
  });
  return { help };
}

function helpDialog() {
  const rows = HELP.flatMap(([keys, text]) => [
    element("dt", {}, ...keys.map((key) => element("kbd", { text: key }))),
    element("dd", { text }),
  ]);
  const dialog = element(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    element("h2", { id: "help-title", text: "Keyboard" }),
    element("dl", {}, ...rows),
    element("form", { method: "dialog" }, element("button", { class: "plain", autofocus: true, text: "Close" })),
  );
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  return dialog;
}
