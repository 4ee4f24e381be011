// The pictures on buttons.

import { element } from "./element.js";

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z",
  again: "M12 5V1.8L7 6.6l5 4.8V8a5 5 0 1 1-5 5H4a8 8 0 1 0 8-8z",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 8.5a5 5 0 0 1 0 7M18 6a8.4 8.4 0 0 1 0 12",
  mute: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.8l4.6 4.6M20.6 9.8L16 14.4",
  captions:
    "M4.5 5h15A1.5 1.5 0 0 1 21 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5v-11A1.5 1.5 0 0 1 4.5 5zM10.5 10.4a2.2 2.2 0 1 0 0 3.2M17 10.4a2.2 2.2 0 1 0 0 3.2",
  settings:
    "M4 7h9M17.5 7H20M4 17h2.5M11 17h9M15.2 9.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM8.8 19.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6z",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  help: "M9 9.3a3 3 0 1 1 4.3 2.7c-.9.45-1.3 1-1.3 2M12 17.6v.1",
};
const FILLED = new Set(["play", "pause", "again"]);

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  path.classList.toggle("drawn", !FILLED.has(name));
  svg.append(path);
  return svg;
}

// `keys` is what a screen reader and a tooltip say may be pressed instead.
export function iconButton(name, label, keys, onclick) {
  const made = element(
    "button",
    { class: "icon", type: "button", "data-icon": name, "aria-keyshortcuts": keys || undefined, onclick },
    icon(name),
  );
  nameButton(made, label, keys);
  return made;
}

export function setIcon(button, name, label) {
  nameButton(button, label, button.getAttribute("aria-keyshortcuts"));
  if (button.dataset.icon === name) return;
  button.dataset.icon = name;
  button.replaceChildren(icon(name));
}

function nameButton(button, label, keys) {
  if (button.getAttribute("aria-label") === label) return;
  button.setAttribute("aria-label", label);
  button.title = keys ? `${label} (${keys.split(" ")[0].toLowerCase()})` : label;
}
