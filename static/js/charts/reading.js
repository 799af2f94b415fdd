/* Reading values off a chart: by pointer (a small ledger beside the hairline) and by keyboard (arrow keys, spoken).
   Exact texts come from the server in `texts`, parallel to `data`; a number is never formatted back into money here. */
(() => {
  const { token, slotColor } = window.tlCharts.looks;
  const UNSPOKEN = new Set(["low", "high", "anomaly"]);
  const integer = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

  const text = (spec, series, index, value) => {
    const given = series.texts?.[index];
    if (given !== undefined && given !== null) return given;
    return spec.unit === "tokens" || spec.unit === "count" ? integer.format(value) : null;
  };

  /* What one bucket (or slice) says: title and rows of {label, text, slot, kind}. */
  const read = (spec, datasets, index) => {
    if (spec.kind === "donut") {
      const slice = spec.series[index];
      const row = { label: spec.measure ?? "Tokens", text: text(spec, { texts: [slice.text] }, 0, slice.value) };
      return { title: slice.label, rows: slice.share ? [row, { label: "Share", text: slice.share }] : [row] };
    }
    const rows = [];
    const earlier = [];
    for (const { tl: series, data } of datasets) {
      const value = data[index];
      if (value === null || value === undefined) continue;
      if (UNSPOKEN.has(series.role) && !series.is_said) continue;
      const words = text(spec, series, index, value);
      if (words === null) continue;
      const row = {
        label: series.label,
        text: words,
        slot: series.slot,
        kind: series.role === "previous" ? "is-prev" : "",
      };
      (series.role === "previous" ? earlier : rows).push(row);
    }
    const total = spec.totals?.[index];
    if (total && rows.length > 1) rows.push({ label: "Total", text: total, kind: "is-sum" });
    return { title: spec.titles?.[index] ?? spec.labels[index], rows: [...rows, ...earlier] };
  };

  const visible = (chart) => chart.data.datasets.filter((_, i) => chart.isDatasetVisible(i));
  const box = (chart) => chart.canvas.parentNode;
  const child = (parent, className, make) => {
    let element = parent.querySelector(`:scope > .${className}`);
    if (!element) {
      element = make();
      element.classList.add(className);
      parent.append(element);
    }
    return element;
  };
  const div = () => document.createElement("div");

  const tableRow = ({ label, text: words, slot, kind }) => {
    const row = document.createElement("tr");
    row.className = kind ?? "";
    const name = row.insertCell();
    name.textContent = label;
    if (slot) {
      const swatch = document.createElement("span");
      swatch.className = `tl-swatch${slot === "unpriced" ? " is-unpriced" : ""}`;
      if (slot !== "unpriced") swatch.style.background = slotColor(slot);
      name.prepend(swatch);
    }
    row.insertCell().textContent = words;
    return row;
  };

  const tooltip =
    (spec) =>
    ({ chart, tooltip: state }) => {
      const tip = child(box(chart), "tl-tip", div);
      if (!state.opacity) {
        tip.classList.remove("is-on");
        return;
      }
      const { title, rows } = read(spec, visible(chart), state.dataPoints[0].dataIndex);
      const head = div();
      head.className = "tl-tip-title";
      head.textContent = title;
      const table = document.createElement("table");
      table.append(...rows.map(tableRow));
      tip.replaceChildren(head, table);
      tip.classList.add("is-on");
      const width = tip.offsetWidth;
      const after = state.caretX + 14;
      const left = after + width > box(chart).clientWidth ? state.caretX - width - 14 : after;
      const right = box(chart).clientWidth - width;
      const x = Math.round(Math.min(Math.max(0, left), Math.max(0, right)));
      tip.style.transform = `translate(${x}px, ${Math.round(chart.chartArea?.top ?? 0)}px)`;
    };

  /* Under the pointer: a band behind a bar, a hairline through lines. Colors do not change. */
  const hairline = {
    id: "hairline",
    beforeDatasetsDraw(chart) {
      const [active] = chart.getActiveElements();
      if (!active || chart.config.type !== "bar") return;
      const {
        ctx,
        chartArea: area,
        scales: { x },
      } = chart;
      const width = x.max > x.min ? x.getPixelForValue(x.min + 1) - x.getPixelForValue(x.min) : area.width;
      ctx.save();
      ctx.fillStyle = token("--tl-bar");
      ctx.fillRect(active.element.x - width / 2, area.top, width, area.height);
      ctx.restore();
    },
    afterDatasetsDraw(chart) {
      const [active] = chart.getActiveElements();
      if (!active || chart.config.type !== "line") return;
      const { ctx, chartArea: area } = chart;
      const x = Math.round(active.element.x) + 0.5;
      ctx.save();
      ctx.strokeStyle = token("--tl-rule-strong");
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.moveTo(x, area.top);
      ctx.lineTo(x, area.bottom);
      ctx.stroke();
      ctx.restore();
    },
  };

  /* Keyboard: the canvas is a stop; arrows walk the buckets and a polite region says each. */
  const speaker = (chart) =>
    child(box(chart), "visually-hidden", () => {
      const region = div();
      region.setAttribute("role", "status");
      return region;
    });
  const show = (chart, spec, index) => {
    const elements = chart.data.datasets
      .map((dataset, datasetIndex) => ({ datasetIndex, index, value: dataset.data[index] }))
      .filter(
        ({ datasetIndex, value }) => chart.isDatasetVisible(datasetIndex) && value !== null && value !== undefined,
      )
      .map(({ datasetIndex }) => ({ datasetIndex, index }));
    if (!elements.length) return;
    const point = chart.getDatasetMeta(elements[0].datasetIndex).data[index];
    chart.setActiveElements(elements);
    chart.tooltip.setActiveElements(elements, { x: point.x, y: point.y });
    chart.render();
    const { title, rows } = read(spec, visible(chart), index);
    speaker(chart).textContent = `${title}: ${rows.map((row) => `${row.label} ${row.text}`).join(", ")}`;
  };
  const hide = (chart) => {
    if (!chart.getActiveElements().length) return;
    chart.setActiveElements([]);
    chart.tooltip.setActiveElements([], { x: 0, y: 0 });
    chart.render();
  };
  const range = (chart) => {
    const x = chart.scales.x;
    return x ? [Math.max(0, Math.ceil(x.min)), Math.floor(x.max)] : [0, chart.data.labels.length - 1];
  };
  const walk = (chart, spec, key) => {
    const [first, last] = range(chart);
    const at = chart.getActiveElements()[0]?.index;
    const steps = {
      ArrowRight: at === undefined ? first : at + 1,
      ArrowLeft: at === undefined ? last : at - 1,
      Home: first,
      End: last,
    };
    if (!(key in steps)) return false;
    show(chart, spec, Math.min(last, Math.max(first, steps[key])));
    return true;
  };

  window.tlCharts.reading = { tooltip, hairline, walk, hide };
})();
