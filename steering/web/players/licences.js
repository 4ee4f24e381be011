// Where the licences of a protected film are, by the names that browsers have for DRM systems.

const KEY_SYSTEMS = {
  "e2719d58-a985-b3c9-781a-b030af78d30e": "org.w3.clearkey",
  "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed": "com.widevine.alpha",
  "9a04f079-9840-4286-ab92-e65be0885f95": "com.microsoft.playready",
};

// { "org.w3.clearkey": "https://..." }; empty for a film that is not protected.
export function licences(film) {
  const known = Object.entries(film.licences).filter(([system]) => system in KEY_SYSTEMS);
  return Object.fromEntries(known.map(([system, url]) => [KEY_SYSTEMS[system], url]));
}
