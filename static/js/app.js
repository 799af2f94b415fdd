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
  for (const row of document.querySelectorAll(".tl-filter, .nav-tabs, .tl-sections")) {
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
})();
