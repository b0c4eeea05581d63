"use strict";

const $ = id => document.getElementById(id);
const state = { image: null, drives: [], chosen: new Set(), job: null, seenJob: false };

// ---- small things

function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter(c => c !== null));
  return element;
}

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit++; }
  return `${bytes >= 100 || unit === 0 ? Math.round(bytes) : bytes.toFixed(1).replace(/\.0$/, "")} ${units[unit]}`;
}

function say(id, text) {
  $(id).textContent = text ?? "";
  $(id).hidden = !text;
}

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Error("The flasher does not answer: it has ended. Start flasher ui again.");
  }
  const text = await answer.text();
  if (answer.ok) return answer.status === 200 ? JSON.parse(text) : null;
  let message = text.trim();
  try { message = JSON.parse(text).error; } catch { /* plain text */ }
  throw new Error(message);
}

// ---- image

async function useImage(request) {
  say("image-error");
  try {
    state.image = await request;
    $("path").value = state.image.path;
    if ($("files").open) $("files").close();
  } catch (e) {
    state.image = null;
    say("image-error", e.message);
  }
  showImage();
  showDrives();
}

function showImage() {
  const image = state.image;
  $("pick").hidden = !!image;
  $("image").hidden = !image;
  if (!image) return;
  $("image-name").textContent = image.name;
  $("image-facts").textContent = [image.size === null ? null : size(image.size), ...image.about].filter(Boolean).join(" · ");
}

async function browse(path) {
  say("files-error");
  try {
    const folder = await ask(`files?path=${encodeURIComponent(path)}${$("all").checked ? "&all" : ""}`);
    state.folder = folder.path;
    $("where").textContent = folder.path;
    $("places").replaceChildren(...folder.places.map(p => make("button", { type: "button", onclick: () => browse(p.path) }, p.name)));
    const up = folder.parent ? [make("button", { type: "button", onclick: () => browse(folder.parent) }, make("span", { className: "folder" }, ".."))] : [];
    const rows = folder.entries.map(e => e.folder
      ? make("button", { type: "button", onclick: () => browse(e.path) }, make("span", { className: "folder" }, e.name))
      : make("button", { type: "button", onclick: () => useImage(ask("image", { path: e.path })) }, make("span", {}, e.name), make("span", { className: "size" }, size(e.size))));
    $("entries").replaceChildren(...up, ...rows);
    if (rows.length === 0) $("entries").append(make("p", { className: "empty" }, "\u00a0 No images here."));
  } catch (e) {
    say("files-error", e.message);
  }
}

function openFiles() {
  $("files").showModal();
  browse(state.folder ?? "");
}

// ---- drives

function refusal(drive) {
  if (drive.refusal) return drive.refusal;
  return state.image && state.image.size !== null && state.image.size > drive.size ? `too small: the image has ${size(state.image.size)}` : null;
}

function showDrives() {
  const fit = state.drives.filter(d => !refusal(d)), refused = state.drives.filter(refusal);
  for (const id of [...state.chosen]) if (!fit.some(d => d.id === id)) state.chosen.delete(id);
  sync($("drives"), fit, driveButton, d => JSON.stringify([d, state.chosen.has(d.id)]));
  sync($("refused-drives"), refused, refusedRow, d => JSON.stringify([d, refusal(d)]));
  $("no-drives").hidden = fit.length > 0;
  $("refused").hidden = refused.length === 0;
  showWrite();
}

// Only what changed is made anew: a click or a focus must not lose its element because another drive came.
function sync(box, drives, row, text) {
  const old = new Map([...box.children].map(e => [e.dataset.drive, e]));
  const rows = drives.map(d => {
    const there = old.get(d.id);
    if (there?.dataset.text === text(d)) return there;
    const made = row(d);
    Object.assign(made.dataset, { drive: d.id, text: text(d) });
    if (there && there === document.activeElement) requestAnimationFrame(() => made.focus());
    return made;
  });
  if (rows.length !== box.children.length || rows.some((r, i) => r !== box.children[i])) box.replaceChildren(...rows);
}

