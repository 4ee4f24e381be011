// Plays HLS with hls.js.

import Hls from "../lib/hls.js";
import { prepare } from "./cmcd.js";
import { keepCaptions } from "./hls-captions.js";
import { guard } from "./hls-guard.js";
import { hlsSettings } from "./hls-settings.js";

export async function create(video, url, options) {
  const settings = { ...hlsSettings(options), ...protection(options.licences) };
  settings.cmcd.loader = (report) => {
    const { url: target, ...request } = prepare(report, options.cmcd());
    return fetch(target, { ...request, keepalive: document.visibilityState === "hidden" }); // the last one, too
  };
  const hls = new Hls(settings);
  const { restart, close } = guard(Hls, hls, video, url, (fatal, text) => options.say({ fatal, text }));
  keepCaptions(Hls, hls, video);
  hls.loadSource(url);
  hls.attachMedia(video);

  return {
    stats() {
      const level = hls.levels[hls.currentLevel];
      const throughput = hls.bandwidthEstimate;
      return level ? { width: level.width, height: level.height, bitrate: level.bitrate, throughput } : null;
    },
    qualities: () =>
      hls.levels.map(({ height, bitrate }, id) => ({
        id,
        height,
        bitrate,
        active: !hls.autoLevelEnabled && hls.nextLevel === id,
      })),
    chooseQuality(id) {
      hls.nextLevel = id ?? -1;
    },
    audios: () =>
      hls.audioTracks.map(({ name, lang }, id) => ({
        id,
        label: name,
        language: lang ?? "",
        active: hls.audioTrack === id,
      })),
    chooseAudio(id) {
      hls.audioTrack = id;
    },
    captions: () =>
      hls.subtitleTracks.map(({ name, lang }, id) => ({
        id,
        label: name,
        language: lang ?? "",
        active: hls.subtitleDisplay && hls.subtitleTrack === id,
      })),
    chooseCaptions(id) {
      hls.subtitleTrack = id ?? -1;
      hls.subtitleDisplay = id !== null;
    },
    retry: restart,
    destroy() {
      close();
      hls.destroy();
    },
  };
}

// hls.js takes no licence URL from a playlist.
function protection(licences) {
  const systems = Object.entries(licences);
  if (!systems.length) return {};
  const drmSystems = Object.fromEntries(systems.map(([system, url]) => [system, { licenseUrl: url }]));
  return { emeEnabled: true, drmSystems };
}
