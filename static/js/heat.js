/* Hours of the week: what a cell stands for is said below the map, for the pointer and for the keyboard alike.
   One stop for Tab; arrows, Home and End move inside. */
(() => {
  const table = document.querySelector("[data-heat]");
  const said = document.querySelector("[data-heat-said]");
  if (!table || !said) return;
  const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
  const place = (cell) => {
    const row = rows.findIndex((cells) => cells.includes(cell));
    return [row, rows[row]?.indexOf(cell) ?? -1];
  };
  const tell = (cell) => {
    said.textContent = cell.title;
  };
  const go = (row, column) => {
    const cell = rows[Math.min(rows.length - 1, Math.max(0, row))][Math.min(23, Math.max(0, column))];
    table.querySelector('td[tabindex="0"]')?.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
    cell.focus();
  };

  rows[0][0].setAttribute("tabindex", "0");
  for (const cell of rows.flat()) {
    cell.setAttribute("aria-label", cell.title);
    cell.addEventListener("pointerenter", () => tell(cell));
    cell.addEventListener("focus", () => tell(cell));
  }
  table.addEventListener("keydown", (event) => {
    const [row, column] = place(event.target.closest("td"));
    if (row < 0) return;
    const moves = {
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      Home: [row, 0],
      End: [row, 23],
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    go(...moves[event.key]);
  });
})();
