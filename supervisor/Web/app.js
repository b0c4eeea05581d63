'use strict';

const $ = id => document.getElementById(id);
const samples = 90; // of a sparkline, one every two seconds
const shown = 300; // entries of the timeline
const maxLines = 2000;

let last = null; // the sample before this one
const series = new Map();
let streams = null; // what ends when the page is locked

// --- talking to the device -------------------------------------------------------------------------------------------

class Locked extends Error {}

async function call(method, path, options = {}) {
  const answer = await fetch(path, { method, ...options });
  if (answer.status === 401) throw new Locked(await answer.text());
  return answer;
}

async function act(method, path, done) {
  try {
    const answer = await call(method, path);
    toast(answer.ok ? done : (await answer.text()).trim());
  } catch (error) { failed(error); }
  refresh();
}

function failed(error) {
  if (error instanceof Locked) lock();
  else link('bad', 'no answer');
}

function toast(text) {
  $('toast').textContent = text;
  $('toast').classList.add('shown');
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => $('toast').classList.remove('shown'), 3500);
}

function link(kind, text) {
  $('link').className = 'chip ' + kind;
  $('link').textContent = text;
}

// --- small parts -----------------------------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else element[name] = value;
  element.append(...children.filter(c => c !== null && c !== undefined));
  return element;
}

const bytes = n => {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (n < 1024 || unit === 'TiB') return (n < 10 && unit !== 'B' ? n.toFixed(1) : Math.round(n)) + ' ' + unit;
    n /= 1024;
  }
};
const percent = n => (n < 10 ? n.toFixed(1) : Math.round(n)) + ' %';
const time = text => { const t = new Date(text); return isNaN(t) ? '' : t.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false }); };

function span(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const at = parts.findIndex(([size]) => seconds >= size);
  if (at < 0) return '0 s';
  const [size, unit] = parts[at];
  const rest = parts[at + 1];
  const more = rest ? Math.floor((seconds % size) / rest[0]) : 0;
  return Math.floor(seconds / size) + ' ' + unit + (more && at < 2 ? ' ' + more + ' ' + rest[1] : '');
}

// A value's last minutes. One fixed scale when there is a natural one (percent), else as high as the highest.
function push(name, value) {
  const values = series.get(name) ?? [];
  values.push(value);
  if (values.length > samples) values.shift();
  series.set(name, values);
}

