// The catalog page: every film that can be played here.

import { get } from "./api.js";
import { element, length } from "./element.js";

const films = document.querySelector(".films");
const remark = document.querySelector(".remark");

try {
  const { titles, trouble } = await get("/api/v1/titles");
  films.replaceChildren(...titles.map(card));
  if (!titles.length) {
    say(
      trouble ? `The origin could not be read: ${trouble}` : "Nothing is published yet: nearcast origin publish DIR.",
    );
  } else if (trouble) {
    say("The origin is away. Films that appliances hold play on.");
  }
} catch (error) {
  say(`The catalog could not be read: ${error.message}`);
}

function card(film) {
  const heights = film.video.map((one) => one.height);
  const tall = heights.length ? `${Math.max(...heights)}p` : "";
  const picture = film.poster
    ? element("img", { src: film.poster, alt: "", loading: "lazy", decoding: "async" })
    : element("span", { class: "initial", "aria-hidden": "true", text: film.name.slice(0, 1) });
  return element(
    "li",
    {},
    element(
      "a",
      { href: `/watch/${encodeURIComponent(film.title)}` },
      element("div", { class: "poster" }, picture),
      element("h2", { text: film.name }),
      element("p", { class: "dim", text: [length(film.duration), tall].filter(Boolean).join(" · ") }),
    ),
  );
}

function say(text) {
  remark.textContent = text;
  remark.hidden = false;
}
