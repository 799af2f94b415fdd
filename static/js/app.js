/* Behavior shared by all pages. Everything works without it, except what is marked tl-js and hidden then. */
(() => {
  /* Copy: data-copy="id of the text" */
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    const word = button.querySelector("span");
    const before = word.textContent;
    try {
      await navigator.clipboard.writeText(source.value ?? source.innerText);
      word.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      word.textContent = "Selected";
    }
    setTimeout(() => (word.textContent = before), 2000);
  };

  /* Menus made of <details>: one open at a time, closed by Escape and by a click elsewhere */
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.tl-menu[open]")) if (menu !== except) menu.open = false;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    // on phones the scrim belongs to the open menu itself; a touch on it closes the menu
    const menu = event.target.closest("details.tl-menu");
    closeMenus(menu === event.target ? null : menu);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.activeElement?.closest("details.tl-menu[open]");
    closeMenus();
    menu?.querySelector("summary").focus();
  });

  /* Toasts leave by themselves, also those that htmx brings in */
  const startToasts = (root) => {
    for (const toast of root.querySelectorAll("[data-toast]")) {
      toast.removeAttribute("data-toast");
      window.bootstrap?.Toast.getOrCreateInstance(toast, { delay: 6000 }).show();
    }
  };
  startToasts(document);
  document.addEventListener("htmx:afterSettle", (event) => startToasts(event.target.parentNode ?? document));

  /* Where filters scroll sideways, the chosen one is in sight */
  for (const row of document.querySelectorAll(".tl-filter, .nav-tabs")) {
    const chosen = row.querySelector("[aria-current]");
    if (!chosen || row.scrollWidth <= row.clientWidth) continue;
    const [outer, inner] = [row.getBoundingClientRect(), chosen.getBoundingClientRect()];
    row.scrollLeft += inner.left + inner.width / 2 - (outer.left + outer.width / 2);
  }

  /* A passkey that was declined, timed out or is not known here */
  document.addEventListener("allauth.error", (event) => {
    const notice = document.querySelector("[data-passkey-failed]");
    if (!notice) return;
    event.preventDefault();
    notice.hidden = false;
  });

  /* Jump: Ctrl K lists the pages of the menu */
  const jump = document.getElementById("jump");
  if (jump) {
    const field = jump.querySelector("input");
    const rows = [...jump.querySelectorAll("li")];
    const links = () => rows.filter((row) => !row.hidden).map((row) => row.firstElementChild);
    const filter = () => {
      const words = field.value.trim().toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      jump.querySelector(".tl-jump-none").hidden = links().length > 0;
    };
    const open = () => {
      field.value = "";
      filter();
      if (!jump.open) jump.showModal();
      field.focus();
    };
    field.addEventListener("input", filter);
    jump.addEventListener("click", (event) => event.target === jump && jump.close());
    jump.addEventListener("keydown", (event) => {
      const found = links();
      const at = found.indexOf(document.activeElement);
      if (event.key === "Escape") jump.close(); // a search field would keep the key to clear itself
      if (event.key === "Enter" && at < 0 && found.length) location.assign(found[0].href);
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (found[next] ?? field).focus();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      open();
    });
    document.addEventListener("click", (event) => event.target.closest("[data-jump]") && open());
  }
})();
