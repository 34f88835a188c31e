// The pages of datasette-embed, made livelier. Without this file they do the same by buttons and reloading.

const POLL_MS = 1000;
const TYPING_MS = 300;

/* The form: the preview follows what is chosen. */

function followForm(form) {
  const part = (name) => form.querySelector(`[data-embed="${name}"]`);
  let timer, running;

  function address() {
    const fields = new FormData(form);
    const query = new URLSearchParams();
    const names = ["columns", "template", "model", "chunking", "chunk_size", "chunk_unit", "chunk_overlap", "anew"];
    for (const name of names) {
      for (const value of fields.getAll(name)) query.append(name, value);
    }
    return `${form.dataset.json}?${query}`;
  }

  function fill(name, text) {
    part(name).textContent = text || "";
    part(name).hidden = !text;
  }

  function showPreview(preview, problem) {
    fill("amount", preview && preview.amount);
    fill("estimate", preview && preview.estimate && preview.estimate.text);
    fill("chunks", preview && preview.chunks && preview.chunks.text);
    fill("warning", preview && preview.warning);
    fill("problem", problem);
    part("preview").hidden = false;
    const first = preview && preview.first;
    part("first").textContent = first ? first + (preview.first_is_whole ? "" : "…") : "";
    part("figure").hidden = !first;
  }

  async function refresh() {
    if (running) running.abort();
    running = new AbortController();
    try {
      const response = await fetch(address(), { signal: running.signal });
      const data = await response.json();
      showPreview(data.ok ? data.preview : null, data.ok ? data.problem : data.error);
    } catch (error) {
      if (error.name !== "AbortError") showPreview(null, "The preview could not be loaded");
    }
  }

  form.addEventListener("input", (event) => {
    if (["collection", "max_rows", "max_cost"].includes(event.target.name)) return;
    clearTimeout(timer);
    timer = setTimeout(refresh, event.target.matches("textarea, [type=text]") ? TYPING_MS : 0);
  });
  part("preview-button").hidden = true;
}

/* A collection: progress without reloading, and buttons that leave the page where it is. */

function followCollection(root) {
  const url = root.dataset.embedCollection;
  const part = (name) => root.querySelector(`[data-embed="${name}"]`);
  // Changes that wait are about to be dealt with, unless somebody has stopped that.
  const isWaiting = () => root.dataset.status === "finished" && root.dataset.waiting !== "0";
  const isActive = () => ["pending", "running"].includes(root.dataset.status) || isWaiting();
  let timer, renewals = 0;

  function showError(message) {
    part("error").textContent = message || "";
    part("error").hidden = !message;
  }

  function showProgress({ job, rows, exact, waiting, following }) {
    root.dataset.waiting = waiting ? waiting.rows : 0;
    if (part("following")) part("following").textContent = `${following}.`;
    part("progress").textContent = job.progress;
    if (part("spent")) part("spent").textContent = job.spent;
    const bar = part("bar");
    if (bar && job.rows_total !== null) {
      bar.max = job.rows_total || 1;
      bar.value = job.rows_done;
    }
    for (const [name, count] of Object.entries(rows || {})) {
      const cell = part(`rows-${name}`);
      if (cell) cell.textContent = count.toLocaleString("en");
    }
    if (part("inexact")) part("inexact").hidden = exact || job.active;
  }

  // Every part as the server now renders it: what changes with a status is worded in one place only.
  async function renew() {
    const mine = ++renewals;
    const response = await fetch(url + location.search);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    if (mine !== renewals) return; // a later one knows more
    const found = fresh.querySelector("[data-embed-collection]");
    if (!found) return showError("This collection cannot be shown any more");
    const focused = root.contains(document.activeElement) && document.activeElement.closest("[data-embed-actions]");
    for (const old of root.querySelectorAll("[data-embed-part]")) {
      const now = found.querySelector(`[data-embed-part="${old.dataset.embedPart}"]`);
      if (now && now.innerHTML !== old.innerHTML) old.innerHTML = now.innerHTML;
    }
    document.title = fresh.title;
    Object.assign(root.dataset, found.dataset);
    if (focused) root.querySelector("[data-embed-actions] button")?.focus();
  }

  function changed({ job, collection }) {
    const { status, id, failed, reason } = job;
    const now = { status, job: id, failed, reason, dimensions: collection.dimensions };
    return Object.entries(now).some(([name, value]) => String(value ?? "") !== root.dataset[name]);
  }

  async function poll() {
    try {
      const response = await fetch(`${url}.json`);
      const data = await response.json();
      if (!data.ok) return showError(data.error);
      showError("");
      if (!data.job) return;
      showProgress(data);
      if (changed(data)) await renew();
    } catch {
      showError("The server does not answer; trying again");
    }
    if (isActive()) later();
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(poll, POLL_MS);
  }

  // An empty field lifts its limit; what is no number is sent as it is, for the server to refuse.
  function limits(form) {
    const fields = [...form.querySelectorAll("[data-embed-limit]")];
    const number = (text) => (text && !isNaN(text) ? Number(text) : text || null);
    return Object.fromEntries(fields.map((field) => [field.name, number(field.value.trim())]));
  }

  async function act(action, button) {
    button.disabled = true;
    try {
      const response = await fetch(`${url}.json`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ action, ...(action === "resume" && limits(button.form)) }),
      });
      const data = await response.json();
      await renew();
      showError(data.ok ? "" : data.error);
    } catch {
      showError("The server does not answer");
    }
    button.disabled = false;
    later(); // the worker may begin a job in a moment
  }

  root.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || !button.closest("[data-embed-actions]") || button.value === "delete") return; // delete asks first
    event.preventDefault();
    act(button.value, button);
  });
  document.addEventListener("visibilitychange", () => document.hidden || poll());
  if (isActive()) later();
}

document.querySelectorAll("[data-embed-form]").forEach(followForm);
document.querySelectorAll("[data-embed-collection]").forEach(followCollection);
