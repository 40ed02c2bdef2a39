"use strict";
// The list of models: search and sort as one types and clicks (without this the addresses of the server do it), the count of what is ticked,
// and a config.json that is dropped.
const rows = [...document.querySelectorAll("#models tbody tr")];
const message = document.getElementById("wrong");

function search(box) {
  const status = document.getElementById("found");
  const whole = status.textContent.split(" of ")[1];
  if (box.value) return;
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.dataset.text.includes(word));
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${whole}`;
  });
  box.form.addEventListener("submit", (event) => event.preventDefault());
}

function sortBy(link) {
  const key = link.dataset.sort;
  const head = link.closest("th");
  const first = key === "name" ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? (first === "ascending" ? "descending" : "ascending") : first;
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const number = key !== "name" && key !== "release";
  const compare = (a, b) => (number ? a.dataset[key] - b.dataset[key] : a.dataset[key].localeCompare(b.dataset[key]));
  rows.sort((a, b) => (order === "ascending" ? compare(a, b) : compare(b, a)));
  rows[0]?.parentNode.append(...rows);
}

function count(event) {
  const status = document.getElementById("ticked");
  const most = Number(status.dataset.most);
  const ticked = document.querySelectorAll("#models input:checked").length;
  if (event) message.textContent = "";
  if (ticked > most && event) {
    event.target.checked = false;
    message.textContent = `Up to ${most} models stand side by side: untick one to compare ${event.target.value}.`;
  } else status.textContent = `${ticked} of up to ${most}`;
}

async function dropped(file) {
  if (file.size > 4 * 2 ** 20) {
    message.textContent = `${file.name} is too large to be a config: drop the config.json of a model.`;
    return;
  }
  const form = document.getElementById("own");
  form.elements.config.value = await file.text();
  form.elements.name.value = file.name;
  form.requestSubmit();
}

search(document.getElementById("q"));
for (const link of document.querySelectorAll("#models th a[data-sort]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    sortBy(link);
  });
}
document.getElementById("models").addEventListener("change", count);
count();
document.getElementById("own").addEventListener("submit", (event) => {
  for (const old of event.target.querySelectorAll("input[name=m]")) old.remove();
  for (const box of document.querySelectorAll("#models input:checked")) {
    const copy = Object.assign(document.createElement("input"), { type: "hidden", name: "m", value: box.value });
    event.target.append(copy);
  }
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) dropped(event.dataTransfer.files[0]);
});
