"use strict";
// The fit panel. Every rule was applied when the page was made: what stands in `data` are the plans of each machine, staircases over the
// context, and pools of blocks (archcalc/analysis/page.py says how they are written). Here they are multiplied, added and compared.

const ROW = { tp: 0, pp: 1, ep: 2, dp: 3, weights: 4, activation: 5, overhead: 6, sequences: 7, pools: 8, commands: 9, limit: 10, works: 11, fewer: 12 };

/** The value of a staircase at `n`. */
function at(stairs, n) {
  let run = stairs[0];
  for (const next of stairs) {
    if (next[0] > n) break;
    run = next;
  }
  const [first, value, width, step] = run;
  return width ? value + Math.floor((n - first) / width) * step : value;
}

/** The largest number up to `limit` that holds, 0 for none; `holds` is true up to some number and false beyond. */
function largest(holds, limit) {
  let low = 0;
  let high = limit + 1;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** The row of a placement with fewer sequences than by default, from what differs. */
function fewer(plans, [place, activation, overhead, commands, sequences, pools]) {
  const row = [...plans[place], sequences];
  row[ROW.activation] = activation;
  row[ROW.overhead] = overhead;
  row[ROW.commands] = commands;
  row[ROW.pools] = pools ?? row[ROW.pools];
  return row;
}

/** One placement at one context, for so many sequences on each of its replicas. Bytes are BigInt: many sequences exceed 2^53. */
function judge(fit, budget, row, dtype, context, concurrency) {
  const [blockBytes, nullBlocks, perBlock, groups, kvDtype] = fit.pools[fit.lists[row[ROW.pools]][dtype]];
  const dp = row[ROW.dp];
  const sequences = Math.ceil(concurrency / dp);
  const activation = at(fit.stairs[row[ROW.activation]], context);
  const overhead = at(fit.stairs[row[ROW.overhead]], context);
  const room = budget - row[ROW.weights] - activation - overhead;
  const blocks = groups.reduce((sum, g) => sum + at(fit.stairs[g], context), 0);
  const needed = blockBytes ? (BigInt(blocks) * BigInt(sequences) + BigInt(nullBlocks)) * BigInt(blockBytes) : 0n;
  let most = row[ROW.sequences];
  let tokens = context;
  if (blockBytes) {
    const held = Math.floor(Math.max(0, room) / blockBytes);
    most = held / blocks;
    tokens = perBlock === null ? Math.trunc(most * context) : Math.floor(held / groups.length) * perBlock;
  }
  const headroom = BigInt(room) - needed;
  return { row, sequences, activation, overhead, room, needed, headroom, fits: headroom >= 0n && !row[ROW.limit] && (!row[ROW.fewer] || sequences <= row[ROW.fewer]), most: most * dp, tokens: tokens * dp, kvDtype };
}

/** The most tokens a second of all sequences, by the bandwidth: each step reads the weights once, and every sequence's cache and state.
 * null where it is not known. */
function bound(fit, bandwidth, row, dtype, context, concurrency) {
  const place = fit.lists[row[ROW.works]][dtype];
  if (place < 0 || bandwidth === null) return null;
  const [weights, state, reads] = fit.works[place];
  const cache = reads.reduce((sum, [bytes, window, compress]) => sum + bytes * Math.min(context / compress, window ?? Infinity), 0) + state;
  const rate = (requests) => requests / ((weights + (requests / Math.min(row[ROW.pp], requests)) * cache) / bandwidth);
  const dp = row[ROW.dp];
  const each = Math.floor(concurrency / dp);
  const fuller = concurrency % dp;
  return fuller * rate(each + 1) + (each ? (dp - fuller) * rate(each) : 0);
}

/** What the page holds so far, out of the texts of its blocks: the plans of one device after the other. */
function assemble(opening, pieces) {
  const data = JSON.parse(opening);
  for (const piece of pieces) add(data, piece);
  return data;
}

function add(data, piece) {
  const { device, models } = JSON.parse(piece);
  models.forEach((made, i) => {
    if (!made) return;
    const { fit } = data.models[i];
    fit.machines[device] = made.machine;
    for (const list of ["stairs", "pools", "commands", "words", "lists", "works"]) fit[list].push(...made[list]);
  });
}

/** The plan with attention in replicas and whole experts spread over all GPUs, where it holds more than the best of those tried, or that
 * has stages within machines. */
function replicated(fit, tried, best, count, device) {
  if (!fit.copies || !best.fits) return best;
  const spread = ({ fits, row }) =>
    fits && row[ROW.fewer] === best.row[ROW.fewer] && row[ROW.dp] > 1 && row[ROW.pp] === 1 && row[ROW.ep] === Number(count);
  const found = tried.filter(spread);
  const machines = Math.ceil(Number(count) / device.each);
  const staged = machines > 1 && best.row[ROW.pp] > machines && found.length > 0;
  return found.reduce((a, b) => (b.most > a.most ? b : a), staged ? found[0] : best);
}

/** The plan that is best on a machine and what it was chosen from, or `{error}`; the arguments are those of `answer`. */
function chosen(data, model, deviceId, count, context, concurrency, dtype) {
  const fit = model.fit;
  if (fit.error) return { error: fit.error };
  const tokens = context ?? fit.context;
  if (tokens === null) return { error: "the config states no context: give one" };
  if (fit.context !== null && tokens > fit.context) {
    return { error: `a context of ${group(tokens)} tokens is beyond the model's ${group(fit.context)}` };
  }
  if (tokens > fit.limit) return { error: `this page goes up to ${group(fit.limit)} tokens` };
  const device = data.devices.find((d) => d.id === deviceId);
  const machine = fit.machines[deviceId];
  if (!machine) return { error: "its plans on this GPU are not here yet", waits: true };
  const here = machine.counts[count];
  const rows = [...here.plans, ...here.fewer.map((row) => fewer(here.plans, row))].filter((row) => fit.lists[row[ROW.pools]][dtype] >= 0);
  const most = Math.min(...rows.filter((row) => !row[ROW.fewer]).map((row) => row[ROW.sequences]));
  if (rows.length && concurrency > most) {
    return { error: `${data.engine} runs up to ${group(most)} sequences at once by default here: archcalc fit --concurrency plans for more` };
  }
  const tried = rows.map((row) => judge(fit, machine.budget, row, dtype, tokens, concurrency));
  if (!tried.length) return { error: here.errors[dtype] || "no placement is possible" };
  let best = tried.find((f) => f.fits) ?? tried.filter((f) => !f.row[ROW.fewer]).reduce((a, b) => (b.headroom > a.headroom ? b : a));
  best = replicated(fit, tried, best, count, device);
  let { budget } = machine;
  if (!best.fits && tried.every((f) => f.row[ROW.fewer] || f.room <= 0)) {
    // The engine's settings that leave more are chosen where its defaults leave nothing.
    for (const [share, plans, less] of here.settings) {
      const judged = [...plans, ...less.map((row) => fewer(plans, row))]
        .filter((row) => fit.lists[row[ROW.pools]][dtype] >= 0)
        .map((row) => judge(fit, share, row, dtype, tokens, concurrency));
      const found = judged.find((f) => f.fits);
      if (found) {
        best = replicated(fit, judged, found, count, device);
        budget = share;
        break;
      }
    }
  }
  return { best, budget, machine, device, here, tokens };
}

/** What `archcalc fit --format json` says, or `{error}`. `dtype` is a place in `data.dtypes`, `context` tokens or null for the model's own. */
function answer(data, model, deviceId, count, context, concurrency, dtype) {
  const found = chosen(data, model, deviceId, count, context, concurrency, dtype);
  if (found.error) return found;
  const { best, budget, machine, device, here, tokens } = found;
  const { fit } = model;
  const { row } = best;
  const limit = fit.context ?? tokens;
  const holds = (n) => {
    const f = judge(fit, budget, row, dtype, n, concurrency);
    // Of a placement that does not start it is what the memory would hold.
    return f.needed <= BigInt(f.room) && (!row[ROW.limit] || best.headroom >= 0);
  };
  return {
    fits: best.fits,
    verdict: verdict(best, device, count, tokens, concurrency, data.engine, machine.refused),
    plan: { tp: row[0], pp: row[1], ep: row[2], dp: row[3], quant: machine.quant, kv_dtype: best.kvDtype },
    per_gpu: {
      memory_bytes: device.memory,
      budget_bytes: budget,
      weights_bytes: row[ROW.weights],
      activation_bytes: best.activation,
      overhead_bytes: best.overhead,
      kv_room_bytes: best.room,
      kv_needed_bytes: best.needed,
      headroom_bytes: best.headroom,
    },
    context_tokens: tokens,
    concurrency,
    max_context_tokens: holds(limit) ? limit : largest(holds, limit),
    max_concurrency: atLeast(best.most, 3),
    kv_tokens: best.tokens,
    bound_tokens_per_s_whole_context: best.fits ? atMost(bound(fit, device.bandwidth, row, dtype, tokens, concurrency), 3) : null,
    usd_per_hour: here.usd,
    instance: here.instance,
    instances: here.instances,
    command: best.fits ? commandOf(fit, row, dtype, tokens) : "",
  };
}

/** What there is room for with so many decimals: never above it. */
function atLeast(value, digits) {
  return Math.floor(value * 10 ** digits + 1e-6) / 10 ** digits;
}

/** An upper bound with so many decimals: never below it. */
const atMost = (rate, digits) => (rate === null ? null : Math.ceil(rate * 10 ** digits - 1e-9) / 10 ** digits);

/** What is rented: an instance, or several. */
const offered = ({ instance, instances }) => (instances > 1 ? `${instances} x ${instance}` : instance);

/** The machines with a price that hold a model so, the cheapest first: `frontier` are those that hold more sequences than all cheaper ones. */
function rents(data, model, context, concurrency, dtype) {
  const found = [];
  for (const device of data.devices) {
    for (const count of model.fit.machines?.[device.id] ? device.counts : []) {
      const made = chosen(data, model, device.id, count, context, concurrency, dtype);
      if (made.error || !made.best.fits || made.here.usd === null) continue;
      const most = made.best.row[ROW.fewer] ? Math.min(made.best.most, made.best.row[ROW.fewer] * made.best.row[ROW.dp]) : made.best.most;
      found.push({ device: device.id, count, name: `${count} x ${device.name.replace(/^(NVIDIA|AMD|Intel) /, "")}`, usd: made.here.usd, instance: offered(made.here), sequences: Math.floor(most), bound: bound(model.fit, device.bandwidth, made.best.row, dtype, made.tokens, concurrency) });
    }
  }
  found.sort((a, b) => a.usd - b.usd || b.sequences - a.sequences || a.count - b.count);
  let held = 0;
  const frontier = found.filter((one) => one.sequences > held && (held = one.sequences));
  return { found, frontier };
}

/** The words of the engine's command; a number of sequences may depend on the context, and where it is 0 its flag is not needed. */
function commandOf(fit, row, dtype, tokens) {
  const words = fit.commands[fit.lists[row[ROW.commands]][dtype]].map((word) => fit.words[word].replace("{}", tokens));
  const filled = words.map((word) => word.replace(/\{(\d+)\}/, (_, place) => at(fit.stairs[place], tokens)));
  return filled.filter((word, i) => word === words[i] || !word.endsWith(" 0")).join(" --");
}

function verdict(best, device, count, tokens, concurrency, engine, refused) {
  const what = `${formatTokens(tokens)} tokens x ${concurrency} on ${count} x ${device.name} under ${engine}`;
  if (best.fits) return `fits: ${what}, ${formatBytes(best.headroom)} to spare on the fullest GPU`;
  if (best.headroom >= 0n || refused) {
    const lacks = best.headroom < 0n ? `, and ${formatBytes(-best.headroom)} are missing on the fullest GPU` : "";
    return `does not start: ${what}; ${best.row[ROW.limit]}${lacks}`;
  }
  if (best.room < 0) {
    return `does not fit: ${what}; weights and overhead alone are ${formatBytes(BigInt(-best.room))} over on the fullest GPU`;
  }
  return `does not fit: ${what}; ${formatBytes(-best.headroom)} missing on the fullest GPU`;
}

// Numbers as the command line writes them: halves round to even.

function rounded(x, digits) {
  const text = x.toFixed(digits);
  const tail = x.toFixed(20).split(".")[1].slice(digits);
  if (!/^50*$/.test(tail) || Number(x.toFixed(20)) !== x) return Number(text);
  const up = BigInt(text.replace(".", ""));
  return Number(up % 2n ? up - 1n : up) / 10 ** digits;
}

const group = (n) => n.toString().replace(/\B(?=(\d{3})+$)/g, ",");

function grouped(x, digits) {
  const [whole, tail] = rounded(x, digits).toFixed(digits).split(".");
  return `${group(whole)}.${tail}`;
}

function fixed(n, unit, digits) {
  const scaled = halfEven(n * 10n ** BigInt(digits), unit);
  const ten = 10n ** BigInt(digits);
  return `${group(scaled / ten)}.${(scaled % ten).toString().padStart(digits, "0")}`;
}

function halfEven(n, by) {
  const quotient = n / by;
  const twice = 2n * (n % by);
  return quotient + (twice > by || (twice === by && quotient % 2n === 1n) ? 1n : 0n);
}

function formatBytes(bytes) {
  const n = BigInt(bytes);
  if (n < 0n) return `-${formatBytes(-n)}`;
  if (n < 1024n) return `${n} bytes`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  for (let i = 0; ; i++) {
    const unit = 1n << BigInt(10 * (i + 1));
    if (i === 3 || halfEven(10n * n, unit) * unit < 10n * (unit << 10n)) {
      return `${fixed(n, unit, halfEven(100n * n, unit) < 1000n ? 2 : 1)} ${units[i]}`;
    }
  }
}

function formatTokens(n) {
  if (n && n % 1048576 === 0) return `${n / 1048576}m`;
  if (n && n % 1024 === 0) return `${n / 1024}k`;
  return group(n);
}

/** `128k`, `1m`, `131,072`; null if it is none. */
function parseTokens(text) {
  const match = /^(\d+(?:,\d{3})*(?:\.\d+)?)\s*([km]?)$/i.exec(text.trim());
  if (!match) return null;
  const n = Number(match[1].replaceAll(",", "")) * { "": 1, k: 1024, m: 1048576 }[match[2].toLowerCase()];
  return Number.isInteger(n) && n >= 1 && n <= 2 ** 40 ? n : null;
}

// The page

const PARTS = [
  ["weights_bytes", "weights"],
  ["activation_bytes", "activations"],
  ["overhead_bytes", "overhead"],
  ["kv_needed_bytes", "KV cache"],
];

const FIGURES = [
  ["plan", (r) => [...ways(r.plan), `${r.plan.quant} weights`, `${r.plan.kv_dtype} cache`].join(", ")],
  ["memory the engine sees", (r) => formatBytes(r.per_gpu.memory_bytes)],
  ["the engine's share", (r) => formatBytes(r.per_gpu.budget_bytes)],
  ["weights", (r) => formatBytes(r.per_gpu.weights_bytes)],
  ["activations", (r) => formatBytes(r.per_gpu.activation_bytes)],
  ["overhead", (r) => formatBytes(r.per_gpu.overhead_bytes)],
  ["room for the cache", (r) => formatBytes(r.per_gpu.kv_room_bytes)],
  ["cache needed", (r) => formatBytes(r.per_gpu.kv_needed_bytes)],
  ["to spare", (r) => formatBytes(r.per_gpu.headroom_bytes)],
  ["longest context at this concurrency", (r) => `${formatTokens(r.max_context_tokens)} tokens`],
  ["most sequences of this context", (r) => grouped(atLeast(r.max_concurrency, 1), 1)],
  ["KV tokens, as the engine reports", (r) => group(r.kv_tokens)],
  ["tokens/s of all at this context, a bound of the bandwidth and no forecast", (r) => (r.bound_tokens_per_s_whole_context === null ? "–" : "at most " + grouped(atMost(r.bound_tokens_per_s_whole_context, 1), 1))],
  ["rent, from", (r) => (r.usd_per_hour === null ? "not known" : `$${grouped(r.usd_per_hour, 2)} an hour (${offered(r)})`)],
  ["command", (r) => r.command || "none: it does not fit"],
];

function ways(plan) {
  const found = ["tp", "pp", "ep", "dp"].filter((k) => plan[k] > 1).map((k) => `${k.toUpperCase()} ${plan[k]}`);
  return found.length ? found : ["one GPU"];
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A command in parts, in which no flag breaks at its dashes. */
function flagged(command) {
  return command.split(/([ \n])/).map((word) => (word.startsWith("--") ? element("span", { class: "word" }, word) : word));
}

/** The memory of the fullest GPU, to scale: each part a span, hidden from readers as the table says the same. */
function bar(result, width) {
  const g = result.per_gpu;
  const used = PARTS.reduce((sum, [key]) => sum + Number(g[key]), 0);
  const whole = Math.max(used, g.memory_bytes);
  const made = element("div", { class: "bar", "aria-hidden": "true" });
  for (const [key, name] of PARTS) {
    const share = (100 * Number(g[key])) / whole;
    const part = element("span", { class: `part ${key.split("_")[0]}` });
    part.style.width = `${share}%`;
    // Words that do not stand in it whole are left to the legend.
    if ((share / 100) * width > 12 + 8 * name.length) part.append(name);
    made.append(part);
  }
  for (const [name, bytes] of [["edge", g.memory_bytes], ["edge share", g.budget_bytes]]) {
    const edge = element("span", { class: name });
    edge.style.left = `${(100 * bytes) / whole}%`;
    made.append(edge);
  }
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const DASHES = ["", "7 4", "2 3", "10 3 2 3"];

/** What is rented against what it holds, both axes logarithmic: a mark for each machine, a line of steps through the cheapest. */
function chart(svg, made) {
  const [width, height, left, right, top, bottom] = [720, 320, 56, 16, 26, 40];
  const points = made.flatMap(({ found }) => found);
  svg.replaceChildren();
  if (!points.length) return;
  // A dollar amount or a number of sequences of each step of 1, 2, 5.
  const steps = [-2, -1, 0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((n) => Number(`${n}e${power}`)));
  const range = (values) => {
    const low = steps.filter((n) => n <= Math.min(...values)).pop() ?? steps[0];
    const high = steps.find((n) => n > low && n >= Math.max(...values)) ?? steps[steps.length - 1];
    return [low, high, steps.filter((n) => n >= low && n <= high)];
  };
  const [x0, x1, columns] = range(points.map((p) => p.usd));
  const [y0, y1, rows] = range(points.map((p) => Math.max(1, p.sequences)));
  const place = (n, low, high) => Math.log(n / low) / Math.log(high / low);
  const x = (usd) => (left + place(usd, x0, x1) * (width - left - right)).toFixed(1);
  const y = (n) => (height - bottom - place(Math.max(1, n), y0, y1) * (height - top - bottom)).toFixed(1);
  const some = (all) => all.filter((_, i) => all.length <= 9 || i % Math.ceil(all.length / 9) === 0);
  for (const n of some(rows)) {
    svg.append(drawn("path", { class: "grid", d: `M${left} ${y(n)}H${width - right}` }));
    svg.append(drawn("text", { class: "end", x: left - 6, y: Number(y(n)) + 4 }, group(n)));
  }
  for (const n of some(columns)) svg.append(drawn("text", { class: "mid", x: x(n), y: height - bottom + 18 }, `$${n}`));
  svg.append(drawn("text", { class: "mid soft", x: (left + width) / 2, y: height - 4 }, "rent, dollars an hour"));
  svg.append(drawn("text", { class: "soft", x: 2, y: 12 }, "sequences it holds"));
  made.forEach(({ found, frontier }, i) => {
    const part = drawn("g", { class: `s${i}` });
    const dash = DASHES[i % 4] ? { "stroke-dasharray": DASHES[i % 4] } : {};
    const line = frontier.map((one, k) => (k ? `H${x(one.usd)}V${y(one.sequences)}` : `M${x(one.usd)} ${y(one.sequences)}`)).join("");
    if (line) part.append(drawn("path", { ...dash, d: `${line}H${width - right}` }));
    for (const one of found) {
      const [cx, cy] = [Number(x(one.usd)), Number(y(one.sequences))];
      const mark = i % 2 ? drawn("rect", { class: "dot", x: cx - 3, y: cy - 3, width: 6, height: 6 }) : drawn("circle", { cx, cy, r: 3.5 });
      mark.append(drawn("title", {}, `${one.name}: $${grouped(one.usd, 2)} an hour, ${group(one.sequences)} sequences`));
      part.append(mark);
    }
    svg.append(part);
  });
}

/** A word as a shell takes it. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

/** The command that answers the same: what the panel takes for granted is named in it. */
function commandLine(data, model, device, count, context, concurrency, dtype) {
  const tokens = context ?? model.fit.context;
  const words = ["archcalc fit", quoted(model.name), `--gpu ${count}x${device}`, `--engine ${data.engine}`, "--max-quant none"];
  if (tokens) words.push(`--ctx ${formatTokens(tokens).replaceAll(",", "")}`);
  if (concurrency !== 1) words.push(`--concurrency ${concurrency}`);
  if (dtype) words.push(`--kv-dtype ${dtype}`);
  if (concurrency !== 1 && count > 1) {
    // With several requests the command line may take a split that is forecast to be faster: the one shown here is named.
    const { plan } = answer(data, model, device, count, context, concurrency, Math.max(0, data.dtypes.indexOf(dtype)));
    for (const name of ["tp", "pp", "ep", "dp"]) if (plan) words.push(`--${name} ${plan[name]}`);
  }
  return words.join(" ");
}

/** The command that looks among all machines that are rented. */
function rentLine(data, model, context, concurrency, dtype) {
  const words = commandLine(data, model, "all", 1, context, concurrency, dtype).replace("--gpu 1xall", "--gpu all");
  return `${words} --sort cost`;
}

function start() {
  const opening = document.getElementById("data");
  const data = assemble(opening.textContent, []);
  let read = 0;
  /** Whether plans are still on their way. */
  const coming = () => document.readyState === "loading" || opening.hasAttribute("data-more");
  /** Takes in what has come since. */
  function collect() {
    const found = document.getElementsByClassName("piece");
    // The last one may not be here to its end.
    for (; read < found.length && (found[read].nextSibling || document.readyState !== "loading"); read++) add(data, found[read].textContent);
  }
  const form = document.getElementById("fit-form");
  if (!form) return;
  const { gpu, count, context, concurrency, dtype } = form.elements;
  const out = document.getElementById("fit-verdicts");
  const table = document.getElementById("fit-figures");
  const lines = document.getElementById("fit-commands");
  const message = document.getElementById("fit-message");
  const device = () => data.devices.find((d) => d.id === gpu.value);

  function offer() {
    const wanted = Number(count.value) || 1;
    count.replaceChildren(...device().counts.map((n) => element("option", { value: n }, String(n))));
    const fitting = device().counts.filter((n) => n <= wanted);
    count.value = String(fitting.length ? fitting[fitting.length - 1] : device().counts[0]);
  }

  function show() {
    const tokens = context.value.trim() ? parseTokens(context.value) : null;
    const sequences = Number(concurrency.value);
    const wrong = [];
    const check = (field, bad, text) => {
      field.toggleAttribute("aria-invalid", false);
      if (bad) {
        field.setAttribute("aria-invalid", "true");
        wrong.push(text);
      } else field.removeAttribute("aria-invalid");
    };
    check(context, context.value.trim() && tokens === null, "Write the context like 128k (131,072), 1m (1,048,576) or 131072.");
    check(
      concurrency,
      !Number.isInteger(sequences) || sequences < 1 || sequences > 1000000,
      "Concurrency is a whole number from 1 to 1,000,000.",
    );
    message.textContent = wrong.join(" ");
    if (wrong.length) return;
    const place = Number(dtype.value);
    collect();
    const results = data.models.map((m) => answer(data, m, gpu.value, Number(count.value), tokens, sequences, place));
    if (results.some((r) => r.waits) && coming()) setTimeout(show, 100);
    out.replaceChildren(
      ...results.map((r, i) => {
        const item = element("li", { class: r.error ? "refused" : r.fits ? "fits" : "misses" });
        item.append(element("strong", {}, data.models[i].name), " ", element("span", {}, r.error ?? r.verdict));
        if (!r.error) item.append(bar(r, out.clientWidth));
        return item;
      }),
    );
    table.replaceChildren(
      ...FIGURES.map(([label, figure]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, label),
          ...results.map((r) => {
            const cell = element("td", {});
            if (r.error) cell.append("–");
            else if (label === "command" && r.command) cell.append(element("code", {}, ...flagged(r.command)));
            else cell.append(figure(r));
            return cell;
          }),
        ),
      ),
    );
    const same = data.models.map((m) => commandLine(data, m, gpu.value, Number(count.value), tokens, sequences, data.dtypes[place]));
    lines.replaceChildren(...flagged(same.join("\n")));
    const rented = data.models.map((m) => rentLine(data, m, tokens, sequences, data.dtypes[place]));
    document.getElementById("rent-command").replaceChildren(...flagged(rented.join("\n")));
  }

  const ROWS = 8;
  let later = 0;
  /** The machines to rent, drawn once the fields rest; and again while plans come in. */
  function rent() {
    clearTimeout(later);
    later = setTimeout(() => {
      const tokens = context.value.trim() ? parseTokens(context.value) : null;
      const sequences = Number(concurrency.value);
      if ((context.value.trim() && tokens === null) || !Number.isInteger(sequences) || sequences < 1) return;
      collect();
      const made = data.models.map((m) => rents(data, m, tokens, sequences, Number(dtype.value)));
      chart(document.getElementById("rent-chart"), made);
      document.getElementById("rent-rows").replaceChildren(
        ...made.flatMap(({ frontier }, i) => {
          const rows = frontier.slice(0, ROWS).map((one) => [one.name, grouped(one.usd, 2), group(one.sequences), one.bound === null ? "–" : `at most ${grouped(atMost(one.bound, 1), 1)}`, one.instance]);
          const none = coming() ? "none yet: plans are still coming" : "no machine of this page with a price holds it";
          return (rows.length ? rows : [[none, "–", "–", "–", ""]]).map(([name, usd, held, most, of]) =>
            element(
              "tr",
              {},
              element("th", { scope: "row" }, element("span", { class: `key s${i}`, "aria-hidden": "true" }), data.models[i].name),
              element("td", {}, name),
              element("td", { class: "n" }, usd),
              element("td", { class: "n" }, held),
              element("td", { class: "n" }, most),
              element("td", { class: "of" }, of),
            ),
          );
        }),
      );
      if (coming()) rent();
    }, coming() ? 400 : 120);
  }

  /** The smallest number of GPUs that holds every model, to begin with. */
  function begin() {
    offer();
    collect();
    const counts = device().counts;
    const good = counts.find((n) => data.models.every((m) => answer(data, m, gpu.value, n, parseTokens(context.value), 1, 0).fits));
    count.value = String(good ?? counts[counts.length - 1]);
    show();
  }

  document.addEventListener("DOMContentLoaded", show);
  for (const [where, what] of [[document, "DOMContentLoaded"], [document, "pieces"], [form, "input"], [form, "change"]]) where.addEventListener(what, rent);
  gpu.addEventListener("change", offer);
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  begin();
}

if (typeof module === "object") module.exports = { answer, assemble, at, rents, commandLine, largest, formatBytes, formatTokens, parseTokens, rounded };
else start();
