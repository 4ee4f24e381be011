// Plays HLS or DASH with Shaka Player.

import { prepare } from "./cmcd.js";
import { guard } from "./shaka-guard.js";
import { shakaSettings } from "./shaka-settings.js";

const LIBRARY = new URL("../lib/shaka.js", import.meta.url);

export async function create(video, url, options) {
  const shaka = await library();
  const player = new shaka.Player();
  await player.attach(video);
  player.configure(shakaSettings(options));
  player.configure({ drm: { servers: options.licences } });
  player.getNetworkingEngine().registerRequestFilter((type, request) => {
    const { CMCD, LICENSE } = shaka.net.NetworkingEngine.RequestType;
    // For ClearKey Shaka prefers the manifest's URL, which has no access token.
    if (type === LICENSE) request.uris = [options.licences[request.drmInfo.keySystem] ?? request.uris[0]];
    if (type !== CMCD) return;
    const report = { url: request.uris[0], body: new TextDecoder().decode(request.body) };
    const { url: target, body } = prepare(report, options.cmcd());
    request.uris = [target];
    request.body = new TextEncoder().encode(body);
  });
  const say = (fatal, text) => options.say({ fatal, text });
  const { load, restart, close } = guard(shaka, player, video, url, { ...options, say });
  load();

  // Variants pair each rung with each audio track; those that differ in their picture alone are the qualities.
  const variants = () => {
    const all = player.getVariantTracks();
    const now = all.find((track) => track.active);
    return all.filter((track) => track.language === now?.language && track.audioId === now?.audioId);
  };
  let pinned = null;
  return {
    stats() {
      const now = player.getVariantTracks().find((track) => track.active);
      const throughput = player.getStats().estimatedBandwidth || 0;
      return now
        ? { width: now.width, height: now.height, bitrate: now.videoBandwidth ?? now.bandwidth, throughput }
        : null;
    },
    qualities: () =>
      variants().map(({ id, height, videoBandwidth, bandwidth }) => ({
        id,
        height,
        bitrate: videoBandwidth ?? bandwidth,
        active: pinned === id,
      })),
    chooseQuality(id) {
      pinned = id;
      player.configure({ abr: { enabled: id === null } });
      const variant = variants().find((track) => track.id === id);
      if (variant) player.selectVariantTrack(variant);
    },
    audios: () =>
      player.getAudioTracks().map(({ label, language, active }, id) => ({ id, label: label ?? "", language, active })),
    chooseAudio(id) {
      player.selectAudioTrack(player.getAudioTracks()[id]);
    },
    captions: () =>
      player.getTextTracks().map(({ id, label, language, active }) => ({ id, label: label ?? "", language, active })),
    chooseCaptions(id) {
      player.selectTextTrack(player.getTextTracks().find((track) => track.id === id) ?? null);
    },
    retry: restart,
    async destroy() {
      close();
      await player.destroy();
    },
  };
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
