/* Figures that move while one looks. The page says where they come from:
     <div data-live="stream" data-live-poll="the same, once">…</div>
   A stream while there can be one, asking now and then while not, and nothing while nobody looks. */
(() => {
  const ASK = 10_000; // without a stream
  const ASK_BESIDE = 60_000; // a stream may be dead without anybody having noticed
  const TRY_AGAIN = 30_000;
  const STILL = 5_000;
  const SAY = 30_000; // not more often to those who listen

  const root = document.querySelector("[data-live]");
  const state = document.querySelector("[data-live-state]");
  const subtitle = document.querySelector("[data-live-subtitle]");
  const said = document.querySelector("[data-live-said]");
  let stream = null;
  let timers = [];
  let saidAt = Date.now();
  let quiet = 0;

  const states = {
    connecting: ["is-off", "Connecting"],
    live: ["is-on", "Live"],
    reconnecting: ["is-stale", "Reconnecting"],
    asking: ["is-stale", "Every 10 s"],
    paused: ["is-off", "Paused"],
    offline: ["is-off", "Offline"],
  };
  const say = (name) => {
    const [dot, word] = states[name];
    if (state.dataset.liveState === name) return;
    state.dataset.liveState = name;
    state.firstElementChild.className = `tl-live-dot ${dot}`;
    state.lastElementChild.textContent = word;
  };

  const show = (frame) => {
    if (!frame.html) return;
    window.tlMorph(root, frame.html);
    subtitle.textContent = frame.subtitle;
    window.htmx.process(root);
    root.dispatchEvent(new CustomEvent("tl:figures", { bubbles: true }));
    // a recount reads every event: once the figures stand still, and not in all open pages at once
    clearTimeout(quiet);
    const proof = root.querySelector(".tl-proof");
    if (proof) quiet = setTimeout(() => window.htmx.trigger(proof, "quiet"), STILL * (1 + 2 * Math.random()));
    const words = root.querySelector("[data-live-words]")?.textContent.trim();
    if (words && Date.now() - saidAt >= SAY) {
      said.textContent = words;
      saidAt = Date.now();
    }
  };

  const ask = async () => {
    try {
      const response = await fetch(root.dataset.livePoll, { redirect: "manual" });
      // logged out, or no longer a member: the page itself says what to do
      if (response.type === "opaqueredirect" || [403, 404].includes(response.status)) return location.reload();
      if (response.ok) return show(await response.json());
    } catch {
      /* offline for a moment; the next time will tell */
    }
    say("reconnecting");
  };

  const every = (pause, act) => timers.push(setInterval(act, pause));
  const stop = () => {
    stream?.close();
    stream = null;
    for (const timer of timers) clearInterval(timer);
    timers = [];
  };

  const withoutStream = () => {
    stop();
    say("asking");
    ask();
    every(ASK, () => {
      say("asking");
      ask();
    });
    every(TRY_AGAIN, start);
  };
  const start = () => {
    stop();
    stream = new EventSource(root.dataset.live);
    stream.onopen = () => say("live");
    stream.addEventListener("figures", (event) => show(JSON.parse(event.data)));
    // the browser connects again by itself, unless the server refused
    stream.onerror = () => (stream.readyState === EventSource.CLOSED ? withoutStream() : say("reconnecting"));
    every(ASK_BESIDE, ask);
  };
  const look = () => {
    // a copy that was kept: it is loaded anew when there is a connection (offline.js)
    if (document.documentElement.dataset.keptAt) return say("offline");
    if (document.hidden) {
      stop();
      say("paused");
    } else if (!stream) {
      say("connecting");
      start();
    }
  };

  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => event.persisted && look());
  look();
})();
