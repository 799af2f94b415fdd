/* The page of usage notes: what is written goes into the queue first (queue.js), then to the server. */
(() => {
  const form = document.querySelector("[data-note-form]");
  const queue = document.querySelector("[data-note-queue]");
  const said = document.querySelector("[data-note-said]");
  const row = document.getElementById("queued-note").content.firstElementChild;
  const { author } = form.dataset;
  const url = location.pathname;
  const STATES = { waiting: "Waits for a connection", rejected: "Not recorded" };
  let isBusy = false;

  const mine = async () => (await TlNotes.all()).filter((note) => note.author === author && note.url === url);
  const fieldsOf = () => {
    const fields = Object.fromEntries(new FormData(form));
    delete fields.csrfmiddlewaretoken;
    delete fields.note_id;
    return fields;
  };

  /* ── The form ── */
  const showErrors = (errors = {}) => {
    for (const old of form.querySelectorAll("[data-note-error]")) old.remove();
    for (const field of form.querySelectorAll(".is-invalid")) {
      field.classList.remove("is-invalid");
      field.removeAttribute("aria-invalid");
    }
    for (const [name, words] of Object.entries(errors)) {
      const field = form.elements[name];
      const message = document.createElement("div");
      message.className = "invalid-feedback d-block";
      message.dataset.noteError = name;
      message.textContent = words.join(" ");
      if (field) {
        field.classList.add("is-invalid");
        field.setAttribute("aria-invalid", "true");
        field.after(message);
      } else form.prepend(message);
    }
  };
  const begin = () => {
    const at = form.elements.occurred_at;
    form.reset();
    form.elements.note_id.value = crypto.randomUUID();
    at.value = zonedNow(at.closest("form").dataset.zone);
    form.removeAttribute("data-written");
    showErrors();
  };
  const zonedNow = (timeZone) => {
    const parts = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
    return parts.format(new Date()).replace(" ", "T");
  };
  const fill = (note) => {
    for (const [name, value] of Object.entries(note.fields)) if (form.elements[name]) form.elements[name].value = value;
    form.elements.note_id.value = note.id;
    form.dataset.written = "";
    showErrors(note.errors);
    (form.querySelector(".is-invalid") ?? form.elements.model).focus();
  };

  /* ── The queue ── */
  const summary = ({ fields }) => {
    const number = (value) => (value ? Number(value).toLocaleString("en-US") : "—");
    const tokens = fields.prompt_tokens || fields.completion_tokens;
    const what = tokens ? `${number(fields.prompt_tokens)} in, ${number(fields.completion_tokens)} out` : "tokens not known";
    return `${fields.model}, ${what}${fields.text ? `: ${fields.text}` : ""}`;
  };
  const draw = (note) => {
    const item = row.cloneNode(true);
    item.dataset.id = note.id;
    item.querySelector("[data-what]").textContent = summary(note);
    const state = item.querySelector("[data-state]");
    state.classList.add(note.state === "rejected" ? "is-critical" : "is-warning");
    state.textContent = STATES[note.state];
    item.querySelector("[data-why]").textContent = Object.values(note.errors ?? {}).flat().join(" ");
    item.querySelector("[data-mend]").hidden = note.state !== "rejected";
    item.querySelector("[data-mend]").addEventListener("click", () => fill(note));
    item.querySelector("[data-drop]").addEventListener("click", () => TlNotes.drop(note.id).then(show));
    return item;
  };
  const show = async () => {
    const notes = await mine();
    queue.querySelector("ul").replaceChildren(...notes.map(draw));
    queue.hidden = !notes.length;
  };
  const refresh = async () => {
    const response = await fetch(location.href, { cache: "no-store", redirect: "manual" });
    if (!response.ok) return;
    const next = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("notes");
    if (next) document.getElementById("notes").replaceWith(next);
  };

  /* ── Sending ── */
  const send = async () => {
    const before = (await mine()).filter((note) => note.state === "waiting");
    if (!before.length) return;
    // what cannot be reached now is tried again: by the browser where it can, and when the page is back
    await TlNotes.send().catch(() => null);
    const left = await mine();
    const isLeft = ({ id }) => left.some((note) => note.id === id);
    const sent = before.filter((note) => !isLeft(note)).length;
    if (sent) {
      said.textContent = sent === 1 ? "Noted." : `${sent} notes recorded.`;
      await refresh().catch(() => null);
    }
    await show();
    return left;
  };
  const submit = async () => {
    const note = { id: form.elements.note_id.value, author, url, fields: fieldsOf(), madeAt: Date.now(), state: "waiting" };
    await TlNotes.keep(note);
    begin();
    await show();
    const registration = await navigator.serviceWorker?.getRegistration();
    await registration?.sync?.register(TlNotes.TAG).catch(() => null);
    const left = (await send()) ?? [];
    const own = left.find(({ id }) => id === note.id);
    if (own?.state === "rejected") fill(own);
    else if (own) said.textContent = "Kept on this device. It is sent when there is a connection.";
  };

  form.addEventListener("input", () => (form.dataset.written = ""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isBusy || !form.reportValidity()) return;
    isBusy = true;
    // a browser that keeps nothing sends it itself
    submit()
      .catch(() => form.submit())
      .finally(() => (isBusy = false));
  });
  // the service worker, or another page, may have sent what waits here
  TlNotes.news.addEventListener("message", async () => {
    await refresh().catch(() => null);
    await show();
  });
  addEventListener("online", send);
  document.addEventListener("visibilitychange", () => document.hidden || send());
  // a copy of the page that was kept has an old moment and an id that may be taken
  if (!form.querySelector(".is-invalid")) begin();
  show().then(send);
})();
