/* Notes that were written on this device and are not recorded yet: kept in IndexedDB, sent when there is a connection.
   Used by the page (notes.js) and by the service worker, which may run when no page does. A note has the id it was
   written with, so that the server records it once, whoever sends it how often: twice tapped, retried, or killed
   before the answer came. It is sent only while its author is logged in to the organization it was written for. */
self.TlNotes = (() => {
  const TAG = "tl-notes";
  const STORE = "notes";
  const news = new BroadcastChannel(TAG);

  const opened = () =>
    new Promise((done, failed) => {
      const request = indexedDB.open("tokenledger", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
  const inStore = async (mode, act) => {
    const database = await opened();
    try {
      return await new Promise((done, failed) => {
        const transaction = database.transaction(STORE, mode, { durability: "strict" });
        const request = act(transaction.objectStore(STORE));
        transaction.oncomplete = () => done(request.result);
        transaction.onerror = transaction.onabort = () => failed(transaction.error);
      });
    } finally {
      database.close();
    }
  };
  const all = async () => (await inStore("readonly", (store) => store.getAll())).sort((a, b) => a.madeAt - b.madeAt);
  const keep = async (note) => {
    await inStore("readwrite", (store) => store.put(note));
    news.postMessage("changed");
  };
  const drop = async (id) => {
    await inStore("readwrite", (store) => store.delete(id));
    news.postMessage("changed");
  };

  /* Who is logged in, as the organization's pages see it; nobody where it is not this author's to send now */
  const standingAt = async (url) => {
    const response = await fetch(`${url}state`, { cache: "no-store", redirect: "manual" });
    return response.ok ? response.json() : {};
  };
  const WORDS = {
    403: "Your role may not note usage here any more.",
    404: "You are no member of this organization any more.",
  };
  const post = async (note, standing) => {
    const response = await fetch(note.url, {
      method: "POST",
      headers: { Accept: "application/json", "X-CSRFToken": standing.csrf_token },
      body: new URLSearchParams({ ...note.fields, note_id: note.id }),
      redirect: "manual",
    });
    if (response.ok) return drop(note.id);
    if (response.status === 422) return keep({ ...note, state: "rejected", errors: (await response.json()).errors });
    if (WORDS[response.status]) return keep({ ...note, state: "rejected", errors: { __all__: [WORDS[response.status]] } });
    throw new Error(`The server answered ${response.status}.`);
  };

  /* One at a time, in all pages and the worker together. Rejects when something is left for another time. */
  const send = () =>
    navigator.locks.request(TAG, async () => {
      const standings = {};
      for (const note of await all()) {
        if (note.state !== "waiting") continue;
        const standing = (standings[note.url] ??= await standingAt(note.url));
        if (standing.author === note.author) await post(note, standing);
      }
    });

  return { TAG, all, keep, drop, send, news };
})();