function refusedRow(drive) {
  return make("div", { className: "drive", "aria-disabled": "true" },
    make("span", { className: "what" }, driveTop(drive), make("span", { className: "sub" }, `${drive.device} · ${drive.transport}`), make("span", { className: "why" }, refusal(drive))));
}

function driveTop(drive) {
  return make("span", { className: "top" }, make("span", {}, drive.name), make("span", { className: "size" }, size(drive.size)));
}

function driveButton(drive) {
  const holds = drive.holds.length ? ` · holds ${drive.holds.join(", ")}` : "";
  return make("button", { type: "button", className: "drive", "aria-pressed": String(state.chosen.has(drive.id)), onclick: () => {
    state.chosen.has(drive.id) ? state.chosen.delete(drive.id) : state.chosen.add(drive.id);
    showDrives();
  } }, make("span", { className: "mark" }),
    make("span", { className: "what" }, driveTop(drive), make("span", { className: "sub" }, `${drive.device} · ${drive.transport}${holds}`),
      ...drive.warnings.map(w => make("span", { className: "warn" }, w))));
}

const chosenDrives = () => state.drives.filter(d => state.chosen.has(d.id));

// ---- write

function showWrite() {
  const drives = chosenDrives();
  $("write").disabled = !state.image || drives.length === 0;
  const label = drives.length > 1 ? `Write to ${drives.length} drives` : "Write";
  if ($("write").textContent !== label) $("write").textContent = label;
  $("lost").textContent = $("write").disabled ? (state.image ? "Choose a drive." : "Choose an image and a drive.")
    : `Everything on ${drives.map(d => `${d.name} (${d.device})`).join(", ")} will be overwritten.`;
}

function writeClicked() {
  say("write-error");
  const risky = chosenDrives().filter(d => d.warnings.length > 0 || d.holds.length > 0);
  if (risky.length === 0) return startWrite();
  $("sure-text").replaceChildren(...risky.flatMap(d => [
    make("p", { className: "name" }, `${d.name} (${d.device}, ${size(d.size)})`),
    ...[...d.warnings, ...(d.holds.length ? [`it holds ${d.holds.join(", ")}, which will be lost`] : [])].map(w => make("p", { className: "small" }, w))]));
  $("sure").showModal();
}

async function startWrite() {
  const settings = {};
  for (const field of document.querySelectorAll("[data-key]")) if (field.value.trim()) settings[field.dataset.key] = field.value.trim();
  try {
    state.seenJob = false;
    await ask("write", { image: state.image.path, drives: [...state.chosen], verify: $("verify").checked, eject: $("eject").checked, settings, configJson: $("config-json").value, compose: $("compose").value });
  } catch (e) {
    say("write-error", e.message);
  }
}

const steps = { prepare: "Prepare", write: "Write", verify: "Read back", repair: "Repair", finish: "Finish" };

function showJob() {
  const job = state.job, shown = job !== null && !state.seenJob;
  $("choose").hidden = shown;
  $("progress").hidden = !shown;
  if (!shown) return;
  const done = job.message === null && job.targets.some(t => t.result === "ok"), failed = job.message !== null || job.targets.some(t => t.result === "failed");
  $("job-title").textContent = !job.ended ? job.checked === null ? `Writing ${job.image}` : `Checking ${job.image} · ${Math.floor(100 * job.checked)} %` : !failed ? `${job.image} is written` : done ? `${job.image} was not written everywhere` : `${job.image} was not written`;
  say("job-error", job.message);
  if (job.message === null) syncTargets(job);
  else $("targets").replaceChildren();
  $("stop").hidden = job.ended;
  $("stop").textContent = job.targets.filter(t => !t.result).length > 1 ? "Stop all" : "Stop";
  $("again").hidden = !job.ended;
  document.title = job.ended ? "flasher" : `${Math.floor(100 * (job.targets[0]?.fraction ?? 0))} % · flasher`;
}

