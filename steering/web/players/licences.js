// Where the licences of a protected film are, by the names that browsers have for DRM systems.

const KEY_SYSTEMS = {
  "e2719d58-a985-b3c9-781a-b030af78d30e": "org.w3.clearkey",
  "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed": "com.widevine.alpha",
  "9a04f079-9840-4286-ab92-e65be0885f95": "com.microsoft.playready",
};

const CLEARKEY = "e2719d58-a985-b3c9-781a-b030af78d30e";
// What a session's URIs begin with where content is for holders of access tokens: /t/{token}/v1/{title}/{package}/
const SESSION_FOLDER = /\/t\/([A-Za-z0-9_-]+={0,2})\/v1\/[^/"]+\/([0-9a-f]{32})\//;

// { "org.w3.clearkey": "https://..." }; empty for a film that is not protected. `manifest` is the session's.
export async function licences(film, manifest) {
  const known = Object.entries(film.licences).filter(([system]) => system in KEY_SYSTEMS);
  const urls = await Promise.all(
    known.map(async ([system, url]) => [KEY_SYSTEMS[system], system === CLEARKEY ? await admitted(url, manifest) : url]),
  );
  return Object.fromEntries(urls);
}

// Our own licence service asks for the token that appliances ask for; nobody else's gets it. It is in the manifest, and
// the players ask for licences before anything else of a session has been seen.
async function admitted(url, manifest) {
  const text = await fetch(manifest)
    .then((response) => response.text())
    .catch(() => ""); // the player tells that steering is away
  const [, token, name] = SESSION_FOLDER.exec(text) ?? [];
  if (!token) return url;
  const target = new URL(url);
  target.searchParams.set("package", name);
  target.searchParams.set("cat", token);
  return target.href;
}
