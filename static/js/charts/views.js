/* A figure as its chart or as the table behind it. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-view]");
  if (!button) return;
  const figure = button.closest("figure");
  for (const other of figure.querySelectorAll("[data-view]"))
    other.setAttribute("aria-pressed", String(other === button));
  for (const pane of figure.querySelectorAll("[data-pane]")) pane.hidden = pane.dataset.pane !== button.dataset.view;
});
