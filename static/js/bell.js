/* How much is unread: on the bell, and to whoever listens. It comes by a stream while one can be had, else now and then.
     <a data-bell="stream" data-bell-count="the same, once">…<span data-bell-number></span></a> */
(() => {
  const ASK = 60_000; // without a stream
  const TRY_AGAIN = 120_000;
  // a page that is only passed through opens none
  const SETTLE = 2_000;
  const bell = document.querySelector("[data-bell]");
  if (!bell) return;
  const number = bell.querySelector("[data-bell-number]");
  const said = document.querySelector("[data-bell-said]");
  let newest = null;
  let stream = null;
  let timers = [];

  const show = ({ unread, newest: id }) => {
    const before = Number(number.dataset.bellNumber);
    const words = unread > 99 ? "99+" : String(unread);
    number.dataset.bellNumber = unread;
    number.textContent = words;
    number.hidden = unread === 0;
    bell.setAttribute("aria-label", `Inbox, ${unread || "none"} unread`);
    if (unread > before) said.textContent = `${unread} unread in your inbox`;
    const isNew = newest !== null && newest !== id;
    newest = id;
    if (unread !== before || isNew) document.body.dispatchEvent(new CustomEvent("tl:inbox"));
  };
  const ask = async () => {
    try {
      const response = await fetch(bell.dataset.bellCount, { redirect: "manual" });
      if (response.ok) show(await response.json());
    } catch {
      /* offline for a moment; the next time will tell */
    }
  };
  const stop = () => {
    stream?.close();
    stream = null;
    for (const timer of timers) clearTimeout(timer);
    timers = [];
  };
  const every = (pause, act) => timers.push(setInterval(act, pause));
  const start = () => {
    stop();
    stream = new EventSource(bell.dataset.bell);
    stream.addEventListener("figures", (event) => show(JSON.parse(event.data)));
    // the browser connects again by itself, unless the server refused
    stream.onerror = () => {
      if (stream.readyState !== EventSource.CLOSED) return;
      stop();
      every(ASK, ask);
      every(TRY_AGAIN, start);
    };
  };
  const look = () => {
    stop();
    // a copy that was kept knows nothing new (offline.js)
    if (!document.hidden && !document.documentElement.dataset.keptAt) timers.push(setTimeout(start, SETTLE));
  };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => event.persisted && look());
  look();
})();