function spark(name, top = 0) {
  const values = series.get(name) ?? [];
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', `0 0 ${samples - 1} 20`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  if (values.length < 2) return svg;
  const high = Math.max(top, ...values) || 1;
  const points = values.map((v, i) => `${samples - values.length + i} ${(19 - 18 * v / high).toFixed(2)}`);
  for (const [kind, d] of [['area', `M${samples - values.length} 20L${points.join('L')}L${samples - 1} 20Z`], ['line', 'M' + points.join('L')]]) {
    const path = document.createElementNS(svg.namespaceURI, 'path');
    path.setAttribute('class', kind);
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

// --- the host --------------------------------------------------------------------------------------------------------

function tile(title, value, detail, picture) {
  return make('div', { class: 'tile' }, make('span', { class: 'quiet' }, title), make('b', {}, value), make('span', { class: 'quiet', title: detail }, detail), picture);
}

function bar(used, total) {
  return make('progress', { max: 100, value: 100 * used / total, class: used / total > .9 ? 'full' : '' });
}

function rate(now, before, seconds) { return Math.max(0, (now - before) / seconds); }

function take(sample) {
  const host = sample.host;
  const seconds = last ? host.seconds - last.host.seconds : 0;
  if (seconds > 0) {
    push('cpu', Math.min(100, 100 * rate(host.cpuSeconds, last.host.cpuSeconds, seconds) / host.processors));
    push('memory', 100 * host.memoryUsed / host.memoryTotal);
    const sum = (s, key) => s.host.networks.reduce((n, i) => n + i[key], 0);
    push('network', rate(sum(sample, 'received') + sum(sample, 'sent'), sum(last, 'received') + sum(last, 'sent'), seconds));
    for (const service of sample.services) {
      const before = last.services.find(s => s.container === service.container);
      if (!before || !service.up || !before.up) continue;
      push(service.container + ' cpu', 100 * rate(service.cpuSeconds, before.cpuSeconds, seconds));
      push(service.container + ' memory', service.memory);
      push(service.container + ' network', rate(service.received + service.sent, before.received + before.sent, seconds));
    }
  }
  last = sample;

  const now = name => series.get(name)?.at(-1) ?? 0;
  const tiles = [
    tile('Processor', percent(now('cpu')), `${host.processors} ${host.processors === 1 ? 'core' : 'cores'}, load ${host.load.toFixed(2)}`, spark('cpu', 100)),
    tile('Memory', bytes(host.memoryUsed), `of ${bytes(host.memoryTotal)}`, spark('memory', 100)),
    tile('Network', bytes(now('network')) + '/s', host.networks.map(n => n.name).join(', ') || 'no interface', spark('network')),
  ];
  const disk = host.disks.find(d => d.name === 'data');
  if (disk) tiles.push(tile('Disk', bytes(disk.total - disk.used) + ' free', `of ${bytes(disk.total)} for apps and data`, bar(disk.used, disk.total)));
  if (host.temperatures.length) {
    const hottest = host.temperatures.reduce((a, b) => a.celsius > b.celsius ? a : b);
    push('temperature', hottest.celsius);
    tiles.push(tile('Temperature', hottest.celsius.toFixed(1) + ' °C', hottest.name, spark('temperature', 90)));
  }
  tiles.push(tile('Up for', span(host.seconds), `supervisor ${bytes(sample.supervisorMemory)}`));
  $('tiles').replaceChildren(...tiles);
  for (const service of document.querySelectorAll('.service')) meters(service);
}

function meters(element) {
  const container = element.dataset.container;
  const now = name => series.get(`${container} ${name}`)?.at(-1);
  if (now('cpu') === undefined) return;
  element.querySelector('.meters').replaceChildren(
    make('div', { class: 'meter' }, make('span', {}, 'CPU '), percent(now('cpu')), spark(container + ' cpu', 5)),
    make('div', { class: 'meter' }, make('span', {}, 'Memory '), bytes(now('memory')), spark(container + ' memory')),
    make('div', { class: 'meter' }, make('span', {}, 'Net '), bytes(now('network')) + '/s', spark(container + ' network', 1024)));
}

// --- services --------------------------------------------------------------------------------------------------------

function condition(s) {
  if (s.held && s.state !== 'running') return ['', 'stopped by hand'];
  if (s.state === 'running') return s.health === 'unhealthy' ? ['bad', 'unhealthy'] : s.health === 'starting' ? ['warn', 'starting'] : ['good', s.health || 'running'];
  if (s.state === 'exited') return s.exitCode === 0 ? ['', 'finished'] : ['bad', `exited with ${s.exitCode}`];
  return [s.state === 'missing' || s.state === 'created' ? 'warn' : 'bad', s.state];
}

// "0.0.0.0:8080:80/tcp" → 8080; a range or a fixed address is shown as it is.
function port(text) {
  const match = /^(?:(?:0\.0\.0\.0|\[::\]|)\:)?(\d+)[:→>-]+\d+(?:\/tcp)?$/.exec(text.replaceAll(' ', ''));
  return match ? make('a', { class: 'port', href: `http://${location.hostname}:${match[1]}/`, target: '_blank', rel: 'noopener' }, ':' + match[1]) : make('span', { class: 'quiet' }, text);
}

const age = s => s.state === 'missing' ? 'no container yet' : s.state === 'running' ? `for ${span(s.seconds)}` : `${span(s.seconds)} ago`;

function service(s) {
  const path = encodeURIComponent(s.app) + '/' + encodeURIComponent(s.name);
  const [kind, words] = condition(s);
  const running = s.state === 'running';
  const element = make('div', { class: 'service' },
    make('div', { class: 'who' },
      make('div', {}, make('h3', {}, s.name), make('span', { class: 'chip ' + kind }, words), s.starts > 1 ? make('span', { class: 'chip warn' }, `started ${s.starts} times`) : null, ...s.ports.map(port)),
      make('div', { class: 'image mono' }, s.image),
      make('p', { class: 'quiet age' }, age(s))),
    make('div', { class: 'meters' }),
    make('div', { class: 'acts' },
      make('button', { onclick: e => why(e.target.closest('.service'), path) }, 'Why?'),
      make('button', { onclick: () => follow(s.app + '/' + s.name) }, 'Logs'),
      make('button', { disabled: !running, onclick: () => act('POST', `v1/services/${path}/restart`, `${s.name} restarts`) }, 'Restart'),
      s.held ? make('button', { onclick: () => act('POST', `v1/services/${path}/start`, `${s.name} starts`) }, 'Start')
        : make('button', { onclick: () => act('POST', `v1/services/${path}/stop`, `${s.name} stops and stays stopped`) }, 'Stop')));
  element.dataset.name = s.name;
  element.dataset.container = s.container;
  element.dataset.state = s.state;
  meters(element);
  return element;
}

async function why(element, path) {
  const open = element.querySelector('.why');
  if (open) return open.remove();
  try {
    const answer = await call('GET', 'v1/why/' + path);
    if (!answer.ok) return toast((await answer.text()).trim());
    const report = await answer.json();
    element.append(make('div', { class: 'why' }, make('b', {}, report.now),
      ...report.plan.map(s => make('div', {}, `Now: ${s.what}, because ${s.cause}.`)),
      ...report.history.slice(-8).reverse().map(s => make('div', {}, make('time', { class: 'quiet' }, s.at.replace('Z', ' ')), `${s.what}: `, make('span', { class: 'quiet' }, s.cause), s.outcome === 'done' ? '' : ` → ${s.outcome}`))));
  } catch (error) { failed(error); }
}

function release(r, services) {
  const kind = { good: 'good', bad: 'bad' }[r.state] ?? 'warn';
  const words = { good: 'good', bad: 'rolled back', 'on trial': 'on trial' }[r.state] ?? r.state;
  return make('div', { class: 'app' },
    make('div', { class: 'bar' }, make('h3', {}, r.app), make('span', { class: 'quiet mono', title: 'what this release runs' }, r.commit || r.fingerprint), make('span', { class: 'chip ' + kind }, words), make('span', { class: 'gap' }),
      r.state === 'on trial' ? make('button', { onclick: () => act('POST', `v1/rollback/${encodeURIComponent(r.app)}`, 'Going back to the last good release') }, 'Roll back') : null,
      r.state === 'bad' ? make('button', { onclick: () => act('POST', `v1/retry/${encodeURIComponent(r.app)}`, 'The release has another chance') }, 'Try again') : null),
    r.reason ? make('p', { class: 'bad' }, `${r.reason}; the last good release runs`) : null,
    ...services.map(service));
}

// What is done about the host now; null when nothing is.
function hostUpdate(update) {
  switch (update?.state) {
    case 'waiting': case 'written': return `host ${update.wanted}: ${update.doing ?? 'is being fetched'}`;
    case 'on trial': return `host ${update.trial} is on trial`;
    default: return null;
  }
}

function show(report) {
  const host = report.host ?? {};
  document.title = (host.hostName ?? report.name) + ' · OsBuild';
  $('name').textContent = host.hostName ?? report.name;
  $('facts').textContent = [host.board, host.slot ? 'slot ' + host.slot : null, report.addresses.join(', '), report.engine.up ? 'engine ' + report.engine.version : 'the engine does not answer'].filter(Boolean).join(' · ');
  $('version').textContent = `OsBuild supervisor ${report.version}` + (host.lastShutdown ? ` · last shutdown: ${host.lastShutdown}` : '');
  $('waiting').textContent = hostUpdate(report.hostUpdate) ?? (report.waiting.length ? 'waiting for ' + report.waiting[0] : Object.entries(report.downloads).map(([image, text]) => `${image}: ${text}`).join(' · '));
  const problems = Object.entries(report.problems).map(([part, text]) => `${part}: ${text}`);
  if (report.hostUpdate?.state === 'bad') problems.push(`${report.hostUpdate.bad.at(-1)}; the host before it runs`);
  $('problems').replaceChildren(...problems.map(text => make('p', { class: 'bad' }, text)));
  // What is the same stays as it is: a button must not vanish under the finger.
  const now = JSON.stringify([report.releases, report.services.map(s => ({ ...s, seconds: 0 }))]);
  if (now !== show.before) {
    show.before = now;
    const open = [...document.querySelectorAll('.service:has(.why)')].map(e => [e.dataset.name, e.querySelector('.why')]);
    $('apps').replaceChildren(...(report.releases.length ? report.releases.map(r => release(r, report.services.filter(s => s.app === r.app)))
      : [make('p', { class: 'empty' }, 'Nothing runs yet. Apply a compose file, or run "supervisor push" on your own machine.')]));
    for (const [name, element] of open) document.querySelector(`.service[data-name="${CSS.escape(name)}"]`)?.append(element);
  } else {
    for (const s of report.services) for (const element of document.querySelectorAll('.service')) if (element.dataset.container === s.container && element.dataset.name === s.name) element.querySelector('.age').textContent = age(s);
  }
  const names = ['', ...new Set(report.services.map(s => s.app + '/' + s.name))];
  if ([...$('log-service').options].map(o => o.value).join() !== names.join()) {
    const chosen = $('log-service').value;
    $('log-service').replaceChildren(...names.map(n => make('option', { value: n }, n ? n.split('/')[1] : 'All services')));
    $('log-service').value = names.includes(chosen) ? chosen : '';
  }
}

// --- what happened ---------------------------------------------------------------------------------------------------

function entry(e) {
  const good = /as good$/.test(e.what) || e.outcome === 'good';
  const bad = / as bad/.test(e.what) || (e.outcome && !['done', 'given up', 'begun', 'good'].includes(e.outcome));
  return make('li', { class: bad ? 'bad' : good ? 'good' : e.kind === 'service' ? '' : 'step' },
    make('time', { dateTime: e.at, title: e.at }, time(e.at.replace(' ', 'T'))), ' ', e.what,
    e.cause ? make('div', { class: 'cause' }, e.cause) : null,
    e.outcome && e.outcome !== 'done' ? make('div', { class: bad ? 'bad' : 'cause' }, e.outcome) : null);
}

async function happened() {
  const answer = await call('GET', 'v1/history?last=100');
  $('timeline').replaceChildren(...(await answer.json()).history.reverse().map(entry));
}

function listen(signal) {
  const source = new EventSource('v1/events');
  signal.addEventListener('abort', () => source.close());
  const arrived = message => {
    $('timeline').prepend(entry(JSON.parse(message.data)));
    while ($('timeline').children.length > shown) $('timeline').lastChild.remove();
    refresh();
  };
  source.addEventListener('step', arrived);
  source.addEventListener('service', arrived);
  source.onopen = () => { link('good', 'live'); happened().catch(failed); refresh(); };
  source.onerror = () => link('bad', 'no answer');
}

// Many events come at once; one look is enough for all of them.
function refresh() {
  clearTimeout(refresh.timer);
  refresh.timer = setTimeout(async () => {
    try { show(await (await call('GET', 'v1/status')).json()); } catch (error) { failed(error); }
  }, 150);
}

// --- logs ------------------------------------------------------------------------------------------------------------

function follow(name) {
  $('log-service').value = name;
  logs();
  $('log').scrollIntoView({ behavior: 'smooth', block: 'center' });
}

function line(text, named) {
  const at = text.indexOf(' ');
  const stamp = at > 19 && text[10] === 'T' ? text.slice(0, at) : '';
  let rest = stamp ? text.slice(at + 1) : text;
  const bar = named ? rest.indexOf(' | ') : -1;
  const element = make('div', {}, make('time', {}, stamp ? time(stamp) : ''), bar > 0 ? make('b', {}, rest.slice(0, bar)) : null, bar > 0 ? rest.slice(bar + 3) : rest);
  element.hidden = !matches(element);
  return element;
}

const matches = element => element.textContent.toLowerCase().includes($('log-filter').value.toLowerCase());

async function logs() {
  logs.stop?.abort();
  const stop = logs.stop = new AbortController();
  const name = $('log-service').value;
  const log = $('log');
  log.replaceChildren();
  $('log-end').hidden = true;
  try {
    while (!stop.signal.aborted) {
      const answer = await call('GET', `v1/logs${name ? '/' + name.split('/').map(encodeURIComponent).join('/') : ''}?follow=1&times=1&tail=200`, { signal: stop.signal });
      if (!answer.ok) { log.replaceChildren(make('div', {}, (await answer.text()).trim())); return; }
      log.replaceChildren();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let left = ''; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        const lines = (left + value).split('\n');
        left = lines.pop();
        const end = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
        log.append(...lines.map(l => line(l, !name)));
        while (log.children.length > maxLines) log.firstChild.remove();
        if (end) log.scrollTop = log.scrollHeight;
        else $('log-end').hidden = false;
      }
      await new Promise(next => setTimeout(next, 1000));
    }
  } catch (error) { if (!stop.signal.aborted) { failed(error); setTimeout(() => stop === logs.stop && streams && logs(), 3000); } }
}

// --- a compose file --------------------------------------------------------------------------------------------------

async function apply(event) {
  event.preventDefault();
  try {
    const answer = await call('POST', 'v1/compose', { body: $('compose').value });
    const remarks = (await answer.json()).errors;
    $('remarks').hidden = !remarks.length;
    $('remarks').textContent = remarks.join('\n');
    if (!answer.ok) return;
    toast('Accepted');
    $('apply').hidden = remarks.length === 0;
  } catch (error) { failed(error); }
  refresh();
}

// --- locked and open -------------------------------------------------------------------------------------------------

function lock() {
  streams?.abort();
  logs.stop?.abort();
  streams = null;
  $('device').hidden = true;
  $('login').hidden = false;
  $('key').focus();
}

async function unlock() {
  const report = await (await call('GET', 'v1/status')).json();
  $('login').hidden = true;
  $('device').hidden = false;
  streams = new AbortController();
  show(report);
  listen(streams.signal);
  logs();
  const { signal } = streams;
  while (!signal.aborted) {
    try {
      if (!document.hidden) take(await (await call('GET', 'v1/metrics')).json());
    } catch (error) { failed(error); }
    await new Promise(next => setTimeout(next, 2000));
  }
}

$('login-form').addEventListener('submit', async event => {
  event.preventDefault();
  $('login-error').textContent = '';
  try {
    const answer = await fetch('v1/login', { method: 'POST', headers: { Authorization: 'Bearer ' + $('key').value.trim() } });
    if (!answer.ok) { $('login-error').textContent = (await answer.text()).trim(); return; }
    $('key').value = '';
    await unlock();
  } catch { $('login-error').textContent = 'The device does not answer.'; }
});
$('logout').addEventListener('click', async () => { await fetch('v1/logout', { method: 'POST' }); lock(); });
$('open-apply').addEventListener('click', () => { $('apply').hidden = false; $('compose').focus(); });
$('close-apply').addEventListener('click', () => { $('apply').hidden = true; });
$('compose-file').addEventListener('change', async event => { if (event.target.files[0]) $('compose').value = await event.target.files[0].text(); });
$('apply').addEventListener('submit', apply);
$('log-service').addEventListener('change', logs);
$('log-filter').addEventListener('input', () => { for (const element of $('log').children) element.hidden = !matches(element); });
$('log').addEventListener('scroll', () => { if ($('log').scrollHeight - $('log').scrollTop - $('log').clientHeight < 40) $('log-end').hidden = true; });
$('log-end').addEventListener('click', () => { $('log').scrollTop = $('log').scrollHeight; });
unlock().catch(error => { lock(); if (!(error instanceof Locked)) $('login-error').textContent = 'The device does not answer.'; });
