/* The page and its service worker: it is registered here, and a page that came from its cache says how old it is. */
(() => {
  const worker = navigator.serviceWorker;
  if (!worker) return;
  const { worker: address, alive } = document.currentScript.dataset;
  const LOOK_AGAIN = 15_000;
  const notice = document.querySelector("[data-offline]");
  const { keptAt } = document.documentElement.dataset;
  let asOf = new Date(keptAt ?? Date.now());
  let timer = 0;

  addEventListener("load", () => worker.register(address));

  /* Installing: offered where the browser can, and only until it is done */
  const button = document.querySelector("[data-install]");
  addEventListener("beforeinstallprompt", (event) => {
    if (!button) return;
    event.preventDefault();
    button.hidden = false;
    button.onclick = async () => {
      await event.prompt();
      button.hidden = true;
    };
  });

  /* Age */
  const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];
  const ago = (span) => {
    if (span < MINUTE) return "just now";
    if (span < HOUR) return `${Math.floor(span / MINUTE)} min ago`;
    return span < 2 * DAY ? `${Math.floor(span / HOUR)} h ago` : `${Math.floor(span / DAY)} days ago`;
  };
  const time = notice?.querySelector("time");
  const tell = () => {
    const age = Date.now() - asOf;
    const day = age < DAY / 2 ? {} : { weekday: "short", day: "numeric", month: "short" };
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: time.dataset.zone };
    const words = `as of ${asOf.toLocaleString("en-GB", { ...day, ...clock })}, ${ago(age)}`;
    time.dateTime = asOf.toISOString();
    if (time.textContent !== words) time.textContent = words;
    notice.hidden = false;
  };

  /* Back: a page from the cache is loaded anew, unless somebody writes in it; any other has only stood still. */
  const isBack = async () => {
    try {
      return (await fetch(alive, { cache: "no-store" })).ok;
    } catch {
      return false;
    }
  };
  const isWrittenIn = () => !!document.querySelector("[data-written]");
  const back = async () => {
    if (!navigator.onLine || !(await isBack())) return;
    clearInterval(timer);
    if (keptAt && !isWrittenIn()) location.reload();
    else notice.hidden = true;
  };
  const gone = () => {
    tell();
    clearInterval(timer);
    timer = setInterval(() => {
      tell();
      back();
    }, LOOK_AGAIN);
  };
  if (notice) {
    addEventListener("offline", gone);
    addEventListener("online", back);
    if (keptAt) {
      gone();
      // what a page brings in by itself is not there either
      document.addEventListener("htmx:beforeRequest", (event) => event.preventDefault());
    }
  }

  /* What has moved since the page was loaded is kept when one looks away */
  let hasMoved = false;
  document.addEventListener("tl:figures", () => {
    hasMoved = true;
    asOf = new Date();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden || !hasMoved) return;
    hasMoved = false;
    worker.controller?.postMessage({ keep: location.href });
  });
})();
