// Plays HLS or DASH with Shaka Player, with settings that survive an appliance that dies, refuses or falls silent.
//
// Two things about Shaka that no setting changes, and that steering therefore heeds:
// - it ignores steering in an HLS playlist that lists a single pathway, so a playlist lists at least two whenever there
//   is an appliance (the origin is always the last), with attributes that are the same to the byte;
// - it bans hosts by a substring of their names, so 127.0.1.1 takes 127.0.1.10 with it: name appliances apart.

const LIBRARY = new URL("../lib/shaka.js", import.meta.url);
const FIRST_RESTART_MS = 1000;
const LONGEST_RESTART_MS = 15_000;
const THIN_BUFFER_S = 10;

export async function create(video, url, events, { bufferGoal }) {
  const shaka = await library();
  const isThin = (bufferGoal ?? Infinity) < THIN_BUFFER_S;
  // No answer, or no byte, for so long and the next location is asked. Default 30 s for each.
  const patience = isThin ? 2500 : 3000;
  const retryParameters = {
    // The locations take turns, so four attempts reach the second one twice.
    maxAttempts: 4,
    baseDelay: 200,
    backoffFactor: 1.5,
    connectionTimeout: patience,
    stallTimeout: patience,
    timeout: 15_000,
  };
  const player = new shaka.Player();
  await player.attach(video);
  player.configure({
    streaming: {
      // Half a minute ahead outlasts an appliance's restart (default 10).
      bufferingGoal: bufferGoal ?? 30,
      retryParameters,
    },
    manifest: { retryParameters: { ...retryParameters, connectionTimeout: 8000, stallTimeout: 8000 } },
  });

  let restartAfter = FIRST_RESTART_MS;
  let restartTimer = 0;

  player.addEventListener("error", ({ detail }) => {
    const fatal = detail.severity === shaka.util.Error.Severity.CRITICAL;
    events.error({ fatal, text: describe(shaka, detail) });
    if (!fatal || detail.category !== shaka.util.Error.Category.NETWORK) return;
    clearTimeout(restartTimer);
    restartTimer = setTimeout(() => player.retryStreaming(), restartAfter);
    restartAfter = Math.min(restartAfter * 2, LONGEST_RESTART_MS);
  });
  player.addEventListener("segmentappended", () => {
    restartAfter = FIRST_RESTART_MS;
  });

  // The manifest comes from steering, so a failure here is worth asking again, for ever but ever slower.
  const load = async () => {
    try {
      await player.load(url);
    } catch (error) {
      if (error.code === shaka.util.Error.Code.LOAD_INTERRUPTED) return;
      events.error({ fatal: true, text: describe(shaka, error) });
      restartTimer = setTimeout(load, restartAfter);
      restartAfter = Math.min(restartAfter * 2, LONGEST_RESTART_MS);
    }
  };
  load();

  return {
    name: "shaka",
    stats() {
      const now = player.getVariantTracks().find((track) => track.active);
      return now ? { width: now.width, height: now.height, bitrate: now.videoBandwidth ?? now.bandwidth } : null;
    },
    captions: () =>
      player.getTextTracks().map((track) => ({
        id: track.id,
        label: track.label || track.language,
        language: track.language,
      })),
    showCaptions(id) {
      player.selectTextTrack(player.getTextTracks().find((track) => track.id === id) ?? null);
    },
    async destroy() {
      clearTimeout(restartTimer);
      await player.destroy();
    },
  };
}

function describe(shaka, error) {
  const name = Object.entries(shaka.util.Error.Code).find(([, code]) => code === error.code)?.[0];
  return name ? `${name} (${error.code})` : (error.message ?? "error");
}

// Shaka is published as a classic script only; it puts itself into the global scope.
function library() {
  if (globalThis.shaka?.Player) return ready();
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = LIBRARY;
    script.onload = () => resolve(ready());
    script.onerror = () => reject(new Error(`${LIBRARY.pathname} could not be loaded`));
    document.head.append(script);
  });
}

function ready() {
  globalThis.shaka.polyfill.installAll();
  return globalThis.shaka;
}
