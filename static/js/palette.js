/* The palette: Ctrl K, the places of the menu at once, then whatever the server finds. A combobox with a list of links:
   the focus stays in the field, arrows move the selection, Enter follows it, Ctrl and Enter in a new tab. */
(() => {
  const PAUSE = 150;
  const SHORTEST = 2;

  const palette = document.getElementById("jump");
  if (!palette) return;
  const field = palette.querySelector("input");
  const list = palette.querySelector("[role=listbox]");
  const found = palette.querySelector("[data-found]");
  const said = palette.querySelector("[role=status]");
  const places = [...palette.querySelectorAll("[data-places] [role=option]")];
  let timer = 0;
  let asking = null;
  let isAsking = false;

  const options = () => [...list.querySelectorAll("[role=option]")].filter((row) => !row.hidden);
  const selected = () => list.querySelector("[aria-selected=true]");

  const select = (row) => {
    selected()?.setAttribute("aria-selected", "false");
    if (row) {
      row.setAttribute("aria-selected", "true");
      field.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  };

  const tell = () => {
    const count = options().length;
    const words = count === 1 ? "1 result" : `${count} results`;
    said.textContent = count ? words : isAsking ? "Searching" : "Nothing has this name or id.";
    said.classList.toggle("visually-hidden", count > 0);
  };

  const showPlaces = (wanted) => {
    const words = wanted.toLowerCase().split(/\s+/);
    for (const row of places) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    for (const group of palette.querySelectorAll("[data-places] [role=group]"))
      group.hidden = !group.querySelector("[role=option]:not([hidden])");
  };

  const ask = async (wanted) => {
    asking?.abort();
    const own = (asking = new AbortController());
    try {
      const response = await fetch(`${palette.dataset.options}?q=${encodeURIComponent(wanted)}`, { signal: own.signal });
      if (!response.ok || response.redirected) throw new Error(response.status);
      const html = await response.text();
      // A newer question may have been asked while this answer was read.
      if (own !== asking) return;
      const chosen = selected();
      const isKept = chosen && !found.contains(chosen);
      found.innerHTML = html;
      isAsking = false;
      if (!isKept) select(options()[0]);
      tell();
    } catch (error) {
      if (error.name === "AbortError") return;
      isAsking = false;
      found.replaceChildren();
      tell();
      said.textContent = "The server could not be reached; only pages are listed.";
      said.classList.remove("visually-hidden");
    }
  };

  const look = () => {
    const wanted = field.value.trim();
    clearTimeout(timer);
    showPlaces(wanted);
    isAsking = wanted.length >= SHORTEST;
    if (isAsking) timer = setTimeout(() => ask(wanted), PAUSE);
    else {
      asking?.abort();
      asking = null;
      found.replaceChildren();
    }
    select(wanted ? options()[0] : null);
    tell();
  };

  const open = () => {
    field.value = "";
    look();
    if (!palette.open) palette.showModal();
    field.focus();
  };

  const go = (event) => {
    const row = selected();
    if (row) event.ctrlKey || event.metaKey ? window.open(row.href, "_blank", "noopener") : location.assign(row.href);
    else if (field.value.trim()) location.assign(`${palette.dataset.search}?q=${encodeURIComponent(field.value.trim())}`);
  };

  field.addEventListener("input", look);
  field.addEventListener("keydown", (event) => {
    // A search field would keep Escape to clear itself.
    if (event.key === "Escape") palette.close();
    else if (event.key === "Enter") go(event);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const rows = options();
      const at = rows.indexOf(selected()) + (event.key === "ArrowDown" ? 1 : -1);
      // Beyond either end is the field itself.
      select(at < -1 ? rows.at(-1) : rows[at]);
    } else return;
    event.preventDefault();
  });
  palette.addEventListener("click", (event) => event.target === palette && palette.close());
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    open();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-jump]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
})();
