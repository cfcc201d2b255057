// The list of accounts: sorting, filtering, finding, leafing through. Everything else on the page stands without a script.
// Foreign texts become text nodes only, never markup, and trusted types are required so that this cannot change unnoticed.
"use strict";

// The values of a row, in the order in which tally.py writes them.
const [ID, NAME, PLAN, STATE, TASKS, PREVIOUS, INCLUDED, CHARGE, OBSERVED, LEVELS, REASON, PARENT, HISTORY] = Array(13).keys();
const DASH = "\u2013";
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

function make(name, className, ...children) {
  const found = document.createElement(name);
  if (className) found.className = className;
  found.append(...children);
  return found;
}

function drawing(className, box, ...parts) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("viewBox", box);
  svg.setAttribute("preserveAspectRatio", "none");
  // What it shows is said in words beside it, or in the details.
  svg.setAttribute("aria-hidden", "true");
  for (const [kind, d] of parts) {
    const path = document.createElementNS(SVG, "path");
    if (kind) path.setAttribute("class", kind);
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

// Numbers. Those beyond 2^53 arrive as texts; BigInt keeps them, and the tenths of a percentage, exact.
const count = (value) => BigInt(value).toLocaleString("en");
const counted = (value, thing) => `${count(value)} ${thing}${BigInt(value) === 1n ? "" : "s"}`;
const signed = (value) => (value > 0n ? "+" : "") + value.toLocaleString("en");
function percent(part, whole) {
  if (whole <= 0n) return DASH;
  const size = part < 0n ? -part : part;
  const tenths = (2000n * size + whole) / (2n * whole);
  return `${part < 0n && tenths ? "-" : ""}${(tenths / 10n).toLocaleString("en")}.${tenths % 10n}%`;
}
function change(row) {
  if (row[TASKS] == null || row[PREVIOUS] == null) return null;
  const now = BigInt(row[TASKS]), before = BigInt(row[PREVIOUS]);
  const part = percent(now - before, before);
  return [signed(now - before), now > before && before > 0n ? `+${part}` : part];
}
const over = (row) => row[INCLUDED] != null && row[TASKS] != null && Number(row[TASKS]) > Number(row[INCLUDED]);
const share = (row) => (row[INCLUDED] == null || row[TASKS] == null ? null
  : Number(row[INCLUDED]) ? Number(row[TASKS]) / Number(row[INCLUDED]) : Number(row[TASKS]) ? Infinity : null);
function money(text, currency) {
  const [whole, ...rest] = text.split(".");
  return [currency, [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...rest].join(".")].filter(Boolean).join(" ");
}
const moment = (minutes) => new Date(minutes * 60000).toISOString().slice(0, 16).replace("T", " ") + " UTC";

const STATES = { f: "final", p: "provisional", n: "no figure" };

function spark(levels) {
  let d = "";
  for (let i = 0; i < levels.length; i++) {
    if (levels[i] === "-") continue;
    // A month without tasks is a thin line, one that is not known is nothing.
    const height = levels[i] === "0" ? 0.5 : Number(levels[i]) * 2;
    d += `M${i * 6} 16v-${height}h5v${height}z`;
  }
  return drawing("spark", `0 0 ${levels.length * 6 - 1} 16`, ["", d]);
}

function gauge(row) {
  // Up to twice the allowance; what is more than that is as long, and is said in figures.
  const tasks = BigInt(row[TASKS]), included = BigInt(row[INCLUDED]);
  const length = (part) => (part <= 0n ? 0 : included ? Math.min(Number((part * 500n) / included), 500) / 10 : 50);
  const used = included ? length(tasks) : 50, past = length(tasks - included);
  return drawing("gauge", "0 0 100 10", ["track", "M0 0h50v10h-50z"], ["used", `M0 0h${used}v10h-${used}z`],
    ["past", `M50 0h${past}v10h-${past}z`]);
}

// The block of data: as it is, or deflated and in base64 when there is much of it.
async function read(block) {
  if (block.dataset.encoding !== "deflate") return JSON.parse(block.textContent);
  const text = block.textContent.trim();
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function start(data) {
  const rows = data.rows;
  const table = byId("account-list");
  const body = table.tBodies[0];
  const columns = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.column);
  const find = byId("find"), only = byId("only"), plan = byId("plan"), size = byId("page-size");
  const status = byId("status");
  let shown = Uint32Array.from(rows.keys());
  let page = 0;
  let sorted = { column: "tasks", descending: true };

  const cells = {
    name(row, cell) {
      const button = make("button", "more", ...who(row));
      button.type = "button";
      button.setAttribute("aria-expanded", "false");
      button.addEventListener("click", () => toggle(row, cell.parentNode, button));
      cell.append(button);
    },
    plan: (row, cell) => row[PLAN] == null ? cell.append(DASH) : cell.append(make("bdi", "plan", data.plans[row[PLAN]])),
    tasks: (row, cell) => cell.append(row[TASKS] == null ? DASH : count(row[TASKS])),
    change(row, cell) {
      const found = change(row);
      if (found) cell.append(found[0], make("span", "quiet", found[1]));
      else cell.append(DASH);
    },
    included: (row, cell) => cell.append(row[INCLUDED] == null ? DASH : count(row[INCLUDED])),
    used(row, cell) {
      const part = share(row);
      if (part == null) cell.append(DASH);
      else cell.append(percent(BigInt(row[TASKS]), BigInt(row[INCLUDED])), make("br"), gauge(row));
    },
    charge: (row, cell) => cell.append(row[CHARGE] == null ? DASH : money(row[CHARGE], data.currency)),
    trend: (row, cell) => cell.append(row[LEVELS] ? spark(row[LEVELS]) : DASH),
    state(row, cell) {
      cell.append(make("span", row[STATE][0] === "f" ? "tag" : "tag alert", STATES[row[STATE][0]]));
      if (row[STATE][1]) cell.append(" ", make("span", "tag", row[STATE][1] === "w" ? "new" : "gone"));
    },
  };

  function who(row) {
    const id = make("bdi", "id", row[ID]);
    return row[NAME] == null ? [make("bdi", "who", row[ID])] : [make("bdi", "who", row[NAME]), id];
  }

  function line(row) {
    const tr = make("tr", "");
    for (const column of columns) {
      const cell = make(column === "name" ? "th" : "td", `c-${column}`);
      if (column === "name") cell.scope = "row";
      if (["tasks", "change", "included", "used", "charge"].includes(column)) cell.classList.add("number");
      cells[column](row, cell);
      tr.append(cell);
    }
    return tr;
  }

  // Details.
  function toggle(row, tr, button) {
    if (button.getAttribute("aria-expanded") === "true") {
      tr.nextSibling.remove();
      button.setAttribute("aria-expanded", "false");
      return;
    }
    const cell = make("td", "");
    cell.colSpan = columns.length;
    const list = make("dl", "");
    const say = (term, value) => value && list.append(make("dt", "", term), make("dd", "", make("bdi", "", value)));
    say("Id", row[ID]);
    say("Name", row[NAME]);
    say("Belongs to", row[PARENT]);
    say("Plan", row[PLAN] == null ? null : data.plans[row[PLAN]]);
    say("State", STATES[row[STATE][0]] + ({ w: ", new", g: ", gone" }[row[STATE][1]] ?? ""));
    say("Tasks", row[TASKS] == null ? null : count(row[TASKS]));
    say("Period before", row[PREVIOUS] == null ? null : count(row[PREVIOUS]));
    say("Included", row[INCLUDED] == null ? null : count(row[INCLUDED]));
    say("Over", over(row) ? count(BigInt(row[TASKS]) - BigInt(row[INCLUDED])) : null);
    say("Charge", row[CHARGE] == null ? null : money(row[CHARGE], data.currency));
    say("Observed", row[OBSERVED] == null ? null : moment(row[OBSERVED]));
    if (row[REASON] != null) say(row[TASKS] == null ? "Why no figure" : "Not compared", data.reasons[row[REASON]].join(". "));
    cell.append(list);
    if (row[HISTORY]) cell.append(history(row[HISTORY]));
    tr.after(make("tr", "detail", cell));
    button.setAttribute("aria-expanded", "true");
  }

  function history(values) {
    const head = make("tr", ""), tasks = make("tr", "");
    head.append(...data.months.map((month) => Object.assign(make("th", "number", month), { scope: "col" })));
    tasks.append(...values.map((value) => make("td", "number", value == null ? DASH : count(value))));
    const found = make("table", "", make("caption", "", "Tasks by month"), make("thead", "", head), make("tbody", "", tasks));
    const wide = make("div", "wide", found);
    // What can be moved sideways has to be reached with the keyboard.
    wide.tabIndex = 0;
    wide.setAttribute("role", "group");
    wide.setAttribute("aria-label", "Tasks by month");
    return wide;
  }

  // Order. The keys of a column are made once, when somebody sorts by it.
  const number = (value) => (value == null ? NaN : Number(value));
  const keys = {
    name: () => ranks((row) => row[NAME] ?? row[ID]),
    plan: () => ranks((row) => (row[PLAN] == null ? null : data.plans[row[PLAN]])),
    tasks: () => rows.map((row) => number(row[TASKS])),
    change: () => rows.map((row) => number(row[TASKS]) - number(row[PREVIOUS])),
    included: () => rows.map((row) => number(row[INCLUDED])),
    used: () => rows.map((row) => share(row) ?? NaN),
    charge: () => rows.map((row) => number(row[CHARGE])),
    trend: () => rows.map((row) => (row[LEVELS] ? slope(row[LEVELS]) : NaN)),
    state: () => rows.map((row) => "npf".indexOf(row[STATE][0]) * 3 + "gw".indexOf(row[STATE][1] ?? " ")),
  };
  const made = {};

  // Texts are ordered as people do, "b9" before "b10" and "é" beside "e", by keys that compare as they are: a collator
  // takes more than a second for 100,000 names.
  function ranks(text) {
    const texts = rows.map(text).map((value) => value && plain(value).replace(/\d+/g, (digits) => digits.padStart(16, "0")));
    const rank = new Map([...new Set(texts)].sort().map((value, index) => [value, index]));
    return texts.map((value) => (value == null ? NaN : rank.get(value)));
  }

  // Of a trend: how far the later half of its months is above the earlier one, on its own scale.
  function slope(levels) {
    const sum = (part) => [...part].reduce((total, level) => total + (Number(level) || 0), 0) / part.length;
    const middle = levels.length >> 1;
    return sum(levels.slice(middle)) - (middle ? sum(levels.slice(0, middle)) : 0);
  }

  function order() {
    const key = (made[sorted.column] ??= Float64Array.from(keys[sorted.column]()));
    const sign = sorted.descending ? -1 : 1;
    // What has no value comes last, whichever way it is sorted; equal ones stay in the order of the file.
    shown.sort((a, b) => {
      const x = key[a], y = key[b];
      if (x !== x || y !== y) return (x !== x) - (y !== y) || a - b;
      return sign * (x - y) || a - b;
    });
  }

  // Finding. Case and accents do not count; every word has to occur in the name, the id or the parent.
  const plain = (text) => (/^[\x20-\x7e]*$/.test(text) ? text : text.normalize("NFKD").replace(/\p{M}/gu, "")).toLowerCase();
  let texts = null;
  const TESTS = {
    all: () => true,
    over: over,
    near: (row) => !over(row) && share(row) >= 0.8,
    rose: (row) => row[PREVIOUS] != null && Number(row[TASKS]) > Number(row[PREVIOUS]),
    fell: (row) => row[TASKS] != null && row[PREVIOUS] != null && Number(row[TASKS]) < Number(row[PREVIOUS]),
    new: (row) => row[STATE][1] === "w",
    gone: (row) => row[STATE][1] === "g",
    none: (row) => row[STATE][0] === "n",
    provisional: (row) => row[STATE][0] === "p",
    uncompared: (row) => row[TASKS] != null && row[REASON] != null,
  };

  function select() {
    const words = plain(find.value).split(/\s+/).filter(Boolean);
    if (words.length) texts ??= rows.map((row) => plain(`${row[NAME] ?? ""}\n${row[ID]}\n${row[PARENT] ?? ""}`));
    const test = TESTS[only.value];
    const wanted = plan && plan.value !== "" ? Number(plan.value) : null;
    const found = [];
    for (let i = 0; i < rows.length; i++) {
      if (wanted !== null && rows[i][PLAN] !== wanted) continue;
      if (test(rows[i]) && words.every((word) => texts[i].includes(word))) found.push(i);
    }
    shown = Uint32Array.from(found);
    order();
    page = 0;
    show();
  }

  function show() {
    const length = Number(size.value);
    const pages = Math.max(1, Math.ceil(shown.length / length));
    page = Math.min(page, pages - 1);
    const first = page * length;
    const part = shown.subarray(first, first + length);
    const lines = make("tbody", "");
    for (const index of part) lines.append(line(rows[index]));
    if (!part.length) {
      const cell = make("td", "nothing", "No account matches. Change the search or the filter.");
      cell.colSpan = columns.length;
      lines.append(make("tr", "", cell));
    }
    body.replaceChildren(...lines.childNodes);
    let tasks = 0n;
    for (const index of shown) if (rows[index][TASKS] != null) tasks += BigInt(rows[index][TASKS]);
    const range = part.length ? `${count(first + 1)} to ${count(first + part.length)} of ` : "";
    status.textContent = `${range}${counted(shown.length, "account")}, ${counted(tasks, "task")}`;
    // Not disabled: the button that led to the last page would lose the focus there.
    for (const id of ["first", "back"]) byId(id).setAttribute("aria-disabled", String(page === 0));
    for (const id of ["next", "last"]) byId(id).setAttribute("aria-disabled", String(page >= pages - 1));
    for (const cell of table.tHead.rows[0].cells) {
      if (cell.dataset.column !== sorted.column) cell.removeAttribute("aria-sort");
      else cell.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
    }
  }

  for (const cell of table.tHead.rows[0].cells) {
    const column = cell.dataset.column;
    const button = make("button", "", ...cell.childNodes);
    button.type = "button";
    button.addEventListener("click", () => {
      // Texts begin at A, figures at the largest; a second click turns it round.
      const descending = column !== "name" && column !== "plan" && column !== "state";
      sorted = { column, descending: sorted.column === column ? !sorted.descending : descending };
      order();
      page = 0;
      show();
    });
    cell.replaceChildren(button);
  }
  find.addEventListener("input", select);
  for (const field of [only, plan, size]) field?.addEventListener("change", field === size ? () => { page = 0; show(); } : select);
  const leaf = { first: () => 0, back: () => page - 1, next: () => page + 1, last: () => Infinity };
  for (const [id, to] of Object.entries(leaf)) {
    byId(id).addEventListener("click", () => {
      if (byId(id).getAttribute("aria-disabled") === "true") return;
      page = to();
      show();
      table.scrollIntoView({ block: "start" });
    });
  }
  for (const part of document.querySelectorAll("[data-needs-script]")) part.hidden = false;
  byId("static-note").hidden = true;
  // After a reload, browsers put back what was chosen before.
  if (find.value || only.value !== "all" || plan?.value) select();
  else show();
  // Tests and other scripts can tell that the list is ready.
  document.documentElement.dataset.ready = "true";
}

read(byId("data")).then(start).catch((error) => {
  const note = byId("static-note");
  note.textContent = "This browser cannot show the whole list: only the largest accounts are below. A browser of 2023 or later can.";
  note.hidden = false;
  console.error(error);
});
