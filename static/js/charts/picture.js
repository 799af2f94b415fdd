/* Save a chart as a PNG: its title, scope, legend and drawing on a sheet, in the colors of the moment. */
(() => {
  const { token, slotColor } = window.tlCharts.looks;
  const PAD = 24;
  const LINE = 18;

  const legendOf = ({ chart, spec }) => {
    if (spec.kind === "donut")
      return spec.series.map((s) => ({
        label: [s.label, s.share].filter(Boolean).join(" "),
        color: slotColor(s.slot),
      }));
    const named = new Map();
    chart.data.datasets.forEach((dataset, i) => {
      const { label, role, slot, states } = dataset.tl;
      if (!chart.isDatasetVisible(i) || states || role === "low" || role === "high" || named.has(label)) return;
      named.set(label, slot ? slotColor(slot) : dataset.borderColor || dataset.pointBorderColor);
    });
    return [...named].map(([label, color]) => ({ label, color }));
  };

  /* Where each legend entry stands: entries flow into rows of the picture's width. */
  const flow = (pen, entries, width) => {
    let x = 0;
    let y = 0;
    return entries.map((entry) => {
      const wide = pen.measureText(entry.label).width + 34;
      if (x > 0 && x + wide > width) {
        x = 0;
        y += LINE;
      }
      const place = { ...entry, x, y };
      x += wide;
      return place;
    });
  };

  const compose = (figure, charts) => {
    const { spec } = charts[0];
    const font = token("--tl-font-sans");
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(...charts.map(({ chart }) => chart.width));
    const height = charts.reduce((sum, { chart }) => sum + chart.height, 0);
    const sheet = document.createElement("canvas");
    const pen = sheet.getContext("2d");
    pen.font = `11px ${font}`;
    const places = flow(pen, legendOf(charts[0]), width);
    const legendHeight = places.length ? places.at(-1).y + LINE + 8 : 0;
    const head = 44 + legendHeight;
    sheet.width = (width + 2 * PAD) * scale;
    sheet.height = (height + head + 2 * PAD) * scale;
    pen.scale(scale, scale);
    pen.fillStyle = token("--tl-sheet");
    pen.fillRect(0, 0, sheet.width, sheet.height);
    pen.translate(PAD, PAD);
    pen.textBaseline = "top";
    pen.fillStyle = token("--tl-ink");
    pen.font = `600 14px ${font}`;
    pen.fillText(spec.title ?? figure.querySelector("h2")?.textContent.trim() ?? "", 0, 0);
    pen.fillStyle = token("--tl-ink-3");
    pen.font = `11px ${font}`;
    pen.fillText(spec.subtitle ?? document.querySelector(".tl-head-sub")?.textContent.trim() ?? "", 0, 20);
    for (const { label, color, x, y } of places) {
      pen.fillStyle = color;
      pen.fillRect(x, 46 + y, 10, 10);
      pen.fillStyle = token("--tl-ink-2");
      pen.fillText(label, x + 16, 45 + y);
    }
    let top = head;
    for (const { chart } of charts) {
      pen.drawImage(chart.canvas, 0, top, chart.width, chart.height);
      top += chart.height;
    }
    return sheet;
  };

  const save = (figure, drawnAs) => {
    const charts = [...figure.querySelectorAll("canvas[data-chart]")].map(drawnAs).filter(Boolean);
    if (!charts.length) return;
    const title = charts[0].spec.title ?? figure.querySelector("h2")?.textContent ?? "chart";
    compose(figure, charts).toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${title
        .trim()
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  };

  window.tlCharts.picture = { save };
})();
