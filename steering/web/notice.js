// What is said in place of a film that does not play, and over one that has to wait.

import { element } from "./element.js";

// In place of the film. `retry` is what the button does; without it there is none.
export function notice(root, heading, text, retry = null) {
  root.querySelector(".notice")?.remove();
  const again =
    retry && element("button", { class: "plain strong", type: "button", text: "Try again", onclick: retry });
  root.append(
    element(
      "div",
      { class: "notice", role: "alert" },
      element("h2", { text: heading }),
      element("p", { text }),
      element("p", { class: "ways" }, again, element("a", { class: "plain", href: "/", text: "All films" })),
    ),
  );
}

// Over the film: why it waits, and a button for the impatient.
export function waitNote(retry) {
  const text = element("span", { role: "status" });
  const button = element("button", { class: "plain", type: "button", text: "Try now", onclick: () => retry() });
  const root = element("div", { class: "waiting", hidden: true }, text, button);
  return {
    root,
    show(why) {
      root.hidden = !why;
      if (text.textContent !== why) text.textContent = why;
    },
  };
}
