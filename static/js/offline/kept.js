/* The offline page: what this device has of the person's pages, and a way back as soon as there is one. */
(() => {
  const list = document.querySelector("[data-kept]");
  const { alive } = document.currentScript.dataset;
  const titleOf = (html) => new DOMParser().parseFromString(html, "text/html").querySelector("h1")?.textContent.trim();

  const show = async () => {
    for (const name of await caches.keys()) {
      if (!name.startsWith("tl-pages-")) continue;
      const cache = await caches.open(name);
      for (const request of (await cache.keys()).reverse()) {
        const response = await cache.match(request);
        const link = document.createElement("a");
        link.href = request.url;
        link.textContent = titleOf(await response.text()) ?? request.url;
        const at = new Date(response.headers.get("X-Tokenledger-Kept-At"));
        const when = document.createElement("span");
        when.className = "tl-muted tl-xs";
        when.textContent = ` as of ${at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })}`;
        const item = document.createElement("li");
        item.append(link, when);
        list.append(item);
      }
    }
    list.parentElement.hidden = !list.children.length;
  };
  const back = () =>
    fetch(alive, { cache: "no-store" }).then(
      (response) => response.ok && location.reload(),
      () => null,
    );
  addEventListener("online", back);
  setInterval(back, 15_000);
  document.querySelector("[data-again]").addEventListener("click", () => location.reload());
  show();
})();
