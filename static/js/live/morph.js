/* Turns what a page shows into what it should show by changing only what differs: focus, selection, open menus and
   drawn charts stay. Elements are the same where they stand at the same place with the same name and id. */
(() => {
  // a chart's frame is the person's: which view, which lines, which zoom
  const OWN = "canvas, .tl-tip, .tl-chart-tools, .tl-legend:not(.tl-legend-plain), .tl-zoomed";
  // which pane of a chart is shown is the person's too
  const isOwn = (element, name) => name === "hidden" && element.hasAttribute("data-pane");

  const attributes = (now, next) => {
    for (const { name } of [...now.attributes])
      if (!next.hasAttribute(name) && !isOwn(now, name)) now.removeAttribute(name);
    for (const { name, value } of next.attributes)
      if (now.getAttribute(name) !== value && !isOwn(now, name)) now.setAttribute(name, value);
  };
  const isSame = (now, next) => now.nodeName === next.nodeName && now.id === next.id;
  // what was checked since stays, while it is about the same
  const isOfTheSame = (now, next) => "of" in now.dataset && now.dataset.of === next.dataset.of;
  const isText = (node) => node.nodeType !== Node.ELEMENT_NODE;
  const isBlank = (node) => node.nodeType === Node.TEXT_NODE && !node.data.trim();

  const morph = (now, next) => {
    if (isText(now)) {
      if (now.data !== next.data) now.data = next.data;
    } else if (!now.matches(OWN) && !isOfTheSame(now, next)) {
      attributes(now, next);
      children(now, next);
    }
  };
  const children = (now, next) => {
    // white space is nobody's, and what a script put there is not the page's
    const [old, fresh] = [now, next].map((parent) =>
      [...parent.childNodes].filter((node) => (isText(node) ? !isBlank(node) : !node.matches(".tl-tip"))),
    );
    fresh.forEach((node, i) => {
      if (!old[i]) now.append(node);
      else if (isSame(old[i], node)) morph(old[i], node);
      else old[i].replaceWith(node);
    });
    for (const node of old.slice(fresh.length)) node.remove();
  };

  window.tlMorph = (element, html) => {
    const next = document.createElement("template");
    next.innerHTML = html;
    children(element, next.content);
  };
})();
