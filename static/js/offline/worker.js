/* The service worker, brought in by /sw.js with the release it belongs to:
     RELEASE = {version, static, assets, offline, start, home, logout, icon, badge, subscribe, subscription}
   Files with a hash in their name are taken from the cache, pages from the network. A copy of a page is kept only
   where the server says so, under the name of its owner (a person in an organization), and goes as soon as anybody
   else is seen: at log-out, log-in, and the switch to another organization. Programs' answers are never touched. */
(() => {
  const ASSETS = `tl-assets-${RELEASE.version}`;
  const PAGES = "tl-pages-";
  const NOBODY = "nobody";
  const MOST_PAGES = 12;
  const HASHED = /\.[0-9a-f]{12}\.[^./]+$/;
  const PROGRAMS = /^\/(v1|api)\//;
  const LEAVES = /^\/accounts\/(log(in|out)|signup)\/|^\/o\/[^/]+\/switch\/$/;

  const named = async (prefix) => (await caches.keys()).filter((name) => name.startsWith(prefix));
  const forget = async (owner = NOBODY) => {
    for (const name of await named(PAGES)) if (name !== PAGES + owner) await caches.delete(name);
  };

  /* ── Files ── */
  const asset = async (request) => {
    const isHashed = HASHED.test(new URL(request.url).pathname);
    const known = isHashed && (await caches.match(request));
    if (known) return known;
    try {
      const response = await fetch(request);
      if (isHashed && response.ok) await (await caches.open(ASSETS)).put(request, response.clone());
      return response;
    } catch (error) {
      const old = await caches.match(request);
      if (old) return old;
      throw error;
    }
  };

  /* ── Pages ── */
  const keep = async (url, response, owner) => {
    const headers = new Headers(response.headers);
    headers.set("X-Tokenledger-Kept-At", new Date().toISOString());
    const body = await response.text();
    const cache = await caches.open(PAGES + owner);
    await cache.delete(url);
    await cache.put(url, new Response(body, { headers }));
    const urls = await cache.keys();
    for (const old of urls.slice(0, -MOST_PAGES)) await cache.delete(old);
  };
  const remember = async (url, response) => {
    const owner = response.headers.get("X-Tokenledger-Owner");
    if (!owner) return;
    await forget(owner);
    if (owner !== NOBODY && response.ok && response.headers.has("X-Tokenledger-Keep")) await keep(url, response, owner);
  };
  const refresh = async (url) => {
    const response = await fetch(url, { credentials: "same-origin", redirect: "manual" });
    if (response.ok) await remember(url, response);
  };

  /* The page says how old it is (offline.js): the moment goes in where its markup begins. */
  const dated = async (response) => {
    const at = response.headers.get("X-Tokenledger-Kept-At");
    const body = (await response.text()).replace("<html ", `<html data-kept-at="${at}" `);
    return new Response(body, { headers: response.headers });
  };
  /* The addresses that lead to whichever organization was looked at last: how those they lead to end */
  const endingOf = ({ pathname, searchParams }) => {
    if (pathname === RELEASE.start) return `/${searchParams.get("to") ?? "quick"}`;
    return pathname === RELEASE.home ? "/overview" : null;
  };
  const kept = async (url) => {
    for (const name of await named(PAGES)) {
      const cache = await caches.open(name);
      const found = await cache.match(url.href);
      if (found) return dated(found);
      const ending = endingOf(url);
      const other = ending && (await cache.keys()).find((request) => new URL(request.url).pathname.endsWith(ending));
      if (other) return Response.redirect(other.url, 302);
    }
    return (await caches.match(RELEASE.offline)) ?? Response.error();
  };
  const page = async (event, url) => {
    try {
      const response = await fetch(event.request);
      event.waitUntil(remember(url.href, response.clone()));
      return response;
    } catch {
      return kept(url);
    }
  };

  self.addEventListener("install", (event) => {
    const install = async () => {
      const cache = await caches.open(ASSETS);
      const requests = [...RELEASE.assets, RELEASE.offline].map(
        (url) => new Request(url, { credentials: "omit", cache: HASHED.test(url) ? "default" : "reload" }),
      );
      await cache.addAll(requests);
      await self.skipWaiting();
    };
    event.waitUntil(install());
  });

  /* Pages of the release before name files that are going: they are read again. */
  self.addEventListener("activate", (event) => {
    const activate = async () => {
      for (const name of await named("tl-assets-")) if (name !== ASSETS) await caches.delete(name);
      await self.clients.claim();
      for (const name of await named(PAGES))
        for (const { url } of await (await caches.open(name)).keys()) await refresh(url).catch(() => null);
    };
    event.waitUntil(activate());
  });

  self.addEventListener("fetch", (event) => {
    const { request } = event;
    const url = new URL(request.url);
    if (url.origin !== location.origin) return;
    if (request.method !== "GET") {
      if (LEAVES.test(url.pathname)) event.waitUntil(forget());
      if (url.pathname === RELEASE.logout) event.waitUntil(silence());
    } else if (url.pathname.startsWith(RELEASE.static)) event.respondWith(asset(request));
    else if (request.mode === "navigate" && !PROGRAMS.test(url.pathname)) event.respondWith(page(event, url));
  });

  /* Notes written without a connection (notes/queue.js): the browser says when there is one */
  self.addEventListener("sync", (event) => {
    if (event.tag === TlNotes.TAG) event.waitUntil(TlNotes.send());
  });

  /* Messages (alerts/push): shown, and opened by a touch in a window that is there already */
  const silence = async () => (await self.registration.pushManager?.getSubscription())?.unsubscribe();

  /* A subscription that the browser replaced: the server is told the new one, in the place of the old one it knew. It
     tells nobody who is not logged in, and a device that was removed there stays removed. */
  const renew = async (old, replacement) => {
    const standing = await fetch(RELEASE.subscription, { cache: "no-store", redirect: "manual" });
    if (!standing.ok) return;
    const { key, csrf_token: token } = await standing.json();
    if (!key) return;
    const options = { userVisibleOnly: true, applicationServerKey: key };
    const subscription = replacement ?? (await self.registration.pushManager.subscribe(options));
    const response = await fetch(RELEASE.subscribe, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify({ ...subscription.toJSON(), replaces: old.endpoint }),
      redirect: "manual",
    });
    if (response.status === 404) await subscription.unsubscribe();
  };
  self.addEventListener("pushsubscriptionchange", (event) => {
    const { oldSubscription, newSubscription } = event;
    if (oldSubscription) event.waitUntil(renew(oldSubscription, newSubscription));
  });

  self.addEventListener("push", (event) => {
    const { title, body, url, tag } = event.data.json();
    const { icon, badge } = RELEASE;
    event.waitUntil(self.registration.showNotification(title, { body, tag, icon, badge, data: { url } }));
  });
  self.addEventListener("notificationclick", (event) => {
    event.notification.close();
    const url = new URL(event.notification.data.url, location.origin).href;
    const open = async () => {
      const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
      const there = windows.find((client) => client.url === url) ?? windows[0];
      if (!there) return self.clients.openWindow(url);
      await there.focus();
      return there.url === url ? there : there.navigate(url);
    };
    event.waitUntil(open());
  });

  self.addEventListener("message", (event) => {
    if (event.data.keep) event.waitUntil(refresh(event.data.keep).catch(() => null));
  });
})();