function syncTargets(job) {
  const box = $("targets");
  while (box.children.length > job.targets.length) box.lastChild.remove();
  job.targets.forEach((target, i) => {
    if (!box.children[i]) box.append(targetRow(i));
    showTarget(box.children[i], target, job.targets.length);
  });
}

function targetRow(i) {
  return make("div", { className: "target" },
    make("div", { className: "top" }, make("span", { className: "who" }), make("span", { className: "percent" }),
      make("button", { type: "button", className: "link stop-one", onclick: () => stop({ target: i }) }, "Stop")),
    make("div", { className: "bar" }, make("i")),
    make("div", { className: "steps" }), make("p", { className: "end-text", hidden: true }));
}

function showTarget(row, target, count) {
  const part = name => row.querySelector(name);
  row.className = `target ${target.result ?? ""}`;
  part(".who").textContent = target.name ? `${target.name} · ${target.device}` : target.device;
  part(".percent").textContent = target.result || target.fraction === null ? "" : `${Math.floor(100 * target.fraction)} %`;
  part(".stop-one").hidden = count < 2 || !!target.result;
  part(".stop-one").setAttribute("aria-label", `Stop writing to ${target.device}`);
  part(".bar").classList.toggle("busy", !target.result && (target.fraction === null || target.phase === "prepare" || target.phase === "finish"));
  part(".bar i").style.width = target.result ? "100%" : target.phase === "prepare" || target.phase === "finish" ? "" : `${100 * (target.fraction ?? 0)}%`;
  part(".steps").hidden = !!target.result;
  const shown = Object.entries(steps).filter(([name]) => name !== "repair" || target.phase === "repair" || target.rewritten > 0);
  const left = target.secondsLeft === null ? "" : ` · ${Math.floor(target.secondsLeft / 60)}:${String(target.secondsLeft % 60).padStart(2, "0")} left`;
  part(".steps").replaceChildren(...shown.map(([name, text]) => make("span", { className: name === target.phase ? "on" : "" }, text)),
    make("span", { className: "speed" }, target.bytesPerSecond > 0 ? `${size(target.bytesPerSecond)}/s${left}` : ""));
  part(".end-text").hidden = !target.result;
  part(".end-text").textContent = target.message ?? "";
}

const stop = what => ask("cancel", what).catch(e => say("job-error", e.message));

// ---- wiring

$("pick").onclick = openFiles;
$("change").onclick = openFiles;
$("files-close").onclick = () => $("files").close();
$("all").onchange = () => browse(state.folder ?? "");
$("use").onclick = () => useImage(ask("image", { path: $("path").value.trim() }));
$("path").onkeydown = e => { if (e.key === "Enter") $("use").click(); };
$("write").onclick = writeClicked;
$("sure-no").onclick = () => $("sure").close();
$("sure-yes").onclick = () => { $("sure").close(); startWrite(); };
$("stop").onclick = () => stop({});
$("again").onclick = () => { state.seenJob = true; state.chosen.clear(); showDrives(); showJob(); };

const card = $("image-card");
document.addEventListener("dragover", e => { e.preventDefault(); card.classList.add("over"); });
document.addEventListener("dragleave", e => { if (!e.relatedTarget) card.classList.remove("over"); });
document.addEventListener("drop", async e => {
  e.preventDefault();
  card.classList.remove("over");
  const file = e.dataTransfer.files[0];
  if (!file) return;
  // A small text dropped onto its field goes into the field; anything else is an image, of which a browser tells name and size only.
  if (e.target.id === "config-json" || e.target.id === "compose") e.target.value = await file.text();
  else useImage(ask("find", { name: file.name, size: file.size }));
});

const events = new EventSource("events");
events.addEventListener("drives", e => { state.drives = JSON.parse(e.data); $("link").hidden = true; showDrives(); });
events.addEventListener("job", e => { state.job = JSON.parse(e.data); showJob(); });
events.onerror = () => { $("link").hidden = false; };
events.onopen = () => { $("link").hidden = true; };
showImage();
showDrives();
