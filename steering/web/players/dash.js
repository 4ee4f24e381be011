// Plays DASH with dash.js.

import { MediaPlayer } from "../lib/dash.js";
import { prepare } from "./cmcd.js";
import { guard } from "./dash-guard.js";
import { dashSettings } from "./dash-settings.js";

export async function create(video, url, options) {
  const player = MediaPlayer().create();
  player.initialize();
  player.updateSettings(dashSettings(options));
  player.addRequestInterceptor(async (request) =>
    request.customData?.request?.type === "CmcdEvent"
      ? Object.assign(request, prepare(request, options.cmcd()))
      : request,
  );
  const say = (fatal, text) => options.say({ fatal, text });
  const { restart, close } = guard(MediaPlayer, player, video, url, { ...options, say });
  const systems = Object.entries(options.licences);
  player.setProtectionData(Object.fromEntries(systems.map(([system, url]) => [system, { serverURL: url }])));
  player.attachView(video);
  player.attachSource(url, options.start >= 0 ? options.start : undefined);

  let pinned = null; // the rung that the viewer chose
  return {
    stats() {
      const now = player.getCurrentRepresentationForType("video");
      const throughput = 1000 * (player.getAverageThroughput("video") || 0);
      return now ? { width: now.width, height: now.height, bitrate: now.bandwidth, throughput } : null;
    },
    qualities: () =>
      player.getRepresentationsByType("video").map(({ id, height, bandwidth }) => ({
        id,
        height,
        bitrate: bandwidth,
        active: pinned === id,
      })),
    chooseQuality(id) {
      pinned = id;
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: id === null } } } });
      if (id !== null) player.setRepresentationForTypeById("video", id);
    },
    audios() {
      const now = player.getCurrentTrackFor("audio");
      return player
        .getTracksFor("audio")
        .map((track) => ({ ...named(track), id: track.index, active: track.index === now?.index }));
    },
    chooseAudio(id) {
      player.setCurrentTrack(player.getTracksFor("audio").find((track) => track.index === id));
    },
    captions() {
      const isShown = [...video.textTracks].some((track) => track.mode === "showing");
      const now = isShown ? player.getCurrentTextTrackIndex() : -1;
      return player.getTracksFor("text").map((track, id) => ({ ...named(track), id, active: id === now }));
    },
    // dash.js itself is never told "none": said before the text is loaded, it would stay empty for ever.
    chooseCaptions(id) {
      if (id !== null) player.setTextTrack(id);
      for (const [index, track] of [...video.textTracks].entries()) {
        if (track.mode !== "disabled") track.mode = index === id ? "showing" : "hidden";
      }
    },
    retry: restart,
    destroy() {
      close();
      player.destroy();
    },
  };
}

function named(track) {
  return { label: track.labels?.[0]?.text ?? "", language: track.lang ?? "" };
}
